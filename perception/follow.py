"""Which of several people is meant, and who of the next frame is the same one.

Gap: people who wear the same and stand where the other stood before the cut cannot be told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import InputError
from ..media.opencv import cv2

LARGEST = "largest"
BINS = (12, 5, 5)  # of the histogram of hue, saturation and value
TORSO = (0.25, 0.15, 0.75, 0.55)  # left, top, right and bottom of the part of a box that clothes fill
LEAST_SIDE = 2  # pixels of a torso that has colours to compare
ALIKE = 0.45  # Bhattacharyya coefficient of the colours from which two boxes may show the same person
AS_ALIKE = 0.65  # the same for one who is found again elsewhere
REACH = 0.75  # box heights that a person moves from one frame to the next at most
REACH_A_FRAME = 0.1  # and that this grows by with every frame in which nobody was seen
BY_DISTANCE = 0.5  # what a box height of distance weighs against equal colours
LEARNS = 0.1  # share of a frame in the colours that are remembered


@dataclass(frozen=True)
class Choice:
    """One person of a video: the largest, or one by number or place.

    number: counted from the left, from 1, in the first frame that shows as many. point: (x, y) in 0…1 of the picture,
    in the first frame in which a person's box covers it. Neither: the largest in the first frame that shows anybody.
    """

    number: int | None = None
    point: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.number is not None:
            return f"person {self.number} from the left"
        return "the largest person" if self.point is None else "the person at {:.0%}, {:.0%}".format(*self.point)


def parse_choice(text: str, size: tuple[int, int]) -> Choice:
    """`largest`, `N` or `X,Y` in pixels of a picture of size (width, height) → a choice. Raises InputError."""
    text = text.strip()
    if text in ("", LARGEST):
        return Choice()
    if re.fullmatch(r"[0-9]+", text) and int(text) > 0:
        return Choice(number=int(text))
    pair = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*,\s*([0-9]+(?:\.[0-9]+)?)", text)
    if pair is None:
        raise InputError(f"the person {text!r} is neither `largest`, a number from 1 on, nor X,Y in pixels")
    x, y = (float(value) / side for value, side in zip(pair.groups(), size, strict=True))
    if not (x < 1 and y < 1):
        raise InputError(f"the person at {text} is outside the picture of {size[0]}x{size[1]} pixels")
    return Choice(point=(x, y))


class Follow(Protocol):
    """Says who of the people of the next frame is meant, and how many there were at most."""

    choice: Choice
    most: int

    def __call__(self, frame: np.ndarray | None, boxes: np.ndarray, size: tuple[int, int] | None = None) -> int | None:
        """The index of the person's box in the next frame, None where they are not seen or not chosen yet.

        frame: uint8 (H, W, 3) RGB; None: boxes are told apart by their places alone. boxes: (N, 4) left, top, right
        and bottom in pixels. size: (width, height) of the picture where there is no frame.
        """


class Follower:
    """A `Follow` that goes through one clip once and remembers one person's box, speed and colours."""

    def __init__(self, choice: Choice = Choice()):  # noqa: B008 - frozen
        self.choice, self.most = choice, 0
        self._box: np.ndarray | None = None
        self._colours: np.ndarray | None = None
        self._speed, self._unseen = np.zeros(2), 0

    def __call__(self, frame: np.ndarray | None, boxes: np.ndarray, size: tuple[int, int] | None = None) -> int | None:
        """See `Follow`."""
        self.most = max(self.most, len(boxes))
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        colours = [None if frame is None else _colours(frame, box) for box in boxes]
        if self._box is None:
            index = self._first(boxes, size or (frame.shape[1], frame.shape[0]))
        else:
            index = self._next(boxes, colours)
        if index is None:
            self._unseen += self._box is not None
        else:
            self._remember(boxes[index], colours[index])
        return index

    def _first(self, boxes: np.ndarray, size: tuple[int, int]) -> int | None:
        if len(boxes) == 0:
            return None
        if self.choice.number is not None:
            order = np.argsort(boxes[:, [0, 2]].sum(axis=1), kind="stable")
            return int(order[self.choice.number - 1]) if self.choice.number <= len(boxes) else None
        if self.choice.point is None:
            return int(np.argmax(_area(boxes)))
        x, y = np.array(self.choice.point) * size
        under = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
        distance = np.linalg.norm(_middle(boxes) - (x, y), axis=1)
        return int(np.argmin(np.where(under, distance, np.inf))) if under.any() else None

    def _next(self, boxes: np.ndarray, colours: list[np.ndarray | None]) -> int | None:
        """The box that is like the person most, of those that can be them."""
        height = self._box[3] - self._box[1]
        expected = _middle(self._box[None])[0] + self._speed * (self._unseen == 0)
        away = np.linalg.norm(_middle(boxes) - expected, axis=1) / max(height, 1)
        reach = REACH + REACH_A_FRAME * self._unseen
        best, index = -np.inf, None
        for number, (distance, seen) in enumerate(zip(away, colours, strict=True)):
            alike = 1.0 if seen is None or self._colours is None else float(np.sqrt(seen * self._colours).sum())
            if alike < (ALIKE if distance <= REACH else AS_ALIKE) or distance > reach:
                continue
            value = alike - BY_DISTANCE * distance
            if value > best:
                best, index = value, number
        return index

    def _remember(self, box: np.ndarray, colours: np.ndarray | None) -> None:
        if self._box is not None:
            moved = _middle(box[None])[0] - _middle(self._box[None])[0]
            self._speed = 0.5 * self._speed + 0.5 * moved if self._unseen == 0 else np.zeros(2)
        if colours is not None:
            self._colours = colours if self._colours is None else (1 - LEARNS) * self._colours + LEARNS * colours
        self._box, self._unseen = box, 0


class Along:
    """A `Follow` that takes the one nearest to where the person is known to be, frame by frame.

    boxes: (F, 4) as the follower's, NaN where nobody is known to be.
    """

    def __init__(self, boxes: np.ndarray):
        self.choice, self.most = Choice(), 0
        self._known = iter(boxes)

    def __call__(self, frame: np.ndarray | None, boxes: np.ndarray, size: tuple[int, int] | None = None) -> int | None:
        """See `Follow`."""
        self.most = max(self.most, len(boxes))
        known = next(self._known)
        if len(boxes) == 0 or not np.isfinite(known).all():
            return None
        away = np.linalg.norm(_middle(boxes) - _middle(known[None]), axis=1)
        index = int(np.argmin(away))
        return index if away[index] <= REACH * max(known[3] - known[1], 1) else None


def _middle(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)


def _colours(frame: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Share of every colour in the middle of a box, a histogram whose sum is 1; None where there are no pixels."""
    left, top, right, bottom = box
    shares = np.array(TORSO).reshape(2, 2)
    low, high = (np.array([left, top]) + share * (right - left, bottom - top) for share in shares)
    (x0, y0), (x1, y1) = np.maximum(np.floor(low), 0).astype(int), np.ceil(high).astype(int)
    torso = frame[y0 : max(y1, 0), x0 : max(x1, 0)]
    if min(torso.shape[:2]) < LEAST_SIDE:
        return None
    hsv = cv2.cvtColor(np.ascontiguousarray(torso), cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256])
    return counts / counts.sum()
