"""Skeleton pictures: the published colours at the joints' places, the same look at every size."""

import colorsys

import cv2
import numpy as np
import pytest
from inhabit.media import Pose, to_keypoints
from inhabit.perception import draw_skeleton, render_skeleton


def empty(points: int) -> np.ndarray:
    return np.zeros((points, 3), np.float32)


def person(width: int, height: int) -> Pose:
    """A body with well separated joints, one hand, a face of a ring of dots."""
    x = [.5, .5, .35, .22, .12, .65, .78, .88, .42, .4, .38, .58, .6, .62, .45, .55, .38, .62]  # fmt: skip
    y = [.15, .25, .26, .36, .47, .26, .36, .47, .5, .7, .9, .5, .7, .9, .11, .11, .13, .13]  # fmt: skip
    hand = [(0.12, 0.47)] + [
        (0.12 + 0.03 * reach * np.cos(a), 0.47 + 0.03 * reach * np.sin(a))
        for a in np.linspace(0.4, 2.8, 5)
        for reach in range(1, 5)
    ]
    ring = [(0.82 + 0.1 * np.cos(a), 0.14 + 0.1 * np.sin(a)) for a in np.linspace(0, 6.2, 70)]
    parts = (np.column_stack([x, y]), np.array(hand), np.array(ring))
    body, hand, face = (np.column_stack([p * (width, height), np.ones(len(p))]).astype(np.float32) for p in parts)
    return Pose(body, empty(21), hand, face)


def hue(index: int, of: int) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(index / of, 1, 1)) * 255


def test_joints_have_the_wheel_colours_and_limbs_their_dimmed_ones():
    pose = person(512, 512)
    picture = draw_skeleton([[pose]], 512, 512, hands=False, face=False)[0].astype(float)
    for joint, (x, y, _) in enumerate(pose.body):
        assert np.abs(picture[int(y), int(x)] - hue(joint, 18)).max() <= 1
    right_upper_arm, left_shin = (pose.body[[2, 3], :2].mean(0), 2), (pose.body[[12, 13], :2].mean(0), 11)
    for (x, y), limb in (right_upper_arm, left_shin):
        assert np.abs(picture[int(y), int(x)] - 0.6 * hue(limb, 18)).max() <= 1


def test_finger_bones_run_through_the_rainbow():
    pose = person(1024, 1024)
    picture = draw_skeleton([[pose]], 1024, 1024)[0].astype(float)
    hand = pose.right_hand
    for joint in (4, 8, 20):
        x, y = hand[[joint - 1, joint], :2].mean(0)
        assert np.abs(picture[int(y), int(x)] - hue(joint - 1, 20)).max() <= 1


def test_parts_can_be_left_out():
    pose = person(256, 256)
    only_face = Pose(empty(18), empty(21), empty(21), pose.face)
    dots = draw_skeleton([[only_face]], 256, 256)[0]
    x, y, _ = pose.face[0]
    assert dots[int(y), int(x)].tolist() == [255, 255, 255]
    assert (dots.std(axis=-1) == 0).all()
    assert not draw_skeleton([[only_face]], 256, 256, face=False).any()


def test_missing_joints_take_their_limbs_with_them():
    pose = person(256, 256)
    pose.body[4] = 0
    missing = draw_skeleton([[pose]], 256, 256, hands=False, face=False)[0]
    assert not missing[110:, :50].any()  # nothing around the right wrist
    assert not missing[:4, :4].any()  # nor a limb to the corner


@pytest.mark.parametrize(("width", "height"), [(128, 128), (256, 384)])
def test_small_pictures_are_the_averaged_usual_one(width, height):
    factor = 512 // width
    small = draw_skeleton([[person(width, height)]], width, height)[0]
    usual = draw_skeleton([[person(width * factor, height * factor)]], width * factor, height * factor)[0]
    shrunk = cv2.resize(usual, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - shrunk).max() <= 1


def test_twice_the_size_has_twice_the_widths():
    large = draw_skeleton([[person(1024, 1024)]], 1024, 1024)[0]
    usual = draw_skeleton([[person(512, 512)]], 512, 512)[0]
    ratio = (large.max(-1) > 76).sum() / (usual.max(-1) > 76).sum()  # half a limb's brightness
    assert ratio == pytest.approx(4, rel=0.1)


def test_keypoint_dicts_and_poses_give_the_same_picture():
    pose = person(128, 96)
    from_dict = render_skeleton([to_keypoints([pose], 128, 96), to_keypoints([], 128, 96)], 128, 96)
    from_pose = render_skeleton([[pose], []], 128, 96)
    assert from_dict.shape == (2, 96, 128, 3)
    assert (from_dict - from_pose).abs().max() <= 0.05
    assert from_dict[0].max() > 0.9 and not from_dict[1].any()
