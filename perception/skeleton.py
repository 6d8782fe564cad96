"""Skeleton pictures in the look that OpenPose and DWPose made common.

Body: 18 joints and 17 limbs in the colours of a wheel of 18 hues, limbs at 60 % brightness; hands: 20 bones in a
rainbow with blue joints; face: white dots. All is anti-aliased, so that every point lies where it is said to, and all
widths are in proportion to the picture's short side (512 px gives the usual widths), so that the same pose looks the
same at every size.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..media.arrays import to_float
from ..media.opencv import cv2
from ..media.pose import Pose, parse_poses

# Joints of the 17 limbs. OpenPose-18 order: 0 nose, 1 neck, 2–4 right arm, 5–7 left arm, 8–10 right leg,
# 11–13 left leg, 14/15 right/left eye, 16/17 right/left ear.
LIMBS = np.array(
    [[1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 8], [8, 9], [9, 10], [1, 11], [11, 12], [12, 13],
     [1, 0], [0, 14], [14, 16], [0, 15], [15, 17]]
)  # fmt: skip
HAND_BONES = np.array([[0 if joint % 4 == 1 else joint - 1, joint] for joint in range(1, 21)])  # five fingers of four

USUAL_SIDE = 512  # short side, in pixels, at which the widths below are the usual ones
LIMB_RADIUS, JOINT_RADIUS, HAND_JOINT_RADIUS, FACE_RADIUS = 4.0, 4.0, 4.0, 3.0
HAND_BONE_WIDTH = 2.0
LIMB_BRIGHTNESS = 0.6
SKELETON_THRESHOLD = 0.1  # Not in paper: a skeleton picture counts as "on" where its brightest channel exceeds this
SOFT_EDGE = 0.17  # pixels that OpenCV's anti-aliased edges add on every side to what its hard ones draw
SHIFT = 6  # OpenCV drawing coordinates carry this many binary places


def render_skeleton(
    poses: Sequence[dict] | Sequence[Sequence[Pose]], width: int, height: int, hands: bool = True, face: bool = True
) -> Tensor:
    """Draw one skeleton picture a frame → IMAGE (F, H, W, 3), 0…1. See `draw_skeleton`."""
    return to_float(draw_skeleton(poses, width, height, hands, face))


def draw_skeleton(
    poses: Sequence[dict] | Sequence[Sequence[Pose]], width: int, height: int, hands: bool = True, face: bool = True
) -> np.ndarray:
    """Draw one skeleton picture a frame → uint8 (F, H, W, 3) RGB on black.

    poses: POSE_KEYPOINT dicts, or the people of every frame in pixels of the width × height picture.
    Pictures below 512 px are drawn at a whole multiple of their size and averaged down: a pose at 128 px gives exactly
    the averaged picture of the same pose at 512 px.
    """
    if len(poses) and isinstance(poses[0], dict):
        poses = parse_poses(poses, width, height)
    factor = -(-USUAL_SIDE // min(width, height))
    canvas = np.empty((height * factor, width * factor, 3), np.uint8)
    pictures = np.empty((len(poses), height, width, 3), np.uint8)
    for picture, people in zip(pictures, poses, strict=True):
        canvas.fill(0)
        for pose in people:
            _draw_body(canvas, pose.body, factor)
        for pose in people:
            if hands:
                _draw_hand(canvas, pose.left_hand, factor)
                _draw_hand(canvas, pose.right_hand, factor)
            if face:
                _draw_dots(canvas, pose.face, factor, FACE_RADIUS, [(255, 255, 255)] * len(pose.face))
        cv2.resize(canvas, (width, height), dst=picture, interpolation=cv2.INTER_AREA)
    return pictures


def structured_depth(depth_FHW: Tensor, skeleton_FHWC: Tensor) -> Tensor:
    """Depth kept only where the binarised skeleton is on, 0 elsewhere (AA2 §3.4).

    depth_FHW: (F, H, W) 0…1, 1 = near. skeleton_FHWC: IMAGE (F, H, W, 3). Returns (F, H, W).
    Raises InputError when the shapes differ.
    """
    if depth_FHW.shape != skeleton_FHWC.shape[:3]:
        raise InputError(
            f"depth is {tuple(depth_FHW.shape)} and skeleton {tuple(skeleton_FHWC.shape[:3])} (frames, height, width): "
            "give both the same length and size"
        )
    return depth_FHW * (skeleton_FHWC.amax(dim=-1) > SKELETON_THRESHOLD)


@cache
def _wheel(count: int, steps: int) -> list[tuple[int, int, int]]:
    """First `count` of `steps` fully saturated hues around the colour wheel, from red through green and blue, 0…255."""
    hues = np.arange(count) * 6.0 / steps
    ramps = np.stack([np.abs(hues - 3) - 1, 2 - np.abs(hues - 2), 2 - np.abs(hues - 4)], axis=-1)
    return [tuple(int(v) for v in colour) for colour in np.trunc(np.clip(ramps, 0, 1) * 255 + 1e-6)]


@cache
def _unit_ellipse(points: int = 24) -> np.ndarray:
    """(points, 2) points around the unit circle."""
    angles = np.arange(points) * (2 * np.pi / points)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _fixed(points: np.ndarray, factor: int) -> np.ndarray:
    """Continuous pixels of the picture → OpenCV's fixed-point ones on the canvas (where pixel centres are whole)."""
    return np.rint((points * factor - 0.5) * (1 << SHIFT)).astype(np.int32)


