"""What pose networks share that look at one person's box: people's boxes → the followed one's → points and mask.

Gap: the mask is GrabCut's, started on the limbs; segmentation networks know outlines better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...media.opencv import cv2
from ...media.pose import Pose
from ..follow import Follow, Follower
from ..skeleton import LIMBS
from .coco_layouts import counted_pose, openpose_parts
from .protocols import PersonInFrame

THICK = 0.04  # of the body's longer side: width of the limbs that surely are the person
AROUND = 0.1  # of the box's sides: how far beyond it the person may be
ROUNDS = 2  # of GrabCut


def follow_person(
    frames: Iterable[np.ndarray],
    boxes_of: Callable[[np.ndarray], np.ndarray],
    points_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    least: float,
    follow: Follow | None,
) -> Iterator[PersonInFrame]:
    """Frames → the followed person of each.

    boxes_of: frame → (N, 4) left, top, right, bottom of people in pixels. points_of: frame and one box → COCO's points
    (17 or 133, 3), continuous pixels and score. least: the score from which a point counts.
    """
    follow = follow or Follower()
    for frame in frames:
        boxes = np.asarray(boxes_of(frame), np.float64).reshape(-1, 4)
        index = follow(frame, boxes)
        if index is None:
            yield PersonInFrame(None, np.zeros(frame.shape[:2], np.float32))
            continue
        parts = openpose_parts(points_of(frame, boxes[index]))
        pose = counted_pose(parts, (frame.shape[1], frame.shape[0]), least)
        scores = {part: points[:, 2].clip(0, 1) for part, points in parts.items()}
        yield PersonInFrame(pose, silhouette(frame, pose, boxes[index]), scores)


def silhouette(frame: np.ndarray, pose: Pose, box: np.ndarray) -> np.ndarray:
    """The person's pixels (H, W), 0 or 1, by GrabCut: limbs are theirs, what is well outside the box is not."""
    height, width = frame.shape[:2]
    grown = (box[2:] - box[:2]) * AROUND
    left, top = np.floor(box[:2] - grown).clip(0).astype(int)
    right, bottom = np.minimum(np.ceil(box[2:] + grown), (width, height)).astype(int)
    marks = np.full((height, width), cv2.GC_BGD, np.uint8)
    marks[top:bottom, left:right] = cv2.GC_PR_BGD
    thick = max(1, round(THICK * float((box[2:] - box[:2]).max())))
    for start, end in LIMBS:
        if pose.body[start, 2] > 0 and pose.body[end, 2] > 0:
            ends = [tuple(np.rint(pose.body[joint, :2] - 0.5).astype(int).tolist()) for joint in (start, end)]
            cv2.line(marks, *ends, cv2.GC_PR_FGD, 4 * thick)
    for start, end in LIMBS:
        if pose.body[start, 2] > 0 and pose.body[end, 2] > 0:
            ends = [tuple(np.rint(pose.body[joint, :2] - 0.5).astype(int).tolist()) for joint in (start, end)]
            cv2.line(marks, *ends, cv2.GC_FGD, thick)
    person = marks == cv2.GC_FGD
    if person.any() and not person.all() and (marks == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)
        models = np.zeros((2, 1, 65))
        cv2.grabCut(np.ascontiguousarray(frame), marks, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
        person = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    return person.astype(np.float32)
