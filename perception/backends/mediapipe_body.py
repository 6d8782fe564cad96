"""The body of one person: found in the whole picture, then followed from frame to frame (BlazePose GHUM).

Source: Bazarevsky et al. 2020, "BlazePose", and the graphs' own model cards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Body:
    """One person in one frame.

    points (39, 3): x, y in pixels of the picture, visibility 0…1. mask (height, width) float32 0…1.
    """

    points: np.ndarray
    mask: np.ndarray


class BodyTracker:
    """Follows one person. Between frames it keeps one square."""

    def __init__(self, detector: Graph, landmarks: Graph):
        self._detect = Detector(detector, STRIDES, signed=True)
        self._graph = landmarks
        self._crop: Crop | None = None

    def __call__(self, picture_HWC: np.ndarray) -> Body | None:
        """The person in the next frame, uint8 (H, W, 3), or None. The largest is looked for where it was lost."""
        body = self._look(picture_HWC, self._crop) if self._crop is not None else None
        if body is None:
            people = self._detect(picture_HWC, whole(picture_HWC))
            body = self._look(picture_HWC, _square(max(people, key=_size))) if people else None
        self._crop = None if body is None else _circle(body.points[CENTRE, :2], body.points[RIM, :2])
        return body

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


def _size(person: Detection) -> float:
    return float(np.linalg.norm(person.points[1] - person.points[0]))
