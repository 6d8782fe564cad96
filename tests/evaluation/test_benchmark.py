"""The benchmark compares like with like; how fast anything is, is no test."""

from pathlib import Path

import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation import benchmark as bench
from inhabit.evaluation import steps
from inhabit.evaluation.memory import elsewhere
from inhabit.models import AnimationModel
from inhabit.models.config import PRESETS


@pytest.fixture(params=["puppets", "sd15"])
def shapes(monkeypatch, request) -> bench.Shapes:
    """A narrow model whose motion modules normalise as diffusers' do, so that the outputs must agree."""
    preset = PRESETS[request.param]
    motion = preset.unet.motion_modules.model_copy(update={"norm_per_frame": False, "norm_groups": 16})
    widths = (16, 32, 32, 32)[: len(preset.unet.block_out_channels)]
    narrow = {"block_out_channels": widths, "norm_groups": 16, "motion_modules": motion}
    unet = preset.unet.model_copy(update=narrow)
    monkeypatch.setitem(steps.PRESETS, "tiny", preset.model_copy(update={"unet": unet}))
    return steps.Shapes("tiny", size=(64, 48), frames=2)


def random_weights(shapes: steps.Shapes) -> AnimationModel:
    """A model whose every weight matters; the zero-initialised ones would hide a difference."""
    torch.manual_seed(1)
    model = AnimationModel(shapes.config).requires_grad_(False)
    for weights in model.parameters():
        weights.normal_(std=0.1)
    return model


@torch.inference_mode()
def test_plain_step_and_diffusers_compute_the_same(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "AnimationModel", lambda config: random_weights(shapes))
    with torch.inference_mode(False):
        steps.write_weights(shapes, tmp_path)
    inputs = steps.Inputs.random(shapes)
    ours = steps.our_step("plain", steps.load_ours(shapes, tmp_path), inputs)()
    theirs = steps.their_step(steps.load_theirs(shapes, tmp_path), inputs)()
    assert ours.shape == (2, 2, 4, *inputs.latents.shape[3:]) and ours.std() > 0
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_all_conditions_are_on(shapes):
    """With weights that are not at their zero start every condition changes the result, of the second pass alone
    where guidance goes without it."""
    model, inputs = random_weights(shapes).train(False), steps.Inputs.random(shapes)
    full = steps.our_step("all_conditions", model, inputs)()
    for name in ("reference", "environment", "mask", "skeleton", "depth", "objects"):
        changed = {**vars(inputs), name: getattr(inputs, name) * 0.5}
        other = steps.our_step("all_conditions", model, steps.Inputs(**changed))()
        assert not torch.equal(full[1], other[1]), name
        assert torch.equal(full[0], other[0]) == (name in ("reference", "skeleton", "depth")), name


@torch.inference_mode()
def test_a_released_reference_net_is_gone_and_the_step_the_same(shapes):
    model, inputs = random_weights(shapes).train(False), steps.Inputs.random(shapes)
    expected = steps.our_step("reference", model, inputs)()
    assert torch.equal(steps.our_step("reference", model, inputs, release=True)(), expected)
    assert model.reference is None
    plain = steps.our_step("plain", model, inputs)()
    assert not torch.equal(plain[1], expected[1]) and torch.allclose(plain[0], expected[0], atol=1e-5)


def test_result_has_every_number(monkeypatch, capsys):
    """One step's memory is really taken in a process of its own, the others' answers are made up."""
    monkeypatch.setattr(
        bench,
        "elsewhere",
        lambda function, *arguments: (
            1.0 if "reference" in arguments or "diffusers" in arguments else elsewhere(function, *arguments)
        ),
    )
    result = bench.benchmark("puppets", size=(32, 40), frames=1, rounds=1, progress=False)
    for field in (
        "seconds_per_step",
        "seconds_per_frame_and_step",
        "ratio",
        "peak_memory_mib",
        "tflop_per_step",
        "share_of_matmul_peak",
    ):
        assert set(result[field]) == set(steps.STEPS), field
    assert result["ratio"]["diffusers"] == 1.0
    if Path("/proc/self/status").exists():
        with torch.device("meta"):
            model = AnimationModel(PRESETS["puppets"])
        networks = (model.denoiser, model.pose, model.objects)
        size = sum(weight.nbytes for network in networks for weight in network.parameters())
        assert result["peak_memory_mib"]["all_conditions"] > size / 2**20
    for field in ("seconds_per_step", "tflop_per_step", "share_of_matmul_peak"):
        assert all(value > 0 for value in result[field].values())
    lines = bench.summary(result).splitlines()
    assert [line.split()[0] for line in lines[2:6]] == list(steps.STEPS)
    assert "32x40 px" in lines[0]
    assert capsys.readouterr().out == ""


def test_operations_are_those_of_the_formula():
    """A product and a convolution, counted by hand."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.Linear(8, 7))
    with torch.inference_mode():
        counted = bench._operations(lambda: layers(torch.randn(2, 3, 4, 8)))
    assert counted == 2 * (2 * 5 * 32) * 27 + 2 * (2 * 5 * 4 * 7) * 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "huge"}, "'huge'.*puppets"),
        ({"size": (100, 64)}, "100x64 px.*multiples of 8"),
        ({"frames": 0}, "0 frames"),
        ({"rounds": 0}, "0 rounds"),
        ({"device": "abacus"}, "'abacus'.*--device cpu"),
    ],
)
def test_wrong_input_is_named(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        bench.benchmark(**{"preset": "puppets", **changes})
    assert "\n" not in str(caught.value)
