"""Pose files: OpenPose JSON as ComfyUI passes it (POSE_KEYPOINT) ⇄ arrays of keypoints."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import atomic_file
from ..errors import InputError
from .pose_files import CANVAS, canvas_of
from .pose_points import PARTS, person_parts

NORMALISED_LIMIT = 2.0  # a clip whose every coordinate is below this is in 0…1, with room for points off the picture


@dataclass(frozen=True)
class Pose:
    """One person in one frame. Every part is float32 (points, 3): x, y in pixels and a score, 0 = missing.

    body (18, OpenPose order), left_hand and right_hand (21 each), face (70; with 68-point faces 68 and 69 are missing).
    Pixels are continuous: the left edge of the picture is x = 0, its right edge x = width.
    """

    body: np.ndarray
    left_hand: np.ndarray
    right_hand: np.ndarray
    face: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(N, 2) pixels of all points that there are, of any part."""
        parts = np.concatenate([getattr(self, part) for part in PARTS])
        return parts[parts[:, 2] > 0, :2]

    @property
    def has_points(self) -> bool:
        return len(self.points) > 0


def write_pose(path: str | Path, frames: Sequence[dict]) -> None:
    """Write POSE_KEYPOINT frames as JSON, whole or not at all. Numbers stay as given; `to_keypoints` rounds them."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(list(frames), separators=(",", ":")), encoding="utf-8")


def parse_poses(
    frames: Sequence[dict | None], width: int, height: int, canvas: tuple[float, float] | None = None
) -> list[list[Pose]]:
    """POSE_KEYPOINT frames → people of every frame, in pixels of a width × height picture.

    Accepts coordinates in 0…1 or in pixels of the frame's own canvas (which is then scaled to width × height), people
    and parts that are null, absent, empty or zeros, and the layouts of `pose_points.person_parts`.
    canvas: (width, height) in pixels of the picture that frames without a canvas refer to; None: width × height.
    Raises InputError for lists of a wrong length, with NaN, or of something else than numbers, and for a canvas that
    has no size.
    """
    arrays = [[person_parts(person, i) for person in _people(frame, i)] for i, frame in enumerate(frames)]
    largest = max((_largest(parts) for people in arrays for parts in people), default=0.0)
    poses = []
    for index, (frame, people) in enumerate(zip(frames, arrays, strict=True)):
        if largest <= NORMALISED_LIMIT:
            scale = np.array([width, height, 1.0], np.float32)
        else:
            own = canvas_of(frame or {}, index)
            own = own if None not in own else canvas or (own[0] or width, own[1] or height)
            scale = np.array([width / own[0], height / own[1], 1.0], np.float32)
        poses.append([Pose(**{part: points * scale for part, points in parts.items()}) for parts in people])
    return poses


def to_keypoints(people: Sequence[Pose], width: int, height: int) -> dict[str, Any]:
    """People of one frame, in pixels of a width × height picture → one POSE_KEYPOINT dict in pixels.

    Parts without any point are null. Points that are missing are written as zeros.
    """
    return {
        **dict(zip(CANVAS, (width, height), strict=True)),
        "people": [{key: _flat(getattr(pose, part)) for part, (key, _) in PARTS.items()} for pose in people],
    }


def _flat(points: np.ndarray) -> list[float] | None:
    if not (points[:, 2] > 0).any():
        return None
    present = np.where(points[:, 2:] > 0, points, 0.0).astype(np.float64)
    return present.round(3).ravel().tolist()


def _people(frame: dict | None, frame_index: int) -> list[dict]:
    people = (frame or {}).get("people") or []
    if not isinstance(people, list) or not all(person is None or isinstance(person, dict) for person in people):
        raise InputError(f"pose frame {frame_index}: 'people' must be a list with one OpenPose dict a person")
    return [person for person in people if person is not None]


def _largest(parts: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(points[:, :2]).max()) for points in parts.values())
