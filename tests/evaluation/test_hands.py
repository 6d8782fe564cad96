"""Hands as asked for: a stand-in for the model answers with the truth, or with it out of focus where that is asked."""

import json

import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation import hands, held_out
from inhabit.media import to_float
from inhabit.models import PRESETS, AnimationModel, ModelConfig
from torch.nn import functional


def soft(frames: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(frames.movedim(-1, 1), 5, stride=1, padding=2, count_include_pad=False).movedim(1, -1)


@pytest.fixture
def obedient(monkeypatch):
    shown, render_scene = {}, hands.render_scene

    def answer(model, codec, reference, conditions, *, progress):
        asked = 0.5 if conditions.blur is None else float(conditions.blur[..., 2].max())
        return soft(shown["target"]) if asked < 0.2 else shown["target"]

    def render_and_keep(*arguments):
        scene = render_scene(*arguments)
        shown["target"] = to_float(scene.target)
        return scene

    monkeypatch.setattr(hands, "FRAMES", 3)
    monkeypatch.setattr(hands, "render_scene", render_and_keep)
    monkeypatch.setattr(hands, "animate", answer)
    monkeypatch.setattr(held_out, "load", lambda path, device: AnimationModel(PRESETS["puppets"]))
    monkeypatch.setattr(held_out, "load_codec", lambda path, device: object())


def test_numbers_tell_sharp_hands_from_blurred_ones(obedient, tmp_path):
    results = hands.measure_hands(tmp_path / "model.safetensors", tmp_path, scenes=2, size=96, device="cpu")
    assert list(results) == ["truth", hands.UNTOLD, hands.MEASURED, "asked for sharp", "asked for blurred"]
    truth, blurred = results["truth"], results["asked for blurred"]
    assert results[hands.UNTOLD] == results["asked for sharp"] == truth and truth["psnr"] == 100
    assert blurred["sharpness"] < 0.2 * truth["sharpness"] and blurred["psnr"] < 30
    assert json.loads((tmp_path / "hands.json").read_text()) == results
    assert hands.table(results).splitlines()[2].startswith("| truth | ")


def test_no_scenes_and_models_without_the_branch_are_refused(obedient, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--hands is 0: give 1 or more"):
        hands.measure_hands(tmp_path, tmp_path, scenes=0)
    values = PRESETS["puppets"].model_dump()
    values["pose"]["blur"] = None
    plain = AnimationModel(ModelConfig.model_validate(values))
    monkeypatch.setattr(held_out, "load", lambda path, device: plain)
    with pytest.raises(InputError, match="model.safetensors reads no motion-blur maps: choose"):
        hands.measure_hands(tmp_path / "model.safetensors", tmp_path, scenes=1, device="cpu")
