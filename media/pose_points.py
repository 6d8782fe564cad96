"""One person of an OpenPose JSON file → arrays of points, from every layout of the body that is in use."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError

PARTS = {  # field of Pose: (key in the JSON, points)
    "body": ("pose_keypoints_2d", 18),
    "left_hand": ("hand_left_keypoints_2d", 21),
    "right_hand": ("hand_right_keypoints_2d", 21),
    "face": ("face_keypoints_2d", 70),
}
FACE_WITHOUT_EYES = 68
SCORE_THRESHOLD = 0.05  # a point counts above this score: OpenPose's own render_threshold

FROM_BODY_25 = [*range(8), *range(9, 19)]  # 8 is the middle of the hips, 19–24 are the feet
FROM_COCO = [0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]  # 17: the neck, which COCO has not
BODY_LAYOUTS = {  # points in the list → the 18 of OpenPose among them
    18: range(18),
    25: FROM_BODY_25,
    17: FROM_COCO,
    24: range(18),  # and six of the feet
    133: FROM_COCO,
    134: range(18),
}
WHOLE_BODIES = {  # points in the list → where face and hands lie in it
    133: {"face": slice(23, 91), "left_hand": slice(91, 112), "right_hand": slice(112, 133)},
    134: {"face": slice(24, 92), "left_hand": slice(92, 113), "right_hand": slice(113, 134)},
}


def person_parts(person: dict, frame_index: int) -> dict[str, np.ndarray]:
    """The parts of one person, each float32 (points, 3): x, y as written and a score; missing points are all zero.

    Lists are flat (x y score, or x y alone) or one short list a point, and null where something is missing. The body
    may come as OpenPose's 18 or BODY_25, as COCO's 17, with six points of the feet (24), or as a whole body of 133
    (COCO) or 134 points (OpenPose); hands and face of a list of their own go before the whole body's.
    Points at (0, 0) or (-1, -1), and points whose score is at most SCORE_THRESHOLD, are missing.
    Raises InputError for lists of a wrong length, with NaN, or of something else than numbers.
    """
    given = {part: _part(person, part, frame_index) for part in PARTS}
    whole = given["body"]
    parts = {part: _sized(given[part], count) for part, (_, count) in PARTS.items() if part != "body"}
    for part, where in WHOLE_BODIES.get(len(whole), {}).items():
        if not parts[part].any():
            parts[part] = _sized(whole[where], PARTS[part][1])
    return {"body": _body(whole), **parts}


def _body(points: np.ndarray) -> np.ndarray:
    """(18, 3) in OpenPose's order; a neck that is not in the layout is the middle of the shoulders."""
    if not len(points):
        return np.zeros((18, 3), np.float32)
    layout = BODY_LAYOUTS[len(points)]
    if layout is FROM_COCO:
        shoulders = points[[5, 6]]
        neck = shoulders.mean(axis=0)
        neck[2] = shoulders[:, 2].min()
        points = np.concatenate([points[:17], neck[None] if neck[2] > 0 else np.zeros((1, 3), np.float32)])
    return points[list(layout)]


def _sized(points: np.ndarray, count: int) -> np.ndarray:
    sized = np.zeros((count, 3), np.float32)
    sized[: len(points)] = points
    return sized


def _counts(part: str) -> list[int]:
    """How many points a list of this part may hold, the usual number first."""
    count = PARTS[part][1]
    return list(BODY_LAYOUTS) if part == "body" else [count, FACE_WITHOUT_EYES] if part == "face" else [count]


def _part(person: dict, part: str, frame_index: int) -> np.ndarray:
    """(points, 3) float32 of one list, as many as it holds; 0 points where it is null, absent or empty."""
    key = PARTS[part][0]
    given = person.get(key, person.get(key.removesuffix("_2d")))  # OpenPose before 1.3 wrote no "_2d"
    if given is None:
        return np.zeros((0, 3), np.float32)
    counts = _counts(part)
    wanted = f"give {' or '.join(str(3 * count) for count in counts)}, x y score a point"
    name = f"pose frame {frame_index}: {key}"
    try:
        numbers, known = _numbers(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} holds something else than numbers: {wanted}") from error
    if not numbers.size:
        return np.zeros((0, 3), np.float32)
    values = _dimensions(numbers, counts)
    if values is None:
        raise InputError(f"{name} holds {numbers.size} numbers: {wanted}")
    if not np.isfinite(numbers[known]).all():
        raise InputError(f"{name} holds NaN or infinity: write missing points as 0, 0, 0")
    return _present(numbers.reshape(-1, values), known.reshape(-1, values))


def _numbers(given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Flat or nested numbers → float32 array, and which of them are there; null is not, and is read as 0."""
    if isinstance(given, Sequence) and not isinstance(given, str) and any(item is None for item in given):
        rows = [len(item) for item in given if isinstance(item, Sequence)]
        given = [[None] * rows[0] if item is None and rows else item for item in given]
    numbers = np.asarray(given, np.float32)
    if np.isfinite(numbers).all():
        return numbers, np.ones(numbers.shape, bool)
    known = np.array([value is not None for value in np.asarray(given, object).ravel()]).reshape(numbers.shape)
    return np.where(known, numbers, 0).astype(np.float32), known


def _dimensions(numbers: np.ndarray, counts: list[int]) -> int | None:
    """Values a point, 3 with a score or 2 without; None where the array is no list of points of this part."""
    if numbers.ndim > 1:
        points, values = numbers.size // numbers.shape[-1], numbers.shape[-1]
        return values if values in (2, 3) and points in counts else None
    return next((values for values in (3, 2) if numbers.size in [values * count for count in counts]), None)


def _present(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(points, 2 or 3) → (points, 3), zeros for what is no point; a point without a score has score 1."""
    points = np.ones((len(numbers), 3), np.float32)
    points[:, : numbers.shape[1]] = np.where(known, numbers, 1.0)
    place = numbers[:, :2]
    nowhere = (place == 0).all(axis=1) | (place == -1).all(axis=1) | ~known[:, :2].all(axis=1)
    points[nowhere | (points[:, 2] <= SCORE_THRESHOLD)] = 0.0
    return points
