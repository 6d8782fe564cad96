"""A character with bones of its own in another one's place: what the truth of retargeting keeps and what it changes."""

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.scenes import HELD_OUT_SEED, KINDS, SceneRenderer, body
from inhabit.scenes.motion import make_controls
from inhabit.scenes.own_body import GRIP_POINTS, own_points, standing_height

TIMES = np.arange(12) / 24
USUAL = body.Rig()
OTHER = body.Rig(shoulder=0.125, torso=0.31, thigh=0.21, shin=0.2, pelvis=0.45, head=(0.1, 0.12, 0.11), hand=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_as_tall_and_its_feet_stay(kind):
    controls = make_controls(kind, [3, 1], TIMES)
    before, after = body.solve(USUAL, controls), own_points(USUAL, OTHER, controls)
    factor = standing_height(USUAL) / standing_height(OTHER)
    bones = {(3, 4): "forearm", (2, 3): "upper_arm", (9, 10): "shin", (8, 9): "thigh"}
    for (start, end), name in bones.items():
        length = np.linalg.norm(after[:, end] - after[:, start], axis=-1)
        assert np.allclose(length, factor * getattr(OTHER, name), atol=1e-6)
    ankles = list(body.ANKLES)
    assert np.abs(after[:, ankles][..., [0, 2]] - before[:, ankles][..., [0, 2]]).max() < 0.06  # clipped by short legs
    assert np.abs(after[:, ankles, 1] - before[:, ankles, 1]).max() < 0.06


@pytest.mark.parametrize("kind", ["object", "pass"])
def test_the_object_stays_in_the_hand_that_holds_it(kind):
    controls = make_controls(kind, [5, 1], TIMES)
    before, after = body.solve(USUAL, controls), own_points(USUAL, OTHER, controls)
    for side in (0, 1):
        held = controls.hold[:, side] >= 0.5
        grips = [points[held][:, body.HANDS[side]][:, GRIP_POINTS].mean(axis=1) for points in (before, after)]
        assert np.abs(grips[0] - grips[1]).max(initial=0) < 0.01


def test_the_same_bones_are_the_driving_pose():
    controls = make_controls("dance", [7, 1], TIMES)
    assert np.allclose(own_points(USUAL, USUAL, controls), body.solve(USUAL, controls), atol=1e-9)


def test_a_scene_tells_it_and_draws_nothing_else():
    scene, other = (SceneRenderer(HELD_OUT_SEED, "object", frames=3) for _ in range(2))
    own, given = scene.own_pose(1), scene.pose(1)
    assert own.keys() == given.keys() and own["people"] != given["people"]
    assert np.array_equal(scene.frame(1, "B").image, other.frame(1, "B").image)
    for index, identity, wanted in ((3, "B", "frame is 3"), (0, "C", "identity is 'C'")):
        with pytest.raises(InputError, match=wanted):
            scene.own_pose(index, identity)
