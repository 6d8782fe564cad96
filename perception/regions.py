"""Hand, face and contact regions of a clip, from pose keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media.opencv import cv2
from ..media.pose import Pose, parse_poses
from .masks import dilate

HEAD_JOINTS = [0, 14, 15, 16, 17]  # of OpenPose-18: nose, eyes, ears; where no face points are given
NEAREST = 0.501  # pixels around a hull that still belong to it: half a pixel, and what float32 loses of it
HEAD_ROUND = 1.2  # Not in paper: the head's radius, in distances from its joints' centre to the farthest one


@dataclass(frozen=True)
class Regions:
    """MASKs (F, H, W), exactly 0 or 1, of all people in the frame; contact is where hands and faces meet."""

    hands: Tensor
    face: Tensor
    contact: Tensor


def hand_face_regions(
    poses: Sequence[dict] | Sequence[Sequence[Pose]], width: int, height: int, dilation: float = 8.0
) -> Regions:
    """Find the hands and faces of a clip.

    A region is the convex hull of a hand's or face's points; a frame without them has none. # Not in paper: a face
    without points of its own is a disc around nose, eyes and ears.

    poses: POSE_KEYPOINT dicts, or the people of every frame in pixels of the width × height picture.
    dilation: pixels that every region grows by. Contact is the overlap of the grown hands and the grown face.
    Raises InputError for a size below 1 or a negative dilation, and for poses as `parse_poses` does.
    """
    if width < 1 or height < 1:
        raise InputError(f"regions of {width} x {height} pixels: give a width and height of 1 or more")
    if not dilation >= 0:
        raise InputError(f"dilation is {dilation}: give 0 pixels or more")
    if len(poses) and isinstance(poses[0], dict):
        poses = parse_poses(poses, width, height)
    hands, face = np.zeros((2, len(poses), height, width), np.uint8)
    for index, people in enumerate(poses):
        for pose in people:
            for points in (pose.left_hand, pose.right_hand):
                fill_hull(hands[index], points)
            _fill_face(face[index], pose)
    grown_hands, grown_face = (dilate(torch.from_numpy(mask).float(), dilation) for mask in (hands, face))
    return Regions(grown_hands, grown_face, grown_hands * grown_face)


def fill_hull(canvas: np.ndarray, points: np.ndarray, value: float = 1) -> None:
    """Fill the convex hull of the points (N, 3) that are present with `value`, in place.

    A pixel (H, W) belongs to it where its centre lies at most half a pixel outside an edge, so that the hull of one
    point or of a line has pixels too. Points count from the picture's left and upper edge.
    """
    present = points[points[:, 2] > 0, :2].astype(np.float64)
    if not len(present):
        return
    area, x, y = _around(canvas, present.min(axis=0) - NEAREST, present.max(axis=0) + NEAREST)
    inside = np.ones(area.shape, bool)
    corners = cv2.convexHull(present.astype(np.float32), clockwise=False)[:, 0].astype(np.float64)
    for (left, top), (right, bottom) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        across, down = right - left, bottom - top
        inside &= (x - left) * down - (y - top) * across <= NEAREST * np.hypot(across, down)
    area[inside] = value


def _around(canvas: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The part of the canvas whose pixels' centres lie in low…high (x, y), a view, and their x (w,) and y (h, 1)."""
    height, width = canvas.shape
    left, top = np.ceil(low - 0.5).astype(int).clip(0)
    right, bottom = np.floor(high + 0.5).astype(int).clip(0)
    area = canvas[top:bottom, left:right]
    right, bottom = left + area.shape[1], top + area.shape[0]
    return area, np.arange(left, right) + 0.5, (np.arange(top, bottom) + 0.5)[:, None]


def _fill_face(canvas: np.ndarray, pose: Pose) -> None:
    if (pose.face[:, 2] > 0).any():
        return fill_hull(canvas, pose.face)
    head = pose.body[HEAD_JOINTS]
    head = head[head[:, 2] > 0, :2].astype(np.float64)
    if len(head) > 1:
        centre = head.mean(axis=0)
        radius = max(1.0, HEAD_ROUND * np.linalg.norm(head - centre, axis=1).max())
        area, x, y = _around(canvas, centre - radius, centre + radius)
        area[np.hypot(x - centre[0], y - centre[1]) <= radius] = 1
    return None
