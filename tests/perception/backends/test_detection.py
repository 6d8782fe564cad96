"""Anchors by a count of their own, decoding of a made-up graph, and the mean of what overlaps."""

import numpy as np
import pytest
from inhabit.perception.backends.crops import whole
from inhabit.perception.backends.detection import Detector, anchors, blend, sigmoid


def listed(side: int, strides: tuple[int, ...]) -> np.ndarray:
    """Every layer's cells, two anchors each, put in order by stride, row and column."""
    found = [
        (order, row, column, (column + 0.5) * stride / side, (row + 0.5) * stride / side)
        for order, stride in enumerate(dict.fromkeys(strides))
        for layer in strides
        if layer == stride
        for row in range(side // stride)
        for column in range(side // stride)
        for _ in range(2)
    ]
    return np.array([place[3:] for place in sorted(found, key=lambda place: place[:3])])


@pytest.mark.parametrize(
    ("side", "strides", "count"),
    [(224, (8, 16, 32, 32, 32), 2254), (128, (8, 16, 16, 16), 896), (192, (8, 16, 16, 16), 2016)],
    ids=["people", "faces", "palms"],
)
def test_anchors(side, strides, count):
    """The counts are those of the graphs' outputs."""
    assert len(anchors(side, strides)) == count
    assert np.allclose(anchors(side, strides), listed(side, strides))


class OneBox:
    """A graph that sees one thing, by its 100th anchor."""

    side = 64

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        self.seen = picture
        boxes, logits = np.zeros((128 + 32 * 3, 6), np.float32), np.full((128 + 32 * 3, 1), -9, np.float32)
        boxes[100], logits[100] = (3.2, -6.4, 12.8, 25.6, 0.0, 6.4), 2.0
        return [boxes, logits]


def test_a_box_lies_at_its_anchor():
    graph = OneBox()
    picture = np.full((320, 640, 3), 255, np.uint8)
    [found] = Detector(graph, (8, 16, 16, 16), signed=True)(picture, whole(picture))
    column, row = 50 % 8, 50 // 8  # two anchors a cell, eight cells a row
    centre = np.array([(column + 0.5) / 8 + 0.05, (row + 0.5) / 8 - 0.1]) * 640 - (0, 160)
    assert np.allclose(found.corners, [centre - (64, 128), centre + (64, 128)])
    assert np.allclose(found.points, [np.array([(column + 0.5) / 8, (row + 0.5) / 8 + 0.1]) * 640 - (0, 160)])
    assert found.score == pytest.approx(1 / (1 + np.exp(-2)))
    assert graph.seen.min() == -1 and graph.seen.max() == 1


def test_nothing_is_found_where_no_score_is_high():
    class Nothing(OneBox):
        def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
            boxes, logits = super().__call__(picture)
            return [boxes, logits * 0 - 1]

    picture = np.zeros((64, 64, 3), np.uint8)
    assert Detector(Nothing(), (8, 16, 16, 16), signed=False)(picture, whole(picture)) == []


def test_boxes_that_overlap_are_averaged_by_their_scores():
    values = np.array([[[0.5, 0.5], [0.2, 0.2]], [[0.1, 0.1], [0.1, 0.1]], [[0.52, 0.5], [0.2, 0.2]]])
    (first, sure), (second, less) = blend(values, np.array([0.6, 0.7, 0.9]))
    assert (sure, less) == (0.9, 0.7)
    assert np.allclose(first[0], [(0.5 * 0.6 + 0.52 * 0.9) / 1.5, 0.5]) and np.allclose(second, values[1])


def test_sigmoid_of_large_numbers():
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == pytest.approx([0, 0.5, 1])
