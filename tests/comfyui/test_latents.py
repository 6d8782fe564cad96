"""ComfyUI's samplers and `pipeline.animate` draw the same latents."""

from __future__ import annotations

import pytest

from .cores import Core
from .scripts import run_script

SAME = [
    "vae encode",
    "vae decode",
    "windowed sampler, cfg 1.0",
    "windowed sampler, cfg 2.5",
    "clips",
    "custom sampler",
    "ksampler",
    "lora",
    "saved by core",
    *(
        f"version 1{kind}, {sampled}"
        for kind in ("", " epsilon")
        for sampled in ("cfg 1.0", "cfg 2.5", "clips", "ksampler", "the user's noise mask", "noise mask mode")
    ),
]


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "latents.py", tmp_path_factory.mktemp("latents"))


@pytest.mark.parametrize("name", SAME)
def test_same_as_the_command_line(report: dict, name: str):
    assert report[name] <= 1e-4


def test_clips_are_not_windows(report: dict):
    assert report["clips differ from windows by"] > 1e-2


def test_the_lora_changes_something(report: dict):
    assert report["lora differs by"] > 1e-2


@pytest.mark.parametrize("cfg", [1.0, 2.5])
def test_conditions_that_weights_have_no_network_for_are_dropped_with_one_warning(report: dict, cfg: float):
    assert [words.split(" ", 2)[2] for words in report[f"version 1, warnings, cfg {cfg}"]] == [
        "reads no depth: it is not used",
        "reads no motion-blur maps: they are not used",
        "has no object guider: the objects are not used",
    ]


def test_inside_the_noise_mask_something_is_drawn(report: dict):
    assert report["version 1, and is drawn elsewhere"] > 0.1


def test_two_conditionings_in_one_call_give_their_mean(report: dict):
    """One step from pure noise: a rounding error of float32 sigmas of 4518 stays."""
    assert report["combined"] <= 2e-3 and report["combined differ by"] > 2e-2
    assert report["motion under one uuid"] == 0


def test_reference_keys_and_values_are_computed_once_a_run(report: dict):
    assert report["reference passes in two runs"] == 2


def test_memory_is_planned_for_one_window(report: dict):
    assert report["planned frames"] == 6


def test_bad_conditions_are_one_clear_line(report: dict):
    for expected, said in report["refusals"].items():
        assert expected in said and "\n" not in said
