"""COCO's points, 17 of the body or 133 of the whole of it, → OpenPose's."""

from __future__ import annotations

import numpy as np

from ...media.pose import PARTS, Pose

# Of COCO's body, in OpenPose's order; the neck is the middle of the shoulders. Odd numbers are the person's left.
BODY = (0, (5, 6), 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
BODY_POINTS, WHOLE_POINTS = 17, 133
FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # of the face


def openpose_parts(points: np.ndarray) -> dict[str, np.ndarray]:
    """(17 or 133, 3) x, y and score → field of Pose → (points, 3); the neck has the lower score of the shoulders."""
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    parts["body"] = np.stack([_joint(points, index) for index in BODY]).astype(np.float32)
    if len(points) == WHOLE_POINTS:
        face = points[FACE]
        parts["face"] = np.concatenate([face, [_middle(face[RIGHT_EYE]), _middle(face[LEFT_EYE])]]).astype(np.float32)
        parts["left_hand"], parts["right_hand"] = points[LEFT_HAND], points[RIGHT_HAND]
    return parts


def counted_pose(parts: dict[str, np.ndarray], size: tuple[int, int], least: float) -> Pose:
    """Points with a score of `least` on, inside a picture of size (width, height), get score 1; others are zeros."""
    kept = {}
    for part, points in parts.items():
        inside = ((points[:, :2] >= 0) & (points[:, :2] <= size)).all(axis=1)
        there = (inside & (points[:, 2] >= least))[:, None]
        kept[part] = np.where(there, np.column_stack([points[:, :2], np.ones(len(points))]), 0).astype(np.float32)
    return Pose(**kept)


def _joint(points: np.ndarray, index: int | tuple[int, int]) -> np.ndarray:
    return points[index] if isinstance(index, int) else _middle(points[list(index)])


def _middle(points: np.ndarray) -> np.ndarray:
    return np.array([*points[:, :2].mean(axis=0), points[:, 2].min()])
