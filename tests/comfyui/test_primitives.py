"""HIA's sampling in single nodes gives the latents of `pipeline.animate`."""

from __future__ import annotations

import pytest

from .cores import Core
from .scripts import run_script

SCHEDULES = ("zero terminal SNR", "epsilon")
SHIFTED = (*SCHEDULES, "trained shifted")
SAME = [f"shifted, {schedule}, cfg {cfg}" for schedule in SHIFTED for cfg in (1.0, 2.5)]
SAME += [f"reference noise, {schedule}, {what}" for schedule in SCHEDULES for what in ("cfg 1.0", "cfg 2.5", "by hand")]
MODELS = (*SCHEDULES, "motion on both sides", "reference on both sides", "both on both sides")
SAME += [
    f"together, {model}, {negative}, cfg {cfg}"
    for model in MODELS
    for negative in ("negative", "positive twice")
    for cfg in (1.0, 2.5)
]
SAME += [f"guider and windowed sampler, {model}" for model in MODELS]
SAME += ["a kept scene under reference noise", "what a noise mask keeps, under reference noise"]
SAME += ["half kept by a noise mask, under reference noise"]
SIGMAS = ["trailing", "trailing, shifted", "auto of a small latent", "auto of a large latent", "stable diffusion"]


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "primitives.py", tmp_path_factory.mktemp("primitives"))


@pytest.mark.parametrize("name", SAME)
def test_same_as_the_command_line(report: dict, name: str):
    assert report[name] <= 1e-4


@pytest.mark.parametrize("schedule", SHIFTED)
def test_the_shift_changes_something(report: dict, schedule: str):
    assert report[f"the shift differs by, {schedule}"] > 1e-2


@pytest.mark.parametrize("model", MODELS[:-1])
def test_without_the_guider_the_same_conditioning_on_both_sides_is_no_guidance(report: dict, model: str):
    assert report[f"the guider differs by, {model}"] > 1e-2


def test_reference_noise_changes_something_where_the_last_timestep_has_signal(report: dict):
    assert report["the reference noise differs by, epsilon"] > 1e-2
    assert report["the reference noise is other noise by"] > 1e-2
    assert 0 < report["the reference noise differs by, zero terminal SNR"] < 2e-3


@pytest.mark.parametrize("name", SIGMAS)
def test_sigmas_are_those_of_the_library(report: dict, name: str):
    assert report["schedules"][name] <= 1e-5
    assert report["schedules of a shifted model"][name] <= 1e-5


def test_the_shift_keeps_the_largest_sigma_and_the_model_it_was_given(report: dict):
    schedules = report["schedules"]
    assert schedules["auto of a large latent shifts"]
    assert schedules["the largest"] == pytest.approx(1) and schedules["the model given is as it was"] == 0


def test_bad_values_are_one_clear_line(report: dict):
    for expected, said in report["refusals"].items():
        assert expected in said and "\n" not in said, said
