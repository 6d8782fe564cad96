"""Turned squares of a picture: cut out for a network, and what it finds put back.

Points are continuous pixels, as in `media.pose.Pose`: the left edge of the picture is x = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...media.opencv import cv2

MOST_SHRINKING = 8  # a crop is read at no more than this multiple of its side, and averaged down


@dataclass(frozen=True)
class Crop:
    """A square: centre (x, y) and side in pixels; angle in radians, clockwise on the screen, of its x axis."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def axes(self) -> np.ndarray:
        """(2, 2): the square's own x and y axis as rows, in the picture, of length 1."""
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        return np.array([[cosine, sine], [-sine, cosine]])

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) in 0…1 of the square → (N, 2) pixels of the picture."""
        return (points - 0.5) * self.side @ self.axes() + (self.x, self.y)

    def from_picture(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) pixels of the picture → (N, 2) in 0…1 of the square."""
        return (points - (self.x, self.y)) @ self.axes().T / self.side + 0.5

    def grown(self, factor: float, shift: float = 0.0) -> Crop:
        """`factor` times as large; moved down its own y axis by `shift` of its side first."""
        x, y = np.array([self.x, self.y]) + self.axes()[1] * self.side * shift
        return Crop(float(x), float(y), self.side * factor, self.angle)

    def cut(self, picture_HWC: np.ndarray, side: int) -> np.ndarray:
        """uint8 (H, W, 3) → float32 (side, side, 3), 0…1, black outside; averaged where it shrinks."""
        multiple = int(np.clip(np.ceil(self.side / side), 1, MOST_SHRINKING))
        read = side * multiple
        found = cv2.warpAffine(picture_HWC, self._matrix(read), (read, read), flags=cv2.INTER_LINEAR)
        if multiple > 1:
            found = cv2.resize(found, (side, side), interpolation=cv2.INTER_AREA)
        return found.astype(np.float32) / 255

    def paste(self, values_HW: np.ndarray, width: int, height: int, outside: float) -> np.ndarray:
        """float32 (side, side) over the square → (height, width) over the picture, `outside` elsewhere."""
        matrix = cv2.invertAffineTransform(self._matrix(values_HW.shape[0]))
        return cv2.warpAffine(
            values_HW,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        )

    def _matrix(self, side: int) -> np.ndarray:
        """(2, 3): the picture's pixel indices → those of a square of `side` pixels; centres of pixels are whole."""
        turn = self.axes() * (side / self.side)
        shift = turn @ (0.5 - np.array([self.x, self.y])) + side / 2 - 0.5
        return np.column_stack([turn, shift])


def whole(picture_HWC: np.ndarray) -> Crop:
    """The square around a whole picture, with bars where it is not square."""
    height, width = picture_HWC.shape[:2]
    return Crop(width / 2, height / 2, float(max(width, height)))


def upright(centre: np.ndarray, top: np.ndarray, side: float) -> Crop:
    """A square around `centre` (2,) that is turned so that `top` (2,) lies straight above it."""
    x, y = top - centre
    return Crop(float(centre[0]), float(centre[1]), float(side), float(np.arctan2(x, -y)))


def around(points: np.ndarray, angle: float) -> Crop:
    """The smallest square of that angle that holds the box of the points (N, 2) in its own axes."""
    axes = Crop(0.0, 0.0, 1.0, angle).axes()
    own = points @ axes.T
    low, high = own.min(axis=0), own.max(axis=0)
    x, y = (low + high) / 2 @ axes
    return Crop(float(x), float(y), float((high - low).max()), angle)
