"""Core's ModelSave writes what was drawn with: patches of the denoiser and of the ReferenceNet, loaded or not."""

from __future__ import annotations

import pytest

from .conftest import tiny_with_loras
from .cores import Core
from .scripts import run_script

ROUNDING = 5e-4  # of weights added up in another order or lying otherwise in memory, over values of about 1


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "saving.py", tiny_with_loras(tmp_path_factory.mktemp("saving")))


@pytest.mark.parametrize("part", ["LoRA", "denoiser.", "reference."])
def test_a_saved_model_draws_what_the_model_with_its_lora_draws(report: dict, part: str):
    assert report["whole"][part] <= ROUNDING and report["whole"][f"{part} changes"] > 0.01


def test_and_it_is_the_network_that_peft_merges(report: dict):
    assert report["whole"]["LoRA, as peft merges it"] <= ROUNDING


def test_a_model_without_a_lora_is_saved_without(report: dict):
    """After others with the same networks were."""
    assert report["whole"]["plain, tensors"] == [] and report["whole"]["plain"] <= ROUNDING


def test_patches_of_weights_that_are_not_loaded(report: dict):
    found = report["offloaded"]
    assert all(found["layers that wait"]), "in both networks"
    assert found["drawn"] <= ROUNDING and found["saved"] <= ROUNDING


def test_weights_are_taken_from_core_s_argument(core: Core, report: dict):
    assert report["as passed"]["vae"]
    assert report["as passed"]["argument"] or core.version == "0.3.64", "which passes none"
