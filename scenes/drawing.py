"""Anti-aliased drawing of colour, depth and masks at once, in sub-pixel coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from ..media.opencv import cv2

Colour = tuple[int, int, int]
Mark = tuple[int, int, int, int]

# What a shape is, as painted into Canvas.marks: (character, object, hands, face).
BODY: Mark = (255, 0, 0, 0)
OBJECT: Mark = (0, 255, 0, 0)
HAND: Mark = (255, 0, 255, 0)
FACE: Mark = (255, 0, 0, 255)

_SHIFT = 6  # OpenCV's fixed-point coordinates carry this many binary places
_ARC = np.linspace(-np.pi / 2, np.pi / 2, 7)
_ARC_COS, _ARC_SIN = np.cos(_ARC), np.sin(_ARC)
_TURN = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)


@lru_cache(maxsize=4096)
def shade(colour: Colour, factor: float) -> Colour:
    """Darken (factor < 1) or lighten towards white (factor > 1) a colour of 0…255 values."""
    if factor <= 1:
        return tuple(int(c * factor) for c in colour)
    return tuple(int(c + (255 - c) * (factor - 1)) for c in colour)


def mix(first: Colour, second: Colour, amount: float) -> Colour:
    """Colour between `first` (amount 0) and `second` (amount 1)."""
    return tuple(int(a + (b - a) * amount) for a, b in zip(first, second, strict=True))


def capsules(start: np.ndarray, end: np.ndarray, start_radius: np.ndarray, end_radius: np.ndarray) -> np.ndarray:
    """Tapered capsule outlines (N, 14, 2) around the segments start (N, 2) … end (N, 2)."""
    along = end - start
    along = along / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    cap = _ARC_COS[None, :, None] * along[:, None] + _ARC_SIN[None, :, None] * across[:, None]
    far = end[:, None] + end_radius[:, None, None] * cap
    near = start[:, None] - start_radius[:, None, None] * cap
    return np.concatenate([far, near], 1)


def ellipse(centre: np.ndarray, first_axis: np.ndarray, second_axis: np.ndarray) -> np.ndarray:
    """Ellipse outline (20, 2) with the given half axes (2,)."""
    return np.asarray(centre) + _CIRCLE[:, :1] * np.asarray(first_axis) + _CIRCLE[:, 1:] * np.asarray(second_axis)


def smooth_closed(points: np.ndarray, rounds: int = 1) -> np.ndarray:
    """Chaikin corner cutting of a closed polygon (N, 2) → (N·2^rounds, 2)."""
    for _ in range(rounds):
        following = np.roll(points, -1, 0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    return points


def _fill(picture: np.ndarray, shape: list[np.ndarray], colour: tuple[int, ...]) -> None:
    """Fill a polygon in OpenCV's fixed-point coordinates: convex ones exactly, others to whole rows of the canvas."""
    if cv2.isContourConvex(shape[0]):
        cv2.fillConvexPoly(picture, shape[0], colour, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(picture, shape, colour, cv2.LINE_AA, _SHIFT)


class Canvas:
    """A supersampled picture that is painted back to front.

    Coordinates are continuous pixels of the final picture, as keypoints have them: the left edge is x = 0, the centre
    of the first pixel 0.5. `paint` (H·s, W·s, 4) uint8 holds red, green, blue and depth (255 = near); `marks`
    (H·s, W·s, 4) uint8 holds the character, object, hands and face masks.
    A shape painted later covers earlier ones in both, so that masks show what is visible.
    """

    def __init__(self, base: np.ndarray, scale: int, line: float):
        self.paint = base
        self.scale = scale
        self.line = max(1, int(round(line * scale)))
        self.marks = np.zeros(base.shape, np.uint8)
        self._factor = scale * (1 << _SHIFT)
        self._offset = -0.5 * (1 << _SHIFT)  # OpenCV counts from the centre of the first pixel

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Points in pixels → fixed-point canvas coordinates for OpenCV."""
        return np.rint(points * self._factor + self._offset).astype(np.int32)

    def fill(
        self, points: np.ndarray, colour: Colour, depth: int, mark: Mark | None = None, outline: Colour | None = None
    ) -> None:
        """Fill a polygon (N, 2), with an outline when a colour for it is given."""
        shape = [self.fixed(points)]
        _fill(self.paint, shape, (*colour, depth))
        if outline is not None:
            cv2.polylines(self.paint, shape, True, (*outline, depth), self.line, cv2.LINE_AA, _SHIFT)
        if mark is not None:
            _fill(self.marks, shape, mark)
            if outline is not None:
                cv2.polylines(self.marks, shape, True, mark, self.line, cv2.LINE_AA, _SHIFT)

    def stroke(
        self,
        points: np.ndarray,
        colour: Colour,
        depth: int,
        width: float,
        mark: Mark | None = None,
        closed: bool = False,
    ) -> None:
        """Draw a line of the given width in pixels through points (N, 2)."""
        line, thickness = [self.fixed(points)], max(1, int(round(width * self.scale)))
        cv2.polylines(self.paint, line, closed, (*colour, depth), thickness, cv2.LINE_AA, _SHIFT)
        if mark is not None:
            cv2.polylines(self.marks, line, closed, mark, thickness, cv2.LINE_AA, _SHIFT)

    def limb(
        self,
        joints: np.ndarray,
        radii: np.ndarray,
        colours: list[Colour],
        depths: list[int],
        mark: Mark,
        light: np.ndarray,
    ) -> None:
        """A chain of tapered segments through joints (N, 2): outline, fill, and a lighter strip on the lit side.

        `radii` (N-1, 2) at the start and end of each segment; `light` (2,) points towards the light in the picture.
        """
        start, end, first, last = joints[:-1], joints[1:], radii[:, 0], radii[:, 1]
        rim, count = self.line / self.scale * 0.9, len(start)
        near, far = light * (first * 0.36)[:, None], light * (last * 0.36)[:, None]
        shapes = self.fixed(
            capsules(
                np.concatenate([start, start, start + near]),
                np.concatenate([end, end, end + far]),
                np.concatenate([first + rim, first, first * 0.52]),
                np.concatenate([last + rim, last, last * 0.52]),
            )
        )
        outer, inner, lit = shapes[:count], shapes[count : 2 * count], shapes[2 * count :]
        for shape, colour, depth in zip(outer, colours, depths, strict=True):
            cv2.fillConvexPoly(self.paint, shape, (*shade(colour, 0.62), depth), cv2.LINE_AA, _SHIFT)
            cv2.fillConvexPoly(self.marks, shape, mark, cv2.LINE_AA, _SHIFT)
        for shape, colour, depth in zip(inner, colours, depths, strict=True):
            cv2.fillConvexPoly(self.paint, shape, (*shade(colour, 0.9), depth), cv2.LINE_AA, _SHIFT)
        for shape, colour, depth in zip(lit, colours, depths, strict=True):
            cv2.fillConvexPoly(self.paint, shape, (*shade(colour, 1.1), depth), cv2.LINE_AA, _SHIFT)

    @contextmanager
    def inside(self, mark: Mark) -> Iterator[None]:
        """Keep what is painted within the shapes marked so far with `mark`'s last component."""
        channel = max(i for i in range(4) if mark[i])
        x, y, w, h = cv2.boundingRect(cv2.extractChannel(self.marks, channel))
        area = np.s_[
            max(y - 40 * self.scale, 0) : y + h + 40 * self.scale, max(x - 40 * self.scale, 0) : x + w + 40 * self.scale
        ]
        before = self.paint[area].copy()
        yield
        changed, cover = self.paint[area], self.marks[area][..., channel : channel + 1].astype(np.float32) / 255
        changed[...] = before + cover * (changed.astype(np.float32) - before) + 0.5

    def shadow(self, centre: np.ndarray, half_width: float, half_height: float, strength: float) -> None:
        """Darken a soft ellipse (a contact shadow); depth and masks stay."""
        s = self.scale
        x, y, a, b = centre[0] * s - 0.5, centre[1] * s - 0.5, max(half_width * s, 1.0), max(half_height * s, 1.0)
        height, width = self.paint.shape[:2]
        left, right = max(int(x - 1.6 * a), 0), min(int(x + 1.6 * a) + 2, width)
        top, bottom = max(int(y - 1.6 * b), 0), min(int(y + 1.6 * b) + 2, height)
        if left >= right or top >= bottom:
            return
        across = ((np.arange(left, right, dtype=np.float32) - x) / a) ** 2
        down = ((np.arange(top, bottom, dtype=np.float32) - y) / b) ** 2
        keep = 1 - strength * np.exp(-1.5 * (down[:, None] + across[None]))
        region = self.paint[top:bottom, left:right, :3]
        region[...] = region * keep[..., None] + 0.5
