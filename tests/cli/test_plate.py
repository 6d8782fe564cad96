"""`inhabit animate --plate`: what other frames show of the place, around the new character."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest
from inhabit.media import read_video, write_lossless, write_pose, write_video
from inhabit.perception.backends import POSE_ESTIMATORS, PersonInFrame

from .conftest import HEIGHT, WIDTH, stick_figure

FRAMES = 12
BOX = np.s_[24:44, 2:11]  # where the old character is at first


class FindsNobody:
    name = "nobody"

    def available(self) -> str | None:
        return None

    def estimate(self, frames: Iterable[np.ndarray], follow=None) -> Iterator[PersonInFrame]:
        return (PersonInFrame(None, np.zeros(frame.shape[:2], np.float32)) for frame in frames)


@pytest.fixture
def crossing(clip) -> np.ndarray:
    """A white box crosses a picture, which is returned, (H, W, 3) uint8; the pose stays in the middle."""
    coarse = np.random.default_rng(1).integers(60, 200, (8, 6, 3), dtype=np.uint8)
    place = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    driving, masks = np.stack([place] * FRAMES), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for index in range(FRAMES):
        part = np.s_[24:44, 2 + 3 * index : 11 + 3 * index]
        driving[index][part], masks[index][part] = 255, 255
    write_video(clip.folder / "driving.mp4", driving, 24)
    write_lossless(clip.folder / "mask.mkv", masks, 24)
    write_pose(clip.folder / "pose.json", [stick_figure()] * FRAMES)
    for name in ("object.mkv", "depth.mkv"):
        (clip.folder / name).unlink()
    return place


def far_from(result: np.ndarray, place: np.ndarray) -> float:
    """Mean difference, 0…255, from the place where the old character was in the first frame."""
    return float(np.abs(result[0][BOX].astype(int) - place[BOX]).mean())


def test_the_place_is_shown_where_the_old_character_was(animate, clip, crossing, monkeypatch):
    monkeypatch.setitem(POSE_ESTIMATORS, next(iter(POSE_ESTIMATORS)), FindsNobody)
    videos = {}
    for plate in ("auto", "off"):
        code, error = animate(out=clip.out / f"{plate}.mkv", plate=plate)
        assert code == 0, error
        videos[plate] = read_video(clip.out / f"{plate}.mkv").frames
    assert far_from(videos["auto"], crossing) < 6 < 20 < far_from(videos["off"], crossing)
    kept = np.s_[26:29, 24]  # on the skeleton, when the region is there
    assert np.array_equal(videos["auto"][6][kept], videos["off"][6][kept])


def test_without_an_estimator_it_is_told_and_left_out(animate, clip, crossing, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("INHABIT_MODELS", str(tmp_path))
    with caplog.at_level("INFO"):
        assert animate(out=clip.out / "auto.mkv")[0] == 0
    assert "no clean plate" in caplog.text and "fetch-weights" in caplog.text
    assert animate(out=clip.out / "off.mkv", plate="off")[0] == 0
    auto, off = (read_video(clip.out / f"{name}.mkv").frames for name in ("auto", "off"))
    assert np.array_equal(auto, off)


def test_without_a_driving_video_there_is_no_plate(animate, clip, crossing, caplog):
    with caplog.at_level("INFO"):
        assert animate(driving=None, pose=clip.folder / "pose.json", size="48x64")[0] == 0
    assert "plate" not in caplog.text
