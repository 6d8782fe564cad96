"""Inhabit LoRA Loader draws what the network that peft merged draws."""

from __future__ import annotations

import pytest

from .conftest import tiny_with_loras
from .cores import Core
from .scripts import run_script

ROUNDING = 5e-4  # of weights that core and peft add up in another order, over values of about 1


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "loras.py", tiny_with_loras(tmp_path_factory.mktemp("loras")))


@pytest.mark.parametrize("name", ["merged by peft", "half merged", "two halves"])
def test_the_model_draws_as_the_merged_network(report: dict, name: str):
    assert report[name] <= ROUNDING and report["changes"] > 0.1


def test_every_naming_is_the_same_adapter(report: dict):
    assert len(report["other namings"]) == 5 and set(report["other namings"].values()) == {0}


def test_core_s_loader_gives_the_same_where_it_knows_the_names(report: dict):
    assert report["core's loader"] == {"kohya-alone.safetensors": 0, "comfyui-alone.safetensors": 0}


def test_strength_0_and_the_model_given_are_unchanged(report: dict):
    assert report["strength 0"] == 0 and report["plain again"] == 0


def test_the_log_counts_what_fits(report: dict):
    whole, part = report["logged"].values()
    assert whole == [f"INFO LoRA adapter_model.safetensors: {report['layers']} of {report['layers']} layers applied"]
    assert part[0] == "INFO LoRA part.safetensors: 1 of 2 layers applied"
    assert part[1:] == ["WARNING LoRA part.safetensors: 1 of 2 layers fit nowhere, as diffusion_model.elsewhere"]


def test_bad_files_and_models_are_one_clear_line(report: dict):
    for expected, said in report["refusals"].items():
        assert expected in said and "\n" not in said, said


def test_loras_of_the_pack_come_first_and_are_no_checkpoints(report: dict):
    assert report["first"] == "pack.safetensors" and report["checkpoints"] == ["inhabit-puppets.safetensors"]
