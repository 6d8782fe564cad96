"""Core's nodes with a MODEL of ours: what README.md's table says of each."""

from __future__ import annotations

import re

import pytest

from .cores import Core
from .scripts import run_script
from .server import ROOT

ROUNDING = 1e-4
LARGE_SIGMAS = 2e-3  # a share of the largest value: sigmas up to 4518 leave float32 three digits
EFFECTS = [
    ("guiders", "the two differ by"),
    ("masks", "Set Latent Noise Mask, drawn inside"),
    ("conditionings", "and differs by"),
    ("patches", "and differs from CFG by"),
    ("merges", "and differs by"),
    ("animation guider", "the embedding differs by"),
    ("clip vision", "crop: center differs by"),
]
UNCHANGED = [
    ("conditionings", "ConditioningAverage without cross-attention"),
    ("merges", "ModelMergeSimple with Stable Diffusion"),
    ("merges", "patches in Stable Diffusion"),
]
APART = {"attention patches", "between the sigmas", "ModelSamplingDiscrete, sigmas of v"}


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "core_nodes.py", tmp_path_factory.mktemp("nodes"))


@pytest.fixture(scope="module")
def sampled(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "core_samplers.py", tmp_path_factory.mktemp("samplers"))


PARTS = ["guiders", "masks", "conditionings", "patches", "merges", "animation guider", "clip vision"]


@pytest.mark.parametrize("part", PARTS)
def test_what_works_gives_what_its_formula_gives(report: dict, part: str):
    names = [name for name in report[part] if (part, name) not in EFFECTS and name not in APART]
    assert names and all(report[part][name] <= ROUNDING for name in names), report[part]


@pytest.mark.parametrize(("part", "name"), EFFECTS)
def test_and_it_changes_something(report: dict, part: str, name: str):
    assert report[part][name] > 1e-2


@pytest.mark.parametrize(("part", "name"), UNCHANGED)
def test_what_has_no_effect_changes_no_bit(report: dict, part: str, name: str):
    assert report[part][name] == 0


def test_patches_of_attention_change_no_bit_and_the_log_says_so(report: dict):
    found = report["patches"]["attention patches"]
    assert found["gap"] == 0
    assert found["warnings"] == ["other nodes' patches of attention and blocks (attn1_patch) do nothing on this model"]
    assert found["clip by clip"] == found["warnings"], "once a video, not with every clip"


def test_the_range_of_timesteps_switches_in_the_middle(report: dict):
    assert report["conditionings"]["between the sigmas"]


def test_core_s_own_schedule_of_the_model_is_the_model_s(report: dict):
    """Core rescales to zero terminal SNR in float32, which moves the last sigmas."""
    assert report["patches"]["ModelSamplingDiscrete, sigmas of v"] <= 1e-3


def test_refusals_are_one_clear_line(report: dict):
    assert len(report["refusals"]) == 3
    for expected, said in (report["refusals"] | report["context windows"]["said"]).items():
        assert expected in said and "\n" not in said, said


def test_core_s_context_windows(core: Core, report: dict):
    """ComfyUI 0.3.64's do not cut the conditions and are refused; later ones give what they should."""
    found = report["context windows"]
    assert found["cuts conditions"] == (core.version != "0.3.64") and found["said"]
    if found["cuts conditions"]:
        assert max(found["gaps"].values()) <= ROUNDING, found["gaps"]
        assert min(found["differ"].values()) > 1e-2, found["differ"]


def test_every_scheduler_with_euler_is_ddim(sampled: dict):
    assert len(sampled["schedulers, v"]) == len(sampled["schedulers, epsilon"]) >= 10
    assert max(sampled["schedulers, epsilon"].values()) <= 1e-5, sampled["schedulers, epsilon"]
    assert max(sampled["schedulers, v"].values()) <= LARGE_SIGMAS, sampled["schedulers, v"]


def test_every_sampler_draws_something_finite(sampled: dict):
    assert len(sampled["samplers"]) >= 42 and all(sampled["samplers"].values()), sampled["samplers"]


def test_deterministic_samplers_agree(sampled: dict):
    """They solve the same equation, and Euler is the crudest of them: none is further from the exact solution."""
    errors = dict(sampled["solvers"])
    assert 0 < errors.pop("euler") < 0.5, "the root mean square of latents about 1"
    assert len(errors) == 15 and max(errors.values()) <= 1.05, errors


def test_the_table_has_a_row_for_every_node():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| (works|no effect|refused).* \|", text, re.MULTILINE)
    assert {said for _, said in rows} == {"works", "no effect", "refused"}
    named = " ".join(name for name, _ in rows)
    for node in ("KSampler", "SamplerCustomAdvanced", "LoraLoaderModelOnly", "Set Latent Noise Mask", "FreeU",
                 "ConditioningCombine", "ConditioningSetMask", "ConditioningSetArea", "ConditioningAverage",
                 "ConditioningSetTimestepRange", "RescaleCFG", "ModelSamplingDiscrete", "ModelMergeSimple",
                 "ControlNetApply", "Context Windows (Manual)", "ModelSave", "samplers", "schedulers"):  # fmt: skip
        assert node in named, node
