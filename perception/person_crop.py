"""A steady crop around one person of a clip, which everything is cut to alike and put back from.

Gap: the crop has one size for the whole clip, that of the frame in which the person is largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media.arrays import resize
from ..media.pose import PARTS, Pose, parse_poses, to_keypoints

MARGIN = 0.2  # of the longer side of the person's box, on each side: hair, clothes and what the hands may hold
STEADY = 1.5  # sizes of the person within which the crop stands still
SMOOTH = 0.5  # seconds, standard deviation of the Gaussian over the crop's path where it moves
SMALL = 0.35  # of the picture's sides: smaller people are worth a crop
WORTH = 64  # pixels of the longer side that a person has at least for a crop to show more of them


@dataclass(frozen=True)
class PersonCrop:
    """corners: left and top of every frame's crop; size: its (width, height); picture: that of the clip.

    All in pixels of the clip. A crop lies inside of the picture.
    """

    corners: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    picture: tuple[int, int]

    def __len__(self) -> int:
        return len(self.corners)

    def cut(self, frame: np.ndarray, index: int) -> np.ndarray:
        """The crop (height, width, …), a view, of a frame (H, W, …) of the clip: a picture, a mask, depth."""
        rows, columns = self.window(index)
        return frame[rows, columns]

    def window(self, index: int) -> tuple[slice, slice]:
        """Rows and columns of a frame's crop."""
        left, top = self.corners[index]
        return slice(top, top + self.size[1]), slice(left, left + self.size[0])


def cut_to(frames: Tensor, crop: PersonCrop, size: tuple[int, int]) -> Tensor:
    """Frames (F, H, W) or (F, H, W, 3), 0…1, of the clip → their crops, brought to size (width, height)."""
    width, height = size
    cut = [resize(crop.cut(frame.numpy(), index)[None], width, height)[0] for index, frame in enumerate(frames)]
    return torch.from_numpy(np.stack(cut)).clamp(0, 1)


def poses_cut_to(frames: Sequence[dict], crop: PersonCrop, size: tuple[int, int]) -> list[dict]:
    """POSE_KEYPOINT frames of the clip, in pixels or 0…1 → of their crops, brought to size, which is their canvas."""
    people = parse_poses(frames, *crop.picture)
    return [
        to_keypoints([moved_pose(person, crop, corner, crop.picture, size) for person in persons], *size)
        for persons, corner in zip(people, crop.corners, strict=True)
    ]


def moved_pose(
    person: Pose, crop: PersonCrop, corner: tuple[int, int], whole: tuple[int, int], size: tuple[int, int]
) -> Pose:
    """A pose in pixels of the whole picture, brought to one size → in pixels of its crop, brought to another."""
    scale, zoom = np.array(crop.picture) / whole, np.array(size) / crop.size
    parts = {}
    for part in PARTS:
        points = getattr(person, part).copy()
        there = points[:, 2] > 0
        points[there, :2] = (points[there, :2] * scale - corner) * zoom
        parts[part] = points
    return Pose(**parts)


def person_boxes(people: Sequence[Sequence[Pose]]) -> np.ndarray:
    """(F, 4) left, top, right and bottom of the first person's points in every frame, NaN where there are none."""
    boxes = np.full((len(people), 4), np.nan)
    for index, persons in enumerate(people):
        if persons and persons[0].has_points:
            points = persons[0].points
            boxes[index] = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return boxes


def mask_boxes(masks: Sequence[np.ndarray]) -> np.ndarray:
    """(F, 4) left, top, right and bottom of what is over ½ in masks (H, W), NaN where nothing is."""
    boxes = np.full((len(masks), 4), np.nan)
    for index, mask in enumerate(masks):
        rows, columns = (np.flatnonzero((np.asarray(mask) > 0.5).any(axis=axis)) for axis in (1, 0))
        if len(rows):
            boxes[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def is_small(boxes: np.ndarray, picture: tuple[int, int]) -> bool:
    """Whether the person is mostly under SMALL of the picture, (width, height), and a crop would show more of them."""
    if not np.isfinite(boxes).any():
        return False
    sides = np.nanmedian(boxes[:, 2:] - boxes[:, :2], axis=0)
    return bool((sides < SMALL * np.array(picture)).all() and sides.max() >= WORTH)


def person_crop(
    boxes: np.ndarray,
    picture: tuple[int, int],
    rate: float,
    aspect: float | None = None,
    margin: float = MARGIN,
    multiple: int = 8,
) -> PersonCrop:
    """The crop's path: still where the person stays about the same place, else a smooth one that holds them.

    boxes: (F, 4) of the person in pixels, NaN where nobody is. picture: (width, height). rate: frames a second.
    aspect: width by height of the crop, None: as the person asks, from upright 1:2 to square and beyond. Sides are
    multiples of `multiple` where the picture is large enough. Raises InputError where nobody is in any frame.
    """
    boxes, margin = np.asarray(boxes, float), float(margin)
    if not np.isfinite(boxes).all(axis=1).any():
        raise InputError("nobody is in any frame, so that there is nothing to crop to: give the poses or masks of one")
    boxes = _filled(boxes)
    boxes = np.clip(boxes, 0, np.array([*picture, *picture], float))
    union = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    largest = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
    still = bool((union[2:] - union[:2] <= STEADY * largest).all())
    held = np.tile(union, (len(boxes), 1)) if still else boxes
    size = _size((held[:, 2:] - held[:, :2]).max(axis=0) + 2 * margin * largest.max(), picture, aspect, multiple)
    middle = (held[:, :2] + held[:, 2:]) / 2
    path = middle if still else _smooth(middle, held, np.array(size), rate)
    corners = np.clip(np.rint(path - np.array(size) / 2), 0, np.array(picture) - size).astype(int)
    return PersonCrop(tuple(map(tuple, corners.tolist())), size, picture)


def _filled(boxes: np.ndarray) -> np.ndarray:
    """Frames without anybody between the others in a straight line, and as the nearest at the ends."""
    frames = np.arange(len(boxes))
    seen = np.isfinite(boxes).all(axis=1)
    return np.column_stack([np.interp(frames, frames[seen], column[seen]) for column in boxes.T])


def _size(needed: np.ndarray, picture: tuple[int, int], aspect: float | None, multiple: int) -> tuple[int, int]:
    width, height = needed
    wanted = aspect if aspect is not None else float(np.clip(width / height, 0.5, 2.0))
    height = max(height, width / wanted)
    sides = [wanted * height, height]
    scale = min(1.0, *(limit / side for limit, side in zip(picture, sides, strict=True)))
    if scale < 1 and aspect is None:  # as much of the picture as there is
        scale = 1.0
    rounded = (max(multiple, round(side * scale / multiple) * multiple) for side in sides)
    width, height = (min(side, limit) for side, limit in zip(rounded, picture, strict=True))
    return int(width), int(height)


def _smooth(middle: np.ndarray, boxes: np.ndarray, size: np.ndarray, rate: float) -> np.ndarray:
    """The path of the boxes' middles without its shaking, never so far off that a box leaves the crop."""
    sigma = max(SMOOTH * rate, 1e-6)
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(middle, ((reach, reach), (0, 0)), mode="edge")
    path = np.stack([np.convolve(axis, weights / weights.sum(), mode="valid") for axis in padded.T], axis=1)
    room = np.maximum((size - (boxes[:, 2:] - boxes[:, :2])) / 2 - 1, 0)  # a pixel for rounding to whole ones
    return np.clip(path, middle - room, middle + room)
