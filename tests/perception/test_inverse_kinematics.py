"""The solve of joints, against closed forms: the two-bone limb, a weighted mean, a straight arm that cannot reach."""

import numpy as np
from inhabit.perception.inverse_kinematics import JointSolve
from inhabit.scenes.body import two_bones

FRAMES = 5
ONE = np.ones(FRAMES)


def limb(target: np.ndarray, first: float, second: float, start: np.ndarray) -> np.ndarray:
    """(F, 3, 3): a limb whose first joint is at 0 and whose last belongs at target (F, 3)."""
    solve = JointSolve(start)
    solve.place(0, np.zeros((FRAMES, 3)), 1e4 * ONE)
    solve.place(2, target, 10 * ONE)
    solve.length(0, 1, first * ONE, 1e3 * ONE)
    solve.length(1, 2, second * ONE, 1e3 * ONE)
    return solve.solve()


def test_two_bones_reach_their_target_as_the_law_of_cosines_says():
    rng = np.random.default_rng(2)
    target = rng.normal(size=(FRAMES, 3))
    target *= 40 / np.linalg.norm(target, axis=1, keepdims=True)
    pole = rng.normal(size=(FRAMES, 3))
    middle, end = two_bones(np.zeros((FRAMES, 3)), target, pole, 30.0, 25.0)
    near, _ = two_bones(np.zeros((FRAMES, 3)), target, pole, 28.0, 27.0)
    found = limb(target, 30.0, 25.0, np.stack([0 * near, near, target], axis=1))
    assert np.abs(found[:, 1] - middle).max() < 1e-2 and np.abs(found[:, 2] - end).max() < 1e-2


def test_a_limb_that_is_too_short_stretches_towards_its_target():
    target = np.tile([100.0, 0, 0], (FRAMES, 1))
    start = np.tile(np.array([[0, 0, 0], [28.0, 10, 0], [50.0, 0, 0]]), (FRAMES, 1, 1))
    found = limb(target, 30.0, 25.0, start)
    assert np.abs(found[:, 1] - [30, 0, 0]).max() < 0.6 and np.abs(found[:, 2] - [55, 0, 0]).max() < 1


def test_places_and_offsets_are_weighted_means_frame_by_frame():
    places, weights = np.arange(FRAMES)[:, None] * np.array([1.0, 2, 3]), np.arange(1, FRAMES + 1).astype(float)
    solve = JointSolve(np.zeros((FRAMES, 2, 3)))
    solve.place(0, places, weights)
    solve.place(0, np.zeros((FRAMES, 3)), 2 * ONE)
    solve.offset(0, 1, np.tile([0.0, 5, 0], (FRAMES, 1)), ONE)
    found = solve.solve()
    mean = places * (weights / (weights + 2))[:, None]
    assert np.abs(found[:, 0] - mean).max() < 1e-2 and np.abs(found[:, 1] - mean - [0, 5, 0]).max() < 1e-2


def test_two_axes_leave_depth_alone():
    solve = JointSolve(np.full((FRAMES, 1, 3), 7.0))
    solve.place(0, np.zeros((FRAMES, 3)), ONE, axes=2)
    assert np.allclose(solve.solve(), [[[0, 0, 7]]], atol=1e-3)