def _unit(canvas: np.ndarray) -> float:
    """Pixels of the canvas for one pixel at the usual size."""
    return min(canvas.shape[:2]) / USUAL_SIDE


def _bones(points: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the bones whose two joints are present, with their starts and ends (N, 2)."""
    present = np.flatnonzero((points[pairs, 2] > 0).all(axis=1))
    return present, points[pairs[present, 0], :2], points[pairs[present, 1], :2]


def _draw_body(canvas: np.ndarray, body: np.ndarray, factor: int) -> None:
    present, starts, ends = _bones(body, LIMBS)
    colours = _wheel(18, 18)
    centre, half = (starts + ends) / 2, (ends - starts) / 2
    length = np.linalg.norm(half, axis=1, keepdims=True).clip(1e-6)
    across = half[:, ::-1] * (-1, 1) / length * ((LIMB_RADIUS * _unit(canvas) - SOFT_EDGE) / factor)
    ellipse = _unit_ellipse()
    outline = centre[:, None] + half[:, None] * ellipse[None, :, :1] + across[:, None] * ellipse[None, :, 1:]
    for index, polygon in zip(present, _fixed(outline, factor), strict=True):
        colour = tuple(channel * LIMB_BRIGHTNESS for channel in colours[index])
        cv2.fillConvexPoly(canvas, polygon, colour, lineType=cv2.LINE_AA, shift=SHIFT)
    _draw_dots(canvas, body, factor, JOINT_RADIUS, colours)


def _draw_hand(canvas: np.ndarray, hand: np.ndarray, factor: int) -> None:
    present, starts, ends = _bones(hand, HAND_BONES)
    colours = _wheel(20, 20)
    along = ends - starts
    length = np.linalg.norm(along, axis=1, keepdims=True).clip(1e-6)
    across = along[:, ::-1] * (-1, 1) / length * ((HAND_BONE_WIDTH / 2 * _unit(canvas) - SOFT_EDGE) / factor)
    outline = np.stack([starts + across, ends + across, ends - across, starts - across], axis=1)
    for index, polygon in zip(present, _fixed(outline, factor), strict=True):
        cv2.fillConvexPoly(canvas, polygon, colours[index], lineType=cv2.LINE_AA, shift=SHIFT)
    _draw_dots(canvas, hand, factor, HAND_JOINT_RADIUS, [(0, 0, 255)] * len(hand))


def _draw_dots(canvas: np.ndarray, points: np.ndarray, factor: int, radius: float, colours: Sequence[tuple]) -> None:
    radius = round((radius * _unit(canvas) - SOFT_EDGE) * (1 << SHIFT))
    present = np.flatnonzero(points[:, 2] > 0)
    for index, centre in zip(present.tolist(), _fixed(points[present, :2], factor).tolist(), strict=True):
        cv2.circle(canvas, centre, radius, colours[index], cv2.FILLED, cv2.LINE_AA, SHIFT)
