"""What was perceived is kept by content: the same answer without looking again, and never another's."""

import logging
import os

import numpy as np
import pytest
from inhabit.media import Pose, open_video, write_lossless
from inhabit.media.pose import PARTS
from inhabit.perception.backends import PersonInFrame
from inhabit.perception.follow import Choice, Follower
from inhabit.perception.person_crop import PersonCrop
from inhabit.pipeline import kept_perception
from inhabit.pipeline.fitting import cropped
from inhabit.pipeline.perceived import perceive
from inhabit.pipeline.prepare.shots import Section


class Counting:
    """A body that stands at the brightness of each frame; it counts how often it is asked."""

    name, identity = "counting", "counting 1"

    def __init__(self):
        self.asked = 0

    def available(self) -> str | None:
        return None

    def estimate(self, frames, follow=None):
        self.asked += 1
        for frame in frames:
            parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
            parts["body"][:] = np.linspace((float(frame.mean()) % 40, 4, 1), (20, 30, 1), 18)
            mask = np.zeros(frame.shape[:2], np.float32)
            mask[4:30, 8 : 9 + int(frame[0, 0, 0]) % 20] = 1
            yield PersonInFrame(Pose(**parts), mask)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "kept"
    monkeypatch.setenv("INHABIT_CACHE", str(folder))
    return folder


@pytest.fixture
def video(tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (6, 32, 40, 3), np.uint8)
    write_lossless(tmp_path / "a.mkv", frames, 12)
    return open_video(tmp_path / "a.mkv")


def test_the_second_time_nobody_looks(cache, video, caplog):
    caplog.set_level(logging.INFO)
    model = Counting()
    first, second = perceive(video, model), perceive(video, model)
    assert model.asked == 1 and first.keypoints == second.keypoints
    assert (first.mask.tensor() == second.mask.tensor()).all() and first.mask.tensor().any()
    assert "was looked at before" in caplog.text


def test_a_copy_is_known_by_its_content_and_everything_else_is_another_question(cache, video, tmp_path):
    model = Counting()
    perceive(video, model)
    (tmp_path / "copy.mkv").write_bytes(video.path.read_bytes())
    perceive(open_video(tmp_path / "copy.mkv"), model)
    assert model.asked == 1
    perceive(video, model, follow=Follower(Choice(number=1)))
    crop = PersonCrop(((2, 2),) * 6, (24, 24), (40, 32))
    perceive(cropped(video, crop), model)
    perceive(cropped(video, PersonCrop(((3, 2),) * 6, (24, 24), (40, 32))), model)
    other = Counting()
    other.identity = "counting 2"
    perceive(video, other)
    assert model.asked == 4 and other.asked == 1


def test_shots_of_one_file_are_not_taken_for_each_other(cache, video):
    model = Counting()
    first, second = perceive(Section(video, 0, 3), model), perceive(Section(video, 3, 6), model)
    assert model.asked == 2 and first.keypoints != second.keypoints and not cache.exists()


def test_what_cannot_be_told_apart_is_not_kept(cache, video, monkeypatch):
    model = Counting()
    model.identity = None
    perceive(video, model)
    perceive(video, model)
    monkeypatch.setenv("INHABIT_CACHE", "off")
    perceive(video, Counting())
    assert model.asked == 2 and not cache.exists()


@pytest.mark.parametrize("damage", ["found.json", "mask.mkv", "empty"])
def test_what_is_damaged_is_found_anew(cache, video, damage):
    model = Counting()
    first = perceive(video, model)
    [place] = cache.iterdir()
    (place / (damage if damage != "empty" else "found.json")).write_bytes(b"" if damage == "empty" else b"{nonsense")
    again = perceive(video, model)
    assert model.asked == 2 and again.keypoints == first.keypoints
    perceive(video, model)
    assert model.asked == 2


def test_the_folder_is_bounded_and_the_oldest_goes_first(cache, tmp_path, monkeypatch):
    model, videos = Counting(), []
    for number in range(3):
        frames = np.random.default_rng(number).integers(0, 256, (3, 32, 40, 3), np.uint8)
        write_lossless(tmp_path / f"{number}.mkv", frames, 12)
        videos.append(open_video(tmp_path / f"{number}.mkv"))
    for number, video in enumerate(videos[:2]):
        perceive(video, model)
        for place in cache.iterdir():
            os.utime(place, (1000 + number, 1000 + number)) if place.stat().st_mtime > 10_000 else None
    one = sum(file.stat().st_size for file in next(cache.iterdir()).iterdir())
    monkeypatch.setattr(kept_perception, "MOST_BYTES", int(2.5 * one))
    perceive(videos[2], model)
    assert len(list(cache.iterdir())) == 2 and model.asked == 3
    perceive(videos[1], model)
    assert model.asked == 3
    perceive(videos[0], model)
    assert model.asked == 4


def test_a_folder_that_cannot_be_written_is_told_and_the_result_stays(tmp_path, video, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INHABIT_CACHE", str(tmp_path / "file" / "kept"))
    assert len(perceive(video, Counting()).keypoints) == 6 and "is not kept" in caplog.text
