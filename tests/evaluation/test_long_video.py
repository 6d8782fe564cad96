"""Seams and jitter of long videos: a stand-in for the model flickers where it is told to; the numbers must say so."""

import json

import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation import held_out, long_video
from inhabit.media import to_float
from inhabit.models import PRESETS, AnimationModel
from inhabit.sampling.windows import windows


@pytest.fixture
def flickering(monkeypatch):
    """`animate` answers with the truth plus an error that steps by 2/255, by 6/255 where fixed windows begin."""
    shown = {}

    def answer(model, codec, reference, conditions, settings, *, progress):
        steps = torch.full((len(shown["target"]),), 2 / 255)
        if not settings.prompt_travel:
            for begins in windows(len(steps), settings.window, settings.overlap)[1:]:
                steps[begins[0]] = 6 / 255
        signs = torch.tensor([1.0, -1.0]).repeat(len(steps))[: len(steps)]
        return shown["target"] + (steps * signs).cumsum(0).view(-1, 1, 1, 1)

    def render_and_keep(*arguments):
        scene = render_scene(*arguments)
        shown["target"] = to_float(scene.target)
        return scene

    render_scene = long_video.render_scene
    monkeypatch.setattr(long_video, "FRAMES", 40)
    monkeypatch.setattr(long_video, "render_scene", render_and_keep)
    monkeypatch.setattr(long_video, "animate", answer)
    monkeypatch.setattr(held_out, "load", lambda path, device: AnimationModel(PRESETS["puppets"]))
    monkeypatch.setattr(held_out, "load_codec", lambda path, device: object())


def test_seams_and_jitter_are_where_they_are(flickering, tmp_path):
    results = long_video.measure_long_videos(tmp_path / "model.safetensors", tmp_path, scenes=1, size=96, device="cpu")
    assert results.keys() == long_video.WAYS.keys()
    for name, one in results.items():
        fixed = name.startswith("fixed")
        expected = {"fixed windows, overlap 2": (6 + 2 + 6 + 2) / 8, "fixed windows, overlap 8": (6 + 6 + 6 + 2) / 8}
        assert one["seam"] == pytest.approx(expected.get(name, 1.0), rel=1e-2), name
        assert one["largest"] == pytest.approx(3.0 if fixed else 1.0, rel=1e-2), name
        assert (one["jitter"] > 2.05) == fixed and one["jitter"] == pytest.approx(2.2, abs=0.3), name
    cost = {name: one["windows"] for name, one in results.items()}
    assert cost["fixed windows, overlap 2"] < cost["prompt travel, overlap 2"] < cost["fixed windows, overlap 8"]
    assert json.loads((tmp_path / "long_videos.json").read_text()) == results
    lines = long_video.table(results).splitlines()
    assert len(lines) == 2 + len(results) and lines[2].startswith("| fixed windows, overlap 2 | 2.0")


def test_no_scenes_are_refused(tmp_path):
    with pytest.raises(InputError, match="--long-videos is -1: give 1 or more"):
        long_video.measure_long_videos(tmp_path, tmp_path, scenes=-1)
