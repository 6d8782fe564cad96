"""Limb order in depth: what the 2D skeleton cannot tell, the picture and the depth do."""

import numpy as np
import pytest
from inhabit.scenes import SceneRenderer, body
from inhabit.scenes.drawing import Canvas
from inhabit.scenes.puppet import Puppet


def drawn(arm_z: float) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Colour with depth, masks, and the pixel of a right hand laid `arm_z` before (+) or behind (−) the belly."""
    scene = SceneRenderer(7, "reach", 128, 128, 1)
    points = scene._points[0].copy()
    middle = (points[body.NECK] + points[body.PELVIS]) / 2
    arm = [body.ELBOWS[0], body.WRISTS[0], *range(body.HANDS[0].start, body.HANDS[0].stop)]
    hand = points[body.HANDS[0]] - points[body.WRISTS[0]]
    points[body.ELBOWS[0]] = points[body.SHOULDERS[0]] * 0.5 + middle * 0.5
    points[body.WRISTS[0]] = middle
    points[body.HANDS[0]] = middle + 0.5 * hand
    points[arm, 2] = middle[2] + arm_z
    left = [body.ELBOWS[1], body.WRISTS[1], *range(body.HANDS[1].start, body.HANDS[1].stop)]
    points[left, 0] += 200
    canvas = Canvas(np.zeros((128, 128, 4), np.uint8), 1, 1.0)
    Puppet(points, scene.characters["A"], scene._unit, scene._depth_of, np.array([0.0, -1.0])).draw(canvas)
    x, y = points[body.HANDS[0].start + 9, :2].round().astype(int)
    return canvas.paint, canvas.marks, (y, x)


def test_same_skeleton_arm_before_or_behind_the_torso():
    before, before_marks, at = drawn(0.2)
    behind, behind_marks, _ = drawn(-0.2)
    assert before_marks[at][2] > 200 and behind_marks[at][2] == 0
    assert before_marks[at][0] == behind_marks[at][0] == 255
    assert before[at][3] > behind[at][3] + 5
    assert np.abs(before[at][:3].astype(int) - behind[at][:3]).max() > 8


def test_two_bones_reach_the_target_and_keep_their_lengths():
    rng = np.random.default_rng(0)
    start, target, pole = rng.normal(size=(3, 50, 3)) * 0.1
    middle, end = body.two_bones(start, target, pole, 0.15, 0.14)
    np.testing.assert_allclose(np.linalg.norm(middle - start, axis=1), 0.15, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(end - middle, axis=1), 0.14, atol=1e-9)
    distance = np.linalg.norm(target - start, axis=1)
    near = (distance > 0.02) & (distance < 0.28)
    np.testing.assert_allclose(end[near], target[near], atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_a_fist_is_shorter_than_a_straight_hand_and_thumbs_mirror(side):
    direction, palm = np.array([[0.0, -1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    straight = body.hand_points(side, direction, palm, np.zeros((1, 5)), np.full(1, 0.3), 0.1)[0]
    fist = body.hand_points(side, direction, palm, np.ones((1, 5)), np.full(1, 0.3), 0.1)[0]
    assert (
        np.linalg.norm(fist[[8, 12, 16, 20]], axis=1) < 0.75 * np.linalg.norm(straight[[8, 12, 16, 20]], axis=1)
    ).all()
    # Palms to the camera, fingers up: thumbs point at each other, so the right hand's to the picture's right.
    assert np.sign(straight[4, 0]) == (1 if side == 0 else -1)
