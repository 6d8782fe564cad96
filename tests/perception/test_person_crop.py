"""The crop around a person, on boxes made by hand."""

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import parse_poses
from inhabit.perception.person_crop import is_small, mask_boxes, person_boxes, person_crop, poses_cut_to

PICTURE, RATE = (640, 360), 25


def boxes(middles: np.ndarray, size=(40, 90)) -> np.ndarray:
    half = np.array(size) / 2
    return np.concatenate([middles - half, middles + half], axis=1)


def walk(frames: int, shake: float = 0.0) -> np.ndarray:
    """Middles of somebody who walks from the left to the right of the picture."""
    rng = np.random.default_rng(0)
    return np.column_stack([np.linspace(60, 580, frames), np.full(frames, 200.0)]) + rng.normal(0, shake, (frames, 2))


def holds(crop, box: np.ndarray, index: int) -> bool:
    left, top = crop.corners[index]
    return left <= box[0] and top <= box[1] and box[2] <= left + crop.size[0] and box[3] <= top + crop.size[1]


def test_somebody_who_stays_gets_a_window_that_stands_still():
    seen = boxes(np.array([[300, 180], [310, 182], [295, 178], [304, 180]]))
    crop = person_crop(seen, PICTURE, RATE)
    assert len(set(crop.corners)) == 1 and all(holds(crop, box, i) for i, box in enumerate(seen))
    assert all(side % 8 == 0 for side in crop.size) and crop.size[1] < 90 * 2.2


@pytest.mark.parametrize("frames", [1, 2, 12, 150])
def test_somebody_who_walks_stays_in_a_window_that_moves_without_shaking(frames):
    seen = boxes(walk(frames, shake=2.0))
    crop = person_crop(seen, PICTURE, RATE)
    assert all(holds(crop, box, index) for index, box in enumerate(seen))
    assert (np.array(crop.corners) >= 0).all() and (np.array(crop.corners) + crop.size <= PICTURE).all()
    if frames == 150:
        shaking = np.abs(np.diff(seen[:, :2], n=2, axis=0)).mean()
        assert np.abs(np.diff(crop.corners, n=2, axis=0)).mean() < 0.2 * shaking


def test_frames_without_anybody_are_bridged():
    seen = boxes(walk(21))
    gaps = seen.copy()
    gaps[[0, 1, 7, 8, 9, 20]] = np.nan
    whole, bridged = person_crop(seen, PICTURE, RATE), person_crop(gaps, PICTURE, RATE)
    assert np.abs(np.subtract(whole.corners, bridged.corners)[3:18]).max() <= 30 and bridged.size == whole.size
    with pytest.raises(InputError, match="nobody is in any frame"):
        person_crop(np.full((3, 4), np.nan), PICTURE, RATE)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9])
def test_the_shape_that_is_asked_for(aspect):
    crop = person_crop(boxes(np.array([[300.0, 180.0]])), PICTURE, RATE, aspect)
    assert crop.size[0] / crop.size[1] == pytest.approx(aspect, rel=0.08)


def test_a_window_is_never_larger_than_the_picture():
    crop = person_crop(boxes(np.array([[320.0, 180.0]]), (300, 350)), PICTURE, RATE, 1.0)
    assert crop.size == (360, 360) and (np.array(crop.corners) + crop.size <= PICTURE).all()
    assert person_crop(np.array([[-50.0, -50, 700, 400]]), PICTURE, RATE).size == PICTURE


def test_what_is_small():
    assert is_small(boxes(walk(5)), PICTURE)
    assert not is_small(boxes(walk(5), (40, 200)), PICTURE)  # tall
    assert not is_small(boxes(walk(5), (20, 40)), PICTURE)  # no pixels to gain
    assert not is_small(np.full((2, 4), np.nan), PICTURE)


def test_poses_and_pictures_are_cut_alike():
    picture = np.zeros((360, 640), np.float32)
    picture[150:240, 280:320] = 1
    body = [0.0] * 54
    body[0:3], body[3:6] = [280, 150, 1], [320, 240, 1]
    frame = {"canvas_width": 640, "canvas_height": 360, "people": [{"pose_keypoints_2d": body, "score": 7}]}
    people = parse_poses([frame], *PICTURE)
    np.testing.assert_array_equal(mask_boxes([picture]), person_boxes(people))
    crop = person_crop(person_boxes(people), PICTURE, RATE)
    [[moved]] = parse_poses(poses_cut_to([frame], crop, crop.size), *crop.size)
    cut = crop.cut(picture, 0)
    np.testing.assert_array_equal(mask_boxes([cut])[0], person_boxes([[moved]])[0])
    assert cut.shape == crop.size[::-1] and cut.sum() == picture.sum() and not moved.body[2:].any()
