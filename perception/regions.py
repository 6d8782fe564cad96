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
    """Fill the convex hull of the points (N, 3) that are present with `value`, in place."""
    present = points[points[:, 2] > 0, :2]
    if len(present):
        corners = np.rint(present - 0.5).astype(np.int32)  # continuous pixels: 0.5 is the centre of the first
        cv2.fillConvexPoly(canvas, cv2.convexHull(corners), value)


def _fill_face(canvas: np.ndarray, pose: Pose) -> None:
    if (pose.face[:, 2] > 0).any():
        return fill_hull(canvas, pose.face)
    head = pose.body[HEAD_JOINTS]
    head = head[head[:, 2] > 0, :2]
    if len(head) > 1:
        centre = head.mean(axis=0)
        radius = HEAD_ROUND * np.linalg.norm(head - centre, axis=1).max()
        cv2.circle(canvas, np.rint(centre - 0.5).astype(int).tolist(), max(1, round(radius)), 1, cv2.FILLED)
    return None
