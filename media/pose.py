"""Pose files: OpenPose JSON as ComfyUI passes it (POSE_KEYPOINT) ⇄ arrays of keypoints."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .atomic import atomic_file

PARTS = {  # field of Pose: (key in the JSON, points)
    "body": ("pose_keypoints_2d", 18),
    "left_hand": ("hand_left_keypoints_2d", 21),
    "right_hand": ("hand_right_keypoints_2d", 21),
    "face": ("face_keypoints_2d", 70),
}
FACE_WITHOUT_EYES = 68
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


def read_pose(path: str | Path) -> list[dict]:
    """Read a pose file → list, one POSE_KEYPOINT dict a frame. A single frame's dict counts as a list of one.

    Raises InputError when the file is missing, no JSON, empty, or not of the POSE_KEYPOINT form.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not JSON ({error}): give an OpenPose JSON file or a skeleton video") from error
    frames = [frames] if isinstance(frames, dict) else frames
    if not isinstance(frames, list) or not frames:
        raise InputError(f"{path} holds 0 pose frames: it must be a list with one OpenPose dict a frame")
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or "people" not in frame:
            raise InputError(f"{path}: frame {index} has no 'people': it must be a list with one OpenPose dict a frame")
        try:
            _canvas(frame, index, 1, 1)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return frames


def write_pose(path: str | Path, frames: Sequence[dict]) -> None:
    """Write POSE_KEYPOINT frames as JSON, whole or not at all. Coordinates are rounded to 1/1000 pixel by the maker."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(list(frames), separators=(",", ":")), encoding="utf-8")


def parse_poses(frames: Sequence[dict], width: int, height: int) -> list[list[Pose]]:
    """POSE_KEYPOINT frames → people of every frame, in pixels of a width × height picture.

    Accepts coordinates in 0…1 or in pixels of the frame's own canvas (which is then scaled to width × height), and
    parts that are null, absent, empty or zeros. Raises InputError for lists of a wrong length, with NaN, or of
    something else than numbers, and for a canvas that has no size.
    """
    arrays = [[_part_arrays(person, i) for person in _people(frame, i)] for i, frame in enumerate(frames)]
    largest = max((_largest(parts) for people in arrays for parts in people), default=0.0)
    poses = []
    for index, (frame, people) in enumerate(zip(frames, arrays, strict=True)):
        if largest <= NORMALISED_LIMIT:
            scale = np.array([width, height, 1.0], np.float32)
        else:
            canvas = _canvas(frame, index, width, height)
            scale = np.array([width / canvas[0], height / canvas[1], 1.0], np.float32)
        poses.append([Pose(**{part: points * scale for part, points in parts.items()}) for parts in people])
    return poses


def to_keypoints(people: Sequence[Pose], width: int, height: int) -> dict[str, Any]:
    """People of one frame, in pixels of a width × height picture → one POSE_KEYPOINT dict in pixels.

    Parts without any point are null. Points that are missing are written as zeros.
    """
    return {
        "canvas_width": width,
        "canvas_height": height,
        "people": [{key: _flat(getattr(pose, part)) for part, (key, _) in PARTS.items()} for pose in people],
    }


def _flat(points: np.ndarray) -> list[float] | None:
    if not (points[:, 2] > 0).any():
        return None
    present = np.where(points[:, 2:] > 0, points, 0.0).astype(np.float64)
    return present.round(3).ravel().tolist()


def _people(frame: dict, frame_index: int) -> list[dict]:
    people = frame.get("people") or []
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise InputError(f"pose frame {frame_index}: 'people' must be a list with one OpenPose dict a person")
    return people


def _canvas(frame: dict, frame_index: int, width: int, height: int) -> tuple[float, float]:
    """Width and height of a frame's own picture; `width` and `height` where it names none."""
    canvas = frame.get("canvas_width") or width, frame.get("canvas_height") or height
    if not all(isinstance(side, int | float) and 0 < side < math.inf for side in canvas):
        raise InputError(f"pose frame {frame_index} has a canvas of {canvas}: give its width and height in pixels")
    return canvas


def _part_arrays(person: dict, frame_index: int) -> dict[str, np.ndarray]:
    return {part: _points(person.get(key), count, key, frame_index) for part, (key, count) in PARTS.items()}


def _points(flat: Sequence[float] | None, count: int, key: str, frame_index: int) -> np.ndarray:
    """(count, 3) float32; missing points are all zero."""
    points = np.zeros((count, 3), np.float32)
    if flat is None:
        return points
    allowed = {count * 3, FACE_WITHOUT_EYES * 3} if key == "face_keypoints_2d" else {count * 3}
    wanted = f"give {' or '.join(map(str, sorted(allowed)))}, x y score a point"
    try:
        given = np.asarray(flat, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"pose frame {frame_index}: {key} holds something else than numbers: {wanted}") from error
    if not given.size:
        return points
    if given.size not in allowed:
        raise InputError(f"pose frame {frame_index}: {key} holds {given.size} numbers: {wanted}")
    given = given.reshape(-1, 3)
    if not np.isfinite(given).all():
        raise InputError(f"pose frame {frame_index}: {key} holds NaN or infinity: write missing points as 0, 0, 0")
    points[: len(given)] = np.where(given[:, 2:] > 0, given, 0.0)
    return points


def _largest(parts: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(points[:, :2]).max()) for points in parts.values())
