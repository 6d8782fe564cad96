"""The One Euro filter against a loop over single numbers, and what it does to a pose."""

import math

import numpy as np
import pytest
from inhabit.media.pose import PARTS, Pose
from inhabit.perception.smoothing import BETA, CUTOFF, SPEED_CUTOFF, OneEuro, PoseSmoother

RATE = 24.0


def direct(track: list[tuple[float, float] | None], scale: float) -> list[tuple[float, float] | None]:
    """One point, by the paper's formulas, with its speed along the way it goes."""

    def weight(cutoff: float) -> float:
        tau, period = 1 / (2 * math.pi * cutoff), 1 / RATE
        return 1 / (1 + tau / period)

    smooth, place, speed = [], None, (0.0, 0.0)
    for seen in track:
        if seen is None:
            place, speed = None, (0.0, 0.0)
        elif place is None:
            place = seen
        else:
            a = weight(SPEED_CUTOFF)
            speed = tuple(a * (s - p) * RATE + (1 - a) * v for s, p, v in zip(seen, place, speed, strict=True))
            a = weight(CUTOFF + BETA * math.hypot(*speed) / scale)
            place = tuple(a * s + (1 - a) * p for s, p in zip(seen, place, strict=True))
        smooth.append(place)
    return smooth


def test_it_is_the_papers_filter():
    random = np.random.default_rng(1)
    tracks = np.cumsum(random.normal(size=(40, 5, 2)), axis=0) * 4 + 100
    present = random.random((40, 5)) > 0.1
    smoother = OneEuro(RATE)
    found = np.stack([smoother(points, there, 50.0) for points, there in zip(tracks, present, strict=True)])
    for point in range(5):
        seen = [tuple(tracks[i, point]) if present[i, point] else None for i in range(40)]
        for i, expected in enumerate(direct(seen, 50.0)):
            assert found[i, point] == pytest.approx(expected or tracks[i, point], abs=1e-9)


def pose(x: float, **absent: bool) -> Pose:
    parts = {part: np.ones((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    for part, points in parts.items():
        points[:, 0], points[:, 1] = x, np.linspace(10, 110, len(points))
        points[:] *= not absent.get(part, False)
    return Pose(**parts)


def test_a_trembling_pose_rests_and_a_moving_one_keeps_up():
    random = np.random.default_rng(2)
    smoother, trembling = PoseSmoother(RATE), random.normal(size=96) + 50
    rested = np.array([smoother(pose(x)).body[0, 0] for x in trembling])[24:]
    assert np.diff(rested, 2).std() < 0.4 * np.diff(trembling[24:], 2).std()
    smoother, moving = PoseSmoother(RATE), np.arange(48) * 100 / RATE  # a body's size a second
    behind = moving - [smoother(pose(x)).body[0, 0] for x in moving]
    assert 0 <= behind[24:].min() and behind[24:].max() < 100 / RATE, "less than a frame"


def test_missing_points_stay_missing_and_begin_anew():
    smoother = PoseSmoother(RATE)
    smoother(pose(0))
    without = smoother(pose(80, left_hand=True))
    assert not without.left_hand.any() and 0 < without.body[0, 0] < 80
    assert (smoother(pose(90)).left_hand[:, 0] == 90).all()
    assert smoother(None) is None
    assert (smoother(pose(20)).body[:, 0] == 20).all()
