"""Detectors of one shot, as MediaPipe's graphs for people, palms and faces are: anchors, boxes, the best of them.

The graph tells, for each of a fixed grid of anchors, an offset to a box and its key points and how sure it is
(Bazarevsky et al. 2019, "BlazeFace"). Boxes that overlap are one thing, and averaged by their scores, as is done there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .crops import Crop
from .litert import Graph

ANCHORS_A_LAYER = 2
SURE = 0.5  # from this score on a detection counts
SAME = 0.3  # boxes that share this much of their union show the same thing
LARGEST_LOGIT = 80.0  # float32's exponential ends at 88


@dataclass(frozen=True)
class Detection:
    """Corners (2, 2): the box's top left and bottom right; points (N, 2) its key points; all in pixels. score 0…1."""

    corners: np.ndarray
    points: np.ndarray
    score: float

    @property
    def area(self) -> float:
        return float(np.prod(self.corners[1] - self.corners[0]))


def anchors(side: int, strides: Sequence[int]) -> np.ndarray:
    """(N, 2) centres in 0…1, x and y, in the order of the graph's output: layer by layer, row by row.

    side: of the picture in pixels. strides: of every layer in pixels. Layers of the same stride that follow each other
    are told together, cell by cell, ANCHORS_A_LAYER for each of them.
    """
    layers = []
    for stride, same in groupby(strides):
        cells = (np.arange(-(-side // stride)) + 0.5) / -(-side // stride)
        grid = np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 2)
        layers.append(grid.repeat(ANCHORS_A_LAYER * len(list(same)), axis=0))
    return np.concatenate(layers)


class Detector:
    """A detector's graph and its anchors."""

    def __init__(self, graph: Graph, strides: Sequence[int], signed: bool):
        """signed: the graph takes pictures in -1…1, not in 0…1."""
        self._graph, self._signed = graph, signed
        self._anchors = anchors(graph.side, strides)

    def __call__(self, picture_HWC: np.ndarray, crop: Crop) -> list[Detection]:
        """What a square of a uint8 picture shows, surest first. Boxes lie along the axes of an upright square."""
        side = self._graph.side
        seen = crop.cut(picture_HWC, side)
        boxes, logits = self._graph(seen * 2 - 1 if self._signed else seen)
        scores = sigmoid(logits[:, 0])
        kept = scores >= SURE
        values = boxes[kept].reshape(int(kept.sum()), boxes.shape[1] // 2, 2) / side
        values[:, 0] += self._anchors[kept]
        values[:, 2:] += self._anchors[kept, None]
        found = blend(values, scores[kept])
        return [_in_pixels(values, score, crop) for values, score in found]


def blend(values: np.ndarray, scores: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Boxes (N, 2 + points, 2): centre, size and points, with their scores (N,) → one for each thing, surest first.

    Each is the mean of all boxes that overlap with the surest one left, weighted by their scores; its score is the
    surest's.
    """
    found, left = [], np.argsort(-scores)
    while len(left):
        same = _overlap(values[left[0]], values[left]) > SAME
        same[0] = True
        together = left[same]
        found.append((np.average(values[together], axis=0, weights=scores[together]), float(scores[left[0]])))
        left = left[~same]
    return found


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -LARGEST_LOGIT, LARGEST_LOGIT)))


def _overlap(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of one box with others, each as centre and size in its first two rows."""
    low = np.maximum(one[0] - one[1] / 2, others[:, 0] - others[:, 1] / 2)
    high = np.minimum(one[0] + one[1] / 2, others[:, 0] + others[:, 1] / 2)
    shared = (high - low).clip(0).prod(axis=1)
    return shared / (one[1].prod() + others[:, 1].prod(axis=1) - shared).clip(1e-9)


def _in_pixels(values: np.ndarray, score: float, crop: Crop) -> Detection:
    corners = np.stack([values[0] - values[1] / 2, values[0] + values[1] / 2])
    return Detection(crop.to_picture(corners), crop.to_picture(values[2:]), score)
