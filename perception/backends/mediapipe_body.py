"""The body of one person: found in the whole picture, then followed from frame to frame (BlazePose GHUM).

Source: Bazarevsky et al. 2020, "BlazePose", and the graphs' own model cards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..follow import Follow
from .crops import Crop, upright, whole
from .detection import Detection, Detector, sigmoid
from .litert import Graph

STRIDES = (8, 16, 32, 32, 32)
PERSON = 1.25  # side of the square around a person, in diameters of the circle that the two key points tell
PRESENT = 0.5
CENTRE, RIM = 33, 34  # of the 39 points: the middle of the hips and a point above it on the circle around the body
VALUES = 5  # of a point: x, y, z in pixels of the crop, logits of visibility and presence
WINDOW = 7  # cells a side, of the heat map around a point
SURE_OF_A_CELL = 0.5
OUTSIDE = -20.0  # logit of the mask where the graph saw nothing
LOOKS_AROUND_EVERY = 5  # frames, while nobody but the followed one is there
SLIM = 0.5  # width of a standing person's box in heights
SAME_PERSON = 0.35  # heights between two boxes' middles below which they are one person's


@dataclass(frozen=True)
class Body:
    """One person in one frame.

    points (39, 3): x, y in pixels of the picture, visibility 0…1. mask (height, width) float32 0…1.
    z (39,): in pixels, smaller is nearer, 0 at the hips' middle.
    """

    points: np.ndarray
    mask: np.ndarray
    z: np.ndarray


class BodyTracker:
    """Follows one person of several. Between frames it keeps one square, and what the follower keeps."""

    def __init__(self, detector: Graph, landmarks: Graph, follow: Follow):
        self._detect = Detector(detector, STRIDES, signed=True)
        self._graph, self._follow = landmarks, follow
        self._crop: Crop | None = None
        self._frame, self._others = 0, 0  # number of the frame, and of people beside the followed one

    def __call__(self, picture_HWC: np.ndarray) -> Body | None:
        """The person in the next frame, uint8 (H, W, 3), or None."""
        crops = self._candidates(picture_HWC)
        index = self._follow(picture_HWC, np.array([_box(crop) for crop in crops]))
        body = None if index is None else self._look(picture_HWC, crops[index])
        if body is None and index is not None and crops[index] is self._crop:  # lost: what the detector sees there
            near = [_square(person) for person in self._detect(picture_HWC, whole(picture_HWC))]
            near = [crop for crop in near if _is_same(crop, self._crop)]
            body = self._look(picture_HWC, near[0]) if near else None
        self._crop = None if body is None else _circle(body.points[CENTRE, :2], body.points[RIM, :2])
        self._frame += 1
        return body

    def _candidates(self, picture_HWC: np.ndarray) -> list[Crop]:
        """Squares around people: that of the last frame's first, then those that the detector sees elsewhere."""
        tracked = [] if self._crop is None else [self._crop]
        if tracked and not self._others and self._frame % LOOKS_AROUND_EVERY:
            return tracked
        seen = self._people(picture_HWC)
        others = [crop for crop in seen if not (tracked and _is_same(crop, tracked[0]))]
        self._others = len(others)
        return tracked + others

    def _people(self, picture_HWC: np.ndarray) -> list[Crop]:
        """Squares around the people of a picture. Where it seems to show nobody, its parts are searched at times."""
        found = self._detect(picture_HWC, whole(picture_HWC))
        if not found and self._crop is None and self._frame % LOOKS_AROUND_EVERY == 0:
            for parts in (1, 2):
                found = [person for area in _areas(picture_HWC, parts) for person in self._detect(picture_HWC, area)]
                if found:
                    break
        squares: list[Crop] = []
        for square in map(_square, sorted(found, key=lambda person: -person.score)):  # areas overlap: once each
            if not any(_is_same(square, other) for other in squares):
                squares.append(square)
        return squares

    def _look(self, picture_HWC: np.ndarray, crop: Crop) -> Body | None:
        if crop.side < 1:
            return None
        side = self._graph.side
        values, present, mask, heat = self._graph(crop.cut(picture_HWC, side))[:4]
        if present.item() < PRESENT:
            return None
        points = values.reshape(-1, VALUES)
        places = refined(points[:, :2] / side, heat)
        height, width = picture_HWC.shape[:2]
        return Body(
            points=np.column_stack([crop.to_picture(places), sigmoid(points[:, 3])]),
            mask=sigmoid(crop.paste(mask[..., 0], width, height, OUTSIDE)).astype(np.float32),
            z=points[:, 2] * (crop.side / side),
        )


def refined(places: np.ndarray, heat_HWC: np.ndarray) -> np.ndarray:
    """Points (N, 2) in 0…1 moved to the middle of their heat map around them, where the map is sure.

    heat_HWC: (cells, cells, N) logits. The middle is that of WINDOW × WINDOW cells, weighted by their probabilities.
    """
    cells, half = heat_HWC.shape[0], WINDOW // 2
    moved = places.copy()
    for index, (column, row) in enumerate(np.floor(places * cells).astype(int)):
        if not (0 <= column < cells and 0 <= row < cells):
            continue
        top, left = max(row - half, 0), max(column - half, 0)
        seen = sigmoid(heat_HWC[top : row + half + 1, left : column + half + 1, index])
        if seen.max() >= SURE_OF_A_CELL:
            rows, columns = np.mgrid[top : top + seen.shape[0], left : left + seen.shape[1]]
            moved[index] = (np.array([(columns * seen).sum(), (rows * seen).sum()])) / seen.sum() / cells
    return moved


def _square(person: Detection) -> Crop:
    return _circle(person.points[0], person.points[1])


def _circle(centre: np.ndarray, rim: np.ndarray) -> Crop:
    return upright(centre, rim, 2 * float(np.linalg.norm(rim - centre)) * PERSON)


def _areas(picture_HWC: np.ndarray, parts: int) -> list[Crop]:
    """Squares, `parts` along the shorter side, that overlap by half and cover a picture."""
    height, width = picture_HWC.shape[:2]
    side = min(height, width) / parts
    middles = [
        np.linspace(side / 2, length - side / 2, max(1, int(np.ceil(2 * length / side)) - 1))
        for length in (width, height)
    ]
    return [Crop(float(x), float(y), side) for y in middles[1] for x in middles[0]]


def _box(crop: Crop) -> np.ndarray:
    """(4,) left, top, right and bottom of the upright person in the middle of a square."""
    height = crop.side / PERSON
    half = np.array([SLIM * height, height]) / 2
    return np.concatenate([(crop.x, crop.y) - half, (crop.x, crop.y) + half])


def _is_same(one: Crop, other: Crop) -> bool:
    return np.hypot(one.x - other.x, one.y - other.y) < SAME_PERSON * max(one.side, other.side) / PERSON
