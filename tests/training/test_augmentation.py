from dataclasses import replace

import cv2
import numpy as np
import pytest
from inhabit.media.pose import Pose
from inhabit.training import augmentation
from inhabit.training.augmentation import Clip

from .conftest import steps_of

SIDE = 48


def _points(count, rng):
    points = rng.uniform(5, SIDE - 5, (count, 3)).astype(np.float32)
    points[:, 2] = 1
    return points


def _clip(frames=3):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (frames, SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((frames, SIDE, SIDE), np.uint8)
    mask[:, 14:40, 18:30] = 255
    pose = Pose(_points(18, rng), _points(21, rng), _points(21, rng), _points(70, rng))
    return Clip(
        driving=picture, target=picture, reference=picture[0], depth=mask.astype(np.float32) / 510,
        character=mask, object=np.zeros_like(mask), target_character=mask, hands=mask // 5, face=mask // 3,
        poses=[[pose]] * frames, before=[[pose]] * frames,
    )  # fmt: skip


def test_flip_mirrors_pictures_and_exchanges_left_and_right():
    clip = _clip()
    mirrored = augmentation.flip(clip)
    np.testing.assert_array_equal(mirrored.target, clip.target[:, :, ::-1])
    np.testing.assert_array_equal(mirrored.reference, clip.reference[:, ::-1])
    assert (mirrored.before[0][0].body == mirrored.poses[0][0].body).all()
    before, after = clip.poses[0][0], mirrored.poses[0][0]
    right_wrist, left_wrist, nose = 4, 7, 0
    np.testing.assert_allclose(after.body[left_wrist, 0], SIDE - before.body[right_wrist, 0])
    np.testing.assert_allclose(after.body[left_wrist, 1], before.body[right_wrist, 1])
    np.testing.assert_allclose(after.body[nose, 0], SIDE - before.body[nose, 0])
    np.testing.assert_allclose(after.left_hand[:, 0], SIDE - before.right_hand[:, 0])
    outer_right_eye, outer_left_eye, mouth_right, mouth_left, chin = 36, 45, 48, 54, 8
    for here, there in ((outer_left_eye, outer_right_eye), (mouth_left, mouth_right), (chin, chin)):
        np.testing.assert_allclose(after.face[here, 1], before.face[there, 1])


def test_flipping_twice_changes_nothing():
    clip = _clip()
    twice = augmentation.flip(augmentation.flip(clip))
    np.testing.assert_array_equal(twice.depth, clip.depth)
    for part in ("body", "left_hand", "right_hand", "face"):
        np.testing.assert_allclose(getattr(twice.poses[0][0], part), getattr(clip.poses[0][0], part), atol=1e-4)


def test_missing_keypoints_stay_missing():
    clip = _clip()
    pose = replace(clip.poses[0][0], body=np.zeros((18, 3), np.float32))
    assert not augmentation.mirror_pose(pose, SIDE).body.any()
    clip = replace(clip, poses=[[pose]] * 3)
    assert not augmentation.scale_character(clip, 0.8).poses[0][0].body.any()


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_scaling_leaves_the_mask_of_the_unscaled_character(factor):
    clip = _clip()
    scaled = augmentation.scale_character(clip, factor)
    assert scaled.character is clip.character
    np.testing.assert_array_equal(scaled.driving, scaled.target)
    area = (scaled.target_character > 127).sum() / (clip.target_character > 127).sum()
    assert abs(area - factor**2) < 0.15
    rows = np.flatnonzero((scaled.target_character[0] > 127).any(1))
    assert abs(rows[-1] - 39) <= 1  # the feet stay on the ground
    heights = [np.ptp(pose[0][0].body[:, 1]) for pose in (clip.poses, scaled.poses)]
    np.testing.assert_allclose(heights[1] / heights[0], factor, rtol=1e-4)
    far = np.zeros((SIDE, SIDE), bool)
    far[:, :8] = True
    np.testing.assert_array_equal(scaled.target[:, far], clip.target[:, far])


def test_shrinking_leaves_nothing_of_the_old_character():
    clip = _clip()
    flat = np.full_like(clip.target, 60)
    flat[clip.character > 0] = (250, 10, 10)
    clip = replace(clip, target=flat, driving=flat)
    scaled = augmentation.scale_character(clip, 0.6)
    uncovered = (clip.character > 0) & (scaled.target_character == 0)
    assert uncovered.any()
    assert np.abs(scaled.target[uncovered].astype(int) - 60).max() <= 8


def test_blurred_hands_lose_their_detail_and_the_rest_keeps_its_pixels():
    clip = _clip()
    hands = np.zeros_like(clip.hands)
    hands[:, 20:32, 30:42] = 255
    clip = replace(clip, hands=hands)
    blurred = augmentation.blur_hands(clip, 2.0)
    inside, far = np.s_[:, 22:30, 32:40], np.ones((SIDE, SIDE), bool)
    far[12:40, 22:50] = False
    assert blurred.target[inside].std() < 0.4 * clip.target[inside].std()
    assert abs(blurred.target[inside].mean() - clip.target[inside].mean()) < 8
    np.testing.assert_array_equal(blurred.target[:, far], clip.target[:, far])
    np.testing.assert_array_equal(blurred.driving, blurred.target)


def _changed(tiny, augmented, cross, kinds, steps=1):
    """Batches of six rendered clips with this augmentation in every one, as float arrays 0…255."""
    stage = f"stages=[{{name: a, kind: spatial, steps: 6, clips: 6, frames: 2, augmentation: {augmented}}}]"
    batches = steps_of(tiny(stage, f"data.kinds={kinds}", f"data.cross_identity={cross}"))
    for step in range(steps):
        yield {
            name: value.numpy().astype(np.float32) for name, value in vars(batches[step]).items() if value is not None
        }


@pytest.mark.parametrize("cross", [0, 1])
@pytest.mark.parametrize(
    "augmented",
    ["{scale: 0}", "{scale: 1, scale_range: [0.7, 0.8]}", "{scale: 1, scale_range: [1.2, 1.35]}",
     "{scale: 0, blur_hands: 1, blur_range: [2, 2]}", "{scale: 1, blur_hands: 1, inference_blocks: 0}"],
)  # fmt: skip
def test_no_condition_contradicts_the_target_outside_the_mask(tiny, augmented, cross):
    """Environment and object condition are cut from the driving pictures: there they must be what the target shows."""
    objects = 0
    for batch in _changed(tiny, augmented, cross, "[object, reach, pass]", steps=3):
        difference = np.abs(batch["target_BFHWC"] - batch["driving_BFHWC"]).max(-1)
        kept = batch["mask_BFHW"] == 0
        assert kept.mean() > 0.2 and (difference[kept] > 1).mean() == 0, "environment"
        seen = batch["object_BFHW"] > 25.5
        shown = kept & seen
        objects += shown.sum()
        assert not (difference[shown] > 1).any(), "object"
        if not cross:
            assert not (difference[seen] > 1).any(), "object, inside the mask too"
    assert objects > 50, "there was something to contradict"


@pytest.mark.parametrize("cross", [0, 1])
@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_the_object_condition_is_the_scaled_object(tiny, factor, cross):
    """The truth is the unscaled clip, sampled at the place each scaled pixel came from."""
    augmented = "{{flip: 0, scale: {}, scale_range: [{}, {}], inference_blocks: 1}}"
    plain, scaled = (
        next(_changed(tiny, augmented.format(share, factor, factor), cross, "[object]")) for share in (0, 1)
    )
    for clip in range(6):
        before = {name: values[clip] for name, values in plain.items()}
        cut = np.maximum(before["character_BFHW"], before["object_BFHW"]).max(0) > 127
        rows, columns = np.nonzero(cut)
        feet = np.array([(columns.min() + columns.max()) / 2, rows.max()], np.float32)
        came = ((np.indices(cut.shape)[::-1].transpose(1, 2, 0) - feet) / factor + feet).astype(np.float32)
        for frame in range(2):
            expected = {
                name: cv2.remap(before[name][frame], came, None, cv2.INTER_LINEAR)
                for name in ("object_BFHW", "driving_BFHWC")
            }
            after = scaled["object_BFHW"][clip, frame]
            assert np.abs(after - expected["object_BFHW"]).max() <= 8
            shown = (after > 250) & ((scaled["mask_BFHW"][clip, frame] > 0) | (cross == 0))
            driving = scaled["driving_BFHWC"][clip, frame]
            assert np.abs(driving - expected["driving_BFHWC"])[shown].max(initial=0) <= 8


def test_random_blocks_are_numbers_between_one_and_the_box_side():
    mask = np.zeros((2, 40, 40), np.uint8)
    mask[0, 5:25, 10:22] = 255  # 20 × 12
    mask[1, 5:15, 10:16] = 255
    rng = np.random.default_rng(0)
    drawn = np.array([augmentation.random_blocks(rng, mask, 0.0) for _ in range(400)])
    assert drawn.min() == 1 and drawn[:, 0].max() == 20 and drawn[:, 1].max() == 12
    inference = [augmentation.random_blocks(rng, mask, 0.6) is None for _ in range(400)]
    assert 0.5 < np.mean(inference) < 0.7


def test_reference_keeps_the_character_and_replaces_the_background():
    image = np.full((SIDE, SIDE, 3), 77, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:40, 5:15] = 255
    image[mask > 0] = (200, 30, 30)
    first, second = (augmentation.reference_from_frame(np.random.default_rng(seed), image, mask) for seed in (1, 2))
    assert (first[SIDE // 2, SIDE // 2] == (200, 30, 30)).all()  # centred
    red = np.abs(first.astype(int) - (200, 30, 30)).max(-1) < 3
    rows = np.flatnonzero(red[:, SIDE // 2])
    assert 0.7 * SIDE < rows[-1] - rows[0] + 1 <= SIDE  # and filling the picture
    assert np.abs(first[:, 0].astype(int) - second[:, 0]).mean() > 10
