"""Where the new character is kept, with estimators that find what they are told to."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from inhabit.perception.backends import MediaPipePose, PersonInFrame
from inhabit.pipeline import DrivingConditions
from inhabit.pipeline.matte import LONGER_SIDE, character_mattes
from inhabit.scenes.renderer import SceneRenderer

HEIGHT, WIDTH, FRAMES = 48, 64, 3


class Finds:
    """An estimator that finds a box, in shares of the picture, or nobody; `seen` keeps the pictures' shapes."""

    name = "finder"

    def __init__(self, box: tuple[float, float, float, float] | None) -> None:
        self.box, self.seen = box, []

    def available(self) -> str | None:
        return None

    def estimate(self, frames, follow=None):
        for frame in frames:
            self.seen.append(frame.shape)
            mask = np.zeros(frame.shape[:2], np.float32)
            if self.box is not None:
                top, bottom, left, right = self.box
                height, width = mask.shape
                mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
            yield PersonInFrame(None, mask)


def conditions(*, skeleton: bool = True, objects: bool = False) -> DrivingConditions:
    """A line from the top to the bottom at column 32, and an object at the left edge."""
    lines = torch.zeros(FRAMES, HEIGHT, WIDTH, 3)
    if skeleton:
        lines[:, 8:40, 32] = 1
    thing = torch.zeros(FRAMES, HEIGHT, WIDTH)
    thing[:, 20:24, 2:6] = 1
    mask = torch.ones(FRAMES, HEIGHT, WIDTH)
    return DrivingConditions(torch.zeros(FRAMES, HEIGHT, WIDTH, 3), mask, lines, object_mask=thing if objects else None)


def mattes(box: tuple[float, float, float, float] | None, **given) -> torch.Tensor:
    drawn = conditions(**given)
    return character_mattes(lambda: iter(drawn.driving), drawn, Finds(box)).tensor()


def test_the_found_person_a_little_grown_with_soft_edges():
    matte = mattes((0.1, 0.9, 0.4, 0.6))
    assert matte[:, 6:42, 27:37].eq(1).all()
    assert matte[:, :, :20].eq(0).all() and matte[:, :, 44:].eq(0).all()
    assert ((matte > 0) & (matte < 1)).any()


def test_limbs_that_were_not_found_are_kept():
    matte = mattes((0.5, 0.9, 0.4, 0.6))
    assert matte[:, 8:24, 32].eq(1).all() and matte[:, 12, 20].eq(0).all()


def test_small_pictures_are_looked_at_larger():
    drawn, finder = conditions(), Finds(None)
    character_mattes(lambda: iter(drawn.driving), drawn, finder)
    assert finder.seen == [(LONGER_SIDE * HEIGHT // WIDTH, LONGER_SIDE, 3)] * FRAMES


def test_objects_are_kept():
    assert mattes((0.1, 0.9, 0.4, 0.6), objects=True)[:, 20:24, 2:6].eq(1).all()


@pytest.mark.parametrize("box", [None, (0.1, 0.9, 0.0, 0.2)])  # nobody, and somebody elsewhere
def test_a_body_around_the_skeleton_where_the_character_is_not_found(box, caplog):
    with caplog.at_level("INFO"):
        matte = mattes(box)
    assert matte[:, 8:40, 31:34].eq(1).all() and matte[:, :, :24].eq(0).all()
    assert "not found in frames 0-2" in caplog.text


def test_the_whole_frame_without_a_skeleton_and_without_anybody():
    assert mattes(None, skeleton=False).eq(1).all()


def test_a_puppet_is_found_by_the_real_estimator():
    estimator = MediaPipePose()
    if estimator.available():
        pytest.skip(estimator.available())
    renderer = SceneRenderer(900_002, "walk", 128, 128, 3)
    frames = [renderer.frame(index, "B") for index in range(3)]
    pictures = torch.from_numpy(np.stack([frame.image for frame in frames])).float() / 255
    truth = np.stack([np.maximum(frame.character, frame.object) for frame in frames]) > 25
    plain = dataclasses.replace(
        DrivingConditions(pictures, torch.ones(3, 128, 128), torch.zeros(3, 128, 128, 3)), object_mask=None
    )
    matte = character_mattes(lambda: iter(pictures), plain, estimator).tensor().numpy() > 0.5
    wide = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((17, 17))) for mask in truth]) > 0
    assert matte[truth].mean() > 0.9 and not (matte & ~wide).sum() > 0.02 * truth.sum()
