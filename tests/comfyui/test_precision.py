"""Weights stored in 8 or 16 bits, by core's own options: the result stays near float32's, with a LoRA as well."""

from __future__ import annotations

import pytest

from .cores import Core
from .scripts import run_script

NEAR = {  # root mean square difference after 5 steps with guidance, a share of the result's own; 3, 2, 10, 7 bits
    "fp8_e4m3fn_unet": 0.1,
    "fp8_e5m2_unet": 0.2,
    "fp16_unet": 0.002,
    "bf16_unet": 0.01,
}
LORA_NEAR = {  # the same of what a LoRA changes, whose weights are rounded again; 1 where it did nothing
    "fp8_e4m3fn_unet": 0.5,
    "fp8_e5m2_unet": 0.8,
    "fp16_unet": 0.01,
    "bf16_unet": 0.05,
}
TYPES = {
    "fp8_e4m3fn_unet": ["torch.float32", "torch.float8_e4m3fn"],
    "fp8_e5m2_unet": ["torch.float32", "torch.float8_e5m2"],
    "fp16_unet": ["torch.float16"],
    "bf16_unet": ["torch.bfloat16"],
}


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "precision.py", tmp_path_factory.mktemp("precision"))


@pytest.mark.parametrize("option", NEAR)
def test_the_option_decides_how_weights_are_stored(report: dict, option: str):
    assert report[option]["types"] == TYPES[option], "vectors stay float32 beside matrices of 8 bits"
    assert report[option]["compute"] == "torch.float32", "a CPU computes in float32"


@pytest.mark.parametrize("option", NEAR)
def test_the_result_is_near_that_of_float32(report: dict, option: str):
    assert 0 < report[option]["plain"] < NEAR[option]
    assert report[option]["assembled"] == 0, "however the model was put together"


@pytest.mark.parametrize("option", NEAR)
def test_a_lora_applies_to_rounded_weights(report: dict, option: str):
    assert report[option]["lora"] < LORA_NEAR[option], "its effect is what it is on float32 weights"
