"""The report's bookkeeping: a stand-in for the model has known errors, and every number must land in its place."""

import json
import math

import pytest
import torch
from inhabit.evaluation import held_out
from inhabit.media import to_float
from inhabit.models import PRESETS, AnimationModel

ERRORS = {"full": 0.01, "reference": 0.2, "motion": 0.1, "depth": 0.05, "objects": 0.04, "environment": 0.3}


class NoCodec:
    downscale = 4


@pytest.fixture
def settings() -> held_out.HeldOutSettings:
    return held_out.HeldOutSettings(scenes=3, frames=2, size=96)


@pytest.fixture
def known_model(monkeypatch):
    """`animate` answers with the truth plus an error that depends on what it was not told; nothing is computed."""
    truth, asked = {}, []

    def render(*arguments):
        truth["scene"] = render_scene(*arguments)
        return truth["scene"]

    def answer(model, codec, reference, conditions, settings, *, without, progress):
        missing = list(without) or (["depth"] if conditions.depth is None else ["full"])
        asked.extend(missing)
        return to_float(truth["scene"].target) + ERRORS[missing[0]]

    render_scene = held_out.render_scene
    monkeypatch.setattr(held_out, "render_scene", render)
    monkeypatch.setattr(held_out, "animate", answer)
    model = AnimationModel(PRESETS["puppets"])
    monkeypatch.setattr(held_out, "load", lambda path, device: model)
    monkeypatch.setattr(held_out, "load_codec", lambda path, device: NoCodec())
    return asked


def decibels(error: float) -> float:
    return -20 * math.log10(error)


def test_every_number_lands_in_its_place(known_model, settings, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    result = held_out.make_report(file, tmp_path / "report", settings)
    assert [(row["seed"], row["kind"]) for row in result["scenes"]] == [
        (900000, "walk"),
        (900001, "reach"),
        (900002, "object"),
    ]
    for region in ("character", "outside", "outside_mask", "frame"):
        assert result["mean"][held_out.RAW][region]["psnr"] == pytest.approx(decibels(0.01), abs=1e-2)
    for name, switch in result["switches"].items():
        assert switch["with"] == pytest.approx(decibels(0.01), abs=1e-2)
        assert switch["without"] == pytest.approx(decibels(ERRORS[name]), abs=1e-2), name
        assert switch["lower_in"] == switch["scenes"] == (1 if name == "objects" else 3)
    assert set(result["switches"]) == set(held_out.SWITCHES)
    assert known_model.count("objects") == 1 and known_model.count("full") == 3
    psnr = {name: scores["character"]["psnr"] for name, scores in result["mean"].items()}
    rivals = [psnr[name] for name in ("inpainted_environment", "pasted_reference", "driving")]
    assert result["margin"]["character_psnr"] == pytest.approx(psnr[held_out.OURS] - max(rivals))
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == result
    assert len(list((tmp_path / "report" / "scenes").glob("*.png"))) == 3


def test_tables_show_the_numbers(known_model, settings, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    text = held_out.markdown(held_out.make_report(file, tmp_path / "report", settings))
    assert text == (tmp_path / "report" / "report.md").read_text()
    steps = PRESETS["puppets"].sampling.steps
    assert f"3 held-out scenes, cross-identity, 2 frames, 96 px, {steps} steps" in text
    assert "| reference | character | 40.00 | 13.98 | -26.02 dB | 3 of 3 scenes |" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 2 + 5 + 5


def test_switches_can_be_left_out(known_model, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    result = held_out.make_report(
        file, tmp_path / "report", held_out.HeldOutSettings(scenes=1, frames=1, size=96, switches=False)
    )
    assert known_model == ["full"] and result["switches"] == {}


def test_conditions_are_those_of_the_command_line(tmp_path):
    """The report makes its conditions in memory, `inhabit animate` from files: both must tell the model the same."""
    from inhabit.models import ModelConfig
    from inhabit.pipeline.inputs import InputFiles, load_inputs
    from inhabit.scenes import render_scene
    from inhabit.scenes.files import write_scene

    scene = render_scene(900002, "object", 2, 96, 96)
    write_scene(scene, tmp_path / "scene")
    files = InputFiles(reference=tmp_path / "scene" / "reference.png", driving=tmp_path / "scene" / "driving.mp4")
    from_files = load_inputs(files, ModelConfig(name="sd15"))
    reference, conditions = held_out.scene_conditions(scene)
    torch.testing.assert_close(from_files.reference, reference, atol=1e-6, rtol=0)
    for name in ("mask", "skeleton", "object_mask"):
        torch.testing.assert_close(getattr(from_files.conditions, name), getattr(conditions, name), atol=0.01, rtol=0)
    torch.testing.assert_close(from_files.conditions.depth, conditions.depth, atol=1e-4, rtol=0)
    assert (from_files.conditions.driving - conditions.driving).abs().mean() < 0.02, "the file is H.264"
