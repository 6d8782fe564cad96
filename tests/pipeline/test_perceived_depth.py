"""One scale for the depth of a whole clip, and files of it."""

import numpy as np
import pytest
from inhabit import cli
from inhabit.errors import InputError
from inhabit.media import open_video, write_lossless
from inhabit.perception.backends import LandmarkDepth
from inhabit.pipeline.perceived import chosen_backends
from inhabit.pipeline.perceived_depth import depth_at, perceive_depth
from inhabit.scenes import render_scene

REASON = LandmarkDepth().available()


class Ramp:
    """Nearness 3 to 7, of which every frame shows another stretch; one pixel a frame is far off."""

    name, on_skeleton = "ramp", False

    def available(self):
        return None

    def estimate(self, frames, follow=None):
        for index, frame in enumerate(frames):
            plane = np.linspace(3 + 0.5 * index, 5 + 0.5 * index, frame[..., 0].size, dtype=np.float32)
            plane[0] = -1000.0 if index == 2 else plane[0]
            yield plane.reshape(frame.shape[:2])


@pytest.fixture
def video(tmp_path):
    write_lossless(tmp_path / "driving.mkv", np.zeros((5, 64, 64, 3), np.uint8), 12)
    return open_video(tmp_path / "driving.mkv")


def test_all_frames_share_one_scale(video):
    depth = perceive_depth(video, Ramp()).tensor()
    middle = depth.flatten(1).median(dim=1).values
    steps = middle.diff()  # the frames' middles are 0.5 apart on a range of 4
    assert depth.min() == 0 and depth.max() == 1
    assert np.allclose(steps[[0, 3]], 0.5 / 4, atol=0.01)


def test_another_size_keeps_the_values(video):
    depth = perceive_depth(video, Ramp())
    larger = depth_at(depth, (128, 128))
    assert larger.shape == (5, 128, 128)
    assert np.allclose(larger[0].reshape(64, 2, 64, 2).mean(dim=(1, 3)), depth[0], atol=0.02)


def test_a_model_that_is_not_there_is_told(video):
    with pytest.raises(InputError, match="no model is named 'midas': choose of mediapipe, .*landmark-z"):
        chosen_backends(["midas"])


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_perceive_writes_depth_on_the_limbs(tmp_path):
    scene = render_scene(900_001, "walk", 4, 512, 512)
    write_lossless(tmp_path / "driving.mkv", scene.driving, 12)
    words = ["perceive", "--driving", str(tmp_path / "driving.mkv"), "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--what", "depth", "--backend", "landmark-z"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["depth.mkv", "perceived.json"]
    drawn = open_video(tmp_path / "out" / "depth.mkv").read()[..., 0] > 12
    assert 0.005 < drawn.mean() < 0.1 and (drawn & (scene.character > 127)).sum() > 0.7 * drawn.sum()
