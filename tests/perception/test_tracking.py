"""Objects that somebody pointed at, followed by GrabCut and optical flow, against exact masks of rendered scenes."""

import logging

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.perception.backends.grabcut_flow import GrabCutFlow
from inhabit.perception.prompts import Box, Point, Prompt
from inhabit.perception.tracking import ObjectMasks, track
from inhabit.scenes import render_scene

SIDE, FRAMES, MIDDLE = 192, 10, 4


@pytest.fixture(scope="module")
def scene():
    return render_scene(900_002, "walk", FRAMES, SIDE, SIDE)


def around(mask: np.ndarray, frame: int) -> Prompt:
    """A box round a mask, and a point in its middle, the pixel farthest from its edge in its middle row."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    row = int(rows[len(rows) // 3])
    across = np.flatnonzero(mask[row])
    point = Point(frame, (float(across[len(across) // 2]) + 0.5) / SIDE, (row + 0.5) / SIDE)
    x, y, right, bottom = (value / SIDE for value in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return Prompt((point,), (Box(frame, x, y, right - x, bottom - y),))


def shared(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / max((one | other).sum(), 1)


@pytest.mark.parametrize("frame", [0, MIDDLE])
def test_a_character_is_followed_in_both_directions(scene, frame):
    truth = scene.character > 127
    masks = track(scene.driving, [around(truth[frame], frame)], GrabCutFlow())
    found = [shared(masks.get(index), truth[index]) for index in range(FRAMES)]
    assert np.mean(found) > 0.8 and min(found) > 0.6


def test_every_object_has_its_own_mask_and_numbers_stay(scene):
    masks = track(scene.driving[:2], [Prompt(), around(scene.character[0] > 127, 0)], GrabCutFlow())
    assert masks.objects == 2 and not masks.get(0, 0).any() and masks.get(0, 1).any()
    assert np.array_equal(masks.get(0), masks.get(0, 1)) and masks.missing(0) == [0, 1]


def test_what_works_and_what_is_missing_are_told(scene, caplog):
    caplog.set_level(logging.INFO)

    class Once:
        name = "once"

        def available(self):
            return None

        def segment(self, frames, prompts):
            yield 0, 0, np.ones(frames[0].shape[:2], bool)

    calls = []
    masks = track(scene.driving[:3], [around(scene.character[0] > 127, 0)], Once(), lambda: calls.append(1))
    assert masks.get(0).all() and masks.missing(0) == [1, 2] and calls == [1]
    assert "once follows 1 objects through 3 frames" in caplog.text
    assert "object 1 is not seen on 2 of 3 frames, first on frame 1" in caplog.text
    with pytest.raises(InputError, match="nothing is pointed at"):
        track(scene.driving, [Prompt()], Once())


def test_masks_come_back_as_they_were_put():
    masks, mask = ObjectMasks(2, 1, (5, 7)), np.random.default_rng(0).random((5, 7)) > 0.5
    masks.put(1, 0, mask)
    assert np.array_equal(masks.get(1, 0), mask) and not masks.get(0).any() and masks.missing(0) == [0]
