"""Scene folders: everything comes back, masks and depth exactly, and a failure leaves nothing."""

import json

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.scenes import files, read_scene, render_scene, write_scene

CONTRACT = "reference.png driving.mp4 pose.json depth.mkv mask.mkv object.mkv hands.mkv face.mkv target.mp4 meta.json"


@pytest.fixture(scope="module")
def scene():
    return render_scene(900_003, "object", 5, 112, 96)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2)


def test_round_trip(scene, tmp_path):
    folder = write_scene(scene, tmp_path / "made" / "here")
    assert set(CONTRACT.split()) <= {file.name for file in folder.iterdir()}
    back = read_scene(folder)
    for name in ("character", "object", "hands", "face", "target_character", "reference"):
        assert (getattr(back, name) == getattr(scene, name)).all(), name
    np.testing.assert_allclose(back.depth, scene.depth, atol=1 / 65535)
    assert psnr(back.driving, scene.driving) > 31 and psnr(back.target, scene.target) > 31
    assert back.pose == scene.pose and back.meta == scene.meta
    assert back.meta["seed"] == 900_003 and back.meta["held_out"]


def test_odd_sizes_agree_in_every_file(tmp_path):
    back = read_scene(write_scene(render_scene(1, "walk", 2, 97, 101), tmp_path / "odd"))
    assert back.driving.shape == back.target.shape == (2, 102, 98, 3)
    assert back.character.shape == back.depth.shape == (2, 102, 98) and back.reference.shape == (102, 98, 3)
    assert back.pose[0]["canvas_width"] == back.meta["width"] == 98


def test_a_failure_leaves_nothing(scene, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files, "write_pose", fail)
    with pytest.raises(OSError, match="disk full"):
        write_scene(scene, tmp_path / "scene")
    assert list(tmp_path.iterdir()) == []


def test_missing_and_broken_files_are_named(scene, tmp_path):
    folder = write_scene(scene, tmp_path / "scene")
    (folder / "meta.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="meta.json"):
        read_scene(folder)
    (folder / "meta.json").write_text(json.dumps(scene.meta), encoding="utf-8")
    (folder / "pose.json").write_text(json.dumps(scene.pose[:3]), encoding="utf-8")
    with pytest.raises(InputError, match="'pose': 3"):
        read_scene(folder)
    (folder / "target.mp4").unlink()
    with pytest.raises(InputError, match="target.mp4"):
        read_scene(folder)
