"""A small inverse-kinematics solve: joints of many frames by Levenberg-Marquardt steps, all frames at once.

Joints are points in space, of which a pose shows x and y. Residuals are places, offsets between two joints, and
distances between two joints; each has a weight in each frame.
"""

from __future__ import annotations

import numpy as np

DAMPING, EASIER, HARDER = 1e-4, 10.0, 10.0  # the least damping, and how it falls and rises as steps help or not
STEPS = 30
ENOUGH = 1e-4  # pixels that no joint moves any more


class JointSolve:
    """Weighted least squares of F frames with N joints each."""

    def __init__(self, start: np.ndarray):
        """start (F, N, 3): where the joints begin, x and y in pixels, z towards the camera."""
        self._places = np.array(start, np.float64)
        frames, count = start.shape[:2]
        self._matrix = np.zeros((frames, 3, count, count))  # of the residuals that are linear, axis by axis
        self._vector = np.zeros((frames, 3, count))
        self._bones: list[tuple[int, int, np.ndarray, np.ndarray]] = []

    def place(self, joint: int, target: np.ndarray, weight: np.ndarray, axes: int = 3) -> None:
        """A joint belongs at target (F, 3) or (F, 2); weight (F,). axes: 2 leaves z alone."""
        self._matrix[:, :axes, joint, joint] += weight[:, None]
        self._vector[:, :axes, joint] += weight[:, None] * target[:, :axes]

    def offset(self, start: int, end: int, target: np.ndarray, weight: np.ndarray, axes: int = 3) -> None:
        """Joint `end` belongs at target (F, 3) from joint `start`."""
        pulled = weight[:, None]
        for one, other, sign in ((start, end, -1), (end, start, 1)):
            self._matrix[:, :axes, one, one] += pulled
            self._matrix[:, :axes, one, other] -= pulled
            self._vector[:, :axes, one] += sign * pulled * target[:, :axes]

    def length(self, start: int, end: int, target: np.ndarray, weight: np.ndarray) -> None:
        """The bone from joint `start` to joint `end` is target (F,) long."""
        self._bones.append((start, end, target, weight))

    def solve(self) -> np.ndarray:
        """(F, N, 3): where the joints belong."""
        places = self._places
        frames, count = places.shape[:2]
        damping, cost = np.full(frames, DAMPING), self._cost(places)
        for _ in range(STEPS):
            matrix, gradient = self._normal_equations(places)
            matrix[:, np.arange(3 * count), np.arange(3 * count)] += damping[:, None]
            step = np.linalg.solve(matrix, gradient[..., None]).reshape(frames, 3, count).transpose(0, 2, 1)
            tried = places - step
            cost_there = self._cost(tried)
            better = cost_there <= cost
            places = np.where(better[:, None, None], tried, places)
            cost = np.where(better, cost_there, cost)
            damping = np.where(better, np.maximum(damping / EASIER, DAMPING), damping * HARDER)
            if np.abs(step).max(initial=0) < ENOUGH:
                break
        return places

    def _cost(self, places: np.ndarray) -> np.ndarray:
        """(F,) half the weighted squares of all residuals, but for a constant."""
        linear = np.einsum("faij,fia,fja->f", self._matrix, places, places) / 2
        linear -= np.einsum("fai,fia->f", self._vector, places)
        for start, end, target, weight in self._bones:
            linear += weight * (np.linalg.norm(places[:, end] - places[:, start], axis=1) - target) ** 2 / 2
        return linear

    def _normal_equations(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, 3·N, 3·N) and (F, 3·N), axis by axis."""
        frames, count = places.shape[:2]
        matrix = np.zeros((frames, 3, count, 3, count))
        for axis in range(3):
            matrix[:, axis, :, axis] = self._matrix[:, axis]
        gradient = np.einsum("faij,fja->fai", self._matrix, places) - self._vector
        for start, end, target, weight in self._bones:
            _add_length(matrix, gradient, places, start, end, target, weight)
        return matrix.reshape(frames, 3 * count, 3 * count), gradient.reshape(frames, 3 * count)


def _add_length(matrix, gradient, places, start, end, target, weight) -> None:
    """Add one bone. A bone that is too long resists being turned, too, which keeps straight limbs from folding."""
    way = places[:, end] - places[:, start]
    now = np.maximum(np.linalg.norm(way, axis=1), 1e-9)
    along = way / now[:, None]
    outer = along[:, :, None] * along[:, None, :]
    across = np.maximum(1 - target / now, 0)[:, None, None] * (np.eye(3) - outer)
    outer = weight[:, None, None] * (outer + across)
    pull = (weight * (now - target))[:, None] * along
    for one, other, sign in ((start, end, -1), (end, start, 1)):
        matrix[:, :, one, :, one] += outer
        matrix[:, :, one, :, other] -= outer
        gradient[:, :, one] += sign * pull
