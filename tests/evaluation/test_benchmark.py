"""The benchmark compares like with like; how fast anything is, is no test."""

from pathlib import Path

import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation import benchmark as bench
from inhabit.models.config import PRESETS


@pytest.fixture(params=["puppets", "sd15"])
def shapes(monkeypatch, request) -> bench.Shapes:
    """A narrow model whose motion modules normalise as diffusers' do, so that the outputs must agree."""
    preset = PRESETS[request.param]
    motion = preset.unet.motion_modules.model_copy(update={"norm_per_frame": False, "norm_groups": 16})
    widths = (16, 32, 32, 32)[: len(preset.unet.block_out_channels)]
    narrow = {"block_out_channels": widths, "norm_groups": 16, "motion_modules": motion}
    unet = preset.unet.model_copy(update=narrow)
    monkeypatch.setitem(bench.PRESETS, "tiny", preset.model_copy(update={"unet": unet}))
    return bench.Shapes("tiny", size=64, frames=2)


@torch.inference_mode()
def test_plain_step_and_diffusers_compute_the_same(shapes):
    model, inputs = bench.build(shapes), bench.Inputs.random(shapes)
    for weights in model.denoiser.parameters():
        weights.normal_(std=0.1)  # the motion modules' outputs start at zero and would hide a difference
    ours = bench.make_step("plain", model, inputs, shapes)()
    theirs = bench.make_step("diffusers", model, inputs, shapes)()
    assert ours.std() > 0
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_all_conditions_are_on(shapes):
    """With weights that are not at their zero start every condition changes the result."""
    model, inputs = bench.build(shapes), bench.Inputs.random(shapes)
    for weights in model.parameters():
        weights.normal_(std=0.1)
    full = bench.make_step("all_conditions", model, inputs, shapes)()
    for name in ("reference", "environment", "mask", "skeleton", "depth", "objects"):
        changed = {**vars(inputs), name: getattr(inputs, name) * 0.5}
        other = bench.make_step("all_conditions", model, bench.Inputs(**changed), shapes)()
        assert not torch.equal(full, other), name


def test_the_twin_has_the_same_weights_in_its_own_memory(shapes):
    model = bench.build(shapes)
    own, twin = model.denoiser.state_dict(), bench.diffusers_twin(shapes, model).state_dict()
    own = {name: tensor for name, tensor in own.items() if ".lookups." not in name}  # diffusers has no such layer
    assert own.keys() == twin.keys()
    own["conv_in.weight"] = own["conv_in.weight"][:, :4]
    assert all(torch.equal(own[name], twin[name]) for name in own)
    assert not {t.data_ptr() for t in own.values()} & {t.data_ptr() for t in twin.values()}


def test_result_has_every_number(monkeypatch, capsys):
    """One step's memory is really taken in a process of its own, the others' answers are made up."""
    elsewhere = bench._memory_elsewhere
    monkeypatch.setattr(
        bench, "_memory_elsewhere", lambda shapes, name, bar: elsewhere(shapes, name, bar) if name == "plain" else 1.0
    )
    result = bench.benchmark("puppets", size=32, frames=1, rounds=1, progress=False)
    for field in ("seconds_per_frame_and_step", "ratio", "peak_memory_mib"):
        assert set(result[field]) == set(bench.STEPS), field
    assert result["ratio"]["diffusers"] == 1.0
    if Path("/proc/self/status").exists():
        with torch.device("meta"):
            model = bench.AnimationModel(PRESETS["puppets"])
        assert result["peak_memory_mib"]["plain"] > sum(weight.nbytes for weight in model.parameters()) / 2**20
    assert all(value > 0 for value in result["seconds_per_frame_and_step"].values())
    lines = bench.summary(result).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == list(bench.STEPS)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "huge"}, "'huge'.*puppets"),
        ({"size": 100}, "100 px.*multiple of 8"),
        ({"frames": 0}, "0 frames"),
        ({"rounds": 0}, "0 rounds"),
        ({"device": "abacus"}, "'abacus'.*--device cpu"),
    ],
)
def test_wrong_input_is_named(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        bench.benchmark(**{"preset": "puppets", **changes})
    assert "\n" not in str(caught.value)
