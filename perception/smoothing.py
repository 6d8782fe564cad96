"""Points of a clip without their jitter: the One Euro filter, frame by frame.

Source: Casiez, Roussel and Vogel 2012, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input". A point at
rest is smoothed much, a fast one little.
"""

from __future__ import annotations

import math

import numpy as np

from ..media.pose import PARTS, Pose

CUTOFF = 1.7  # Hz, of a point at rest
BETA = 10.0  # Hz for every body size a second. Not in paper: speeds count in sizes of the body, not in pixels
SPEED_CUTOFF = 1.0  # Hz, of the speed itself; the paper's


class OneEuro:
    """Smooths N points that come frame by frame. A point that was missing begins anew."""

    def __init__(self, rate: float, cutoff: float = CUTOFF, beta: float = BETA, speed_cutoff: float = SPEED_CUTOFF):
        """rate: frames a second. cutoff, speed_cutoff: Hz. beta: Hz for every unit of `scale` a second."""
        self._rate, self._cutoff, self._beta = rate, cutoff, beta
        self._speed_gain = gain(speed_cutoff, rate)
        self._places: np.ndarray | None = None  # (N, 2), NaN where a point was missing
        self._velocities: np.ndarray | None = None

    def __call__(self, points: np.ndarray, present: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """(N, 2) of the next frame, present (N,) → (N, 2) smoothed; points that are not present come back as given.

        scale: pixels of one unit of speed.
        """
        if self._places is None:
            self._places, self._velocities = np.full(points.shape, np.nan), np.zeros(points.shape)
        fresh = np.isnan(self._places[:, :1])
        before = np.where(fresh, points, self._places)
        velocities = (points - before) * self._rate
        self._velocities = np.where(fresh, 0, self._velocities + self._speed_gain * (velocities - self._velocities))
        speeds = np.linalg.norm(self._velocities, axis=1, keepdims=True) / scale
        places = before + gain(self._cutoff + self._beta * speeds, self._rate) * (points - before)
        self._places = np.where(present[:, None], places, np.nan)
        self._velocities = np.where(present[:, None], self._velocities, 0)
        return np.where(present[:, None], places, points)


class PoseSmoother:
    """Smooths one person's pose, frame by frame, whichever model it came from."""

    def __init__(self, rate: float):
        """rate: frames a second."""
        self._filters = {part: OneEuro(rate) for part in PARTS}

    def __call__(self, pose: Pose | None) -> Pose | None:
        """The next frame's pose, smoothed; None where nobody is there, after which all points begin anew."""
        parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
        if pose is not None:
            parts = {part: getattr(pose, part) for part in PARTS}
        scale = _size(parts["body"])
        for part, points in parts.items():
            places = self._filters[part](points[:, :2], points[:, 2] > 0, scale)
            parts[part] = np.column_stack([places, points[:, 2]]).astype(np.float32)
        return None if pose is None else Pose(**parts)


def gain(cutoff, rate: float):
    """How far a low-pass filter of a cutoff in Hz goes towards a new value, 0…1 (eq. 5 and 6 of the paper)."""
    return 1 / (1 + rate / (2 * math.pi * cutoff))


def _size(body: np.ndarray) -> float:
    """Pixels of the longer side of the box around a body (18, 3); 1 where it has no box."""
    there = body[body[:, 2] > 0, :2]
    return max(float(np.ptp(there, axis=0).max()), 1.0) if len(there) else 1.0
