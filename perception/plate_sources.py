"""The frames that a clean plate is made from: what they show, what the character hides, and their exposure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..media.opencv import cv2
from .masks import inside

FARTHEST = 250  # pixels to the mask from which it does not matter how far
SPARSE = 20_000  # pixels that an exposure is measured by, at most
LARGEST_GAIN = 2.0


class Shot:
    """A clip and its character's mask. size: (height, width).

    margin: pixels around the mask that are filled like it, where other frames show them clearer: soft edges, motion
    blur, contact shadows. edge: pixels around the mask that show it for certain, and are never taken.
    """

    def __init__(self, frames: Sequence[Tensor], masks: Sequence[Tensor], margin: int, edge: int) -> None:
        self._frames, self._masks = frames, masks
        self.edge, self.margin = min(edge, margin), margin
        self.size = tuple(int(side) for side in masks[0].shape)

    def __len__(self) -> int:
        return len(self._frames)

    def picture(self, index: int) -> Tensor:
        """(H, W, 3) 0…1."""
        return self._frames[index]

    def clearance(self, index: int) -> np.ndarray:
        """(H, W) uint8: how far each pixel is from the character, 0 on it and its edge, 1 next to that."""
        return np.ceil(np.clip(self._distance(index) - self.edge, 0, FARTHEST)).astype(np.uint8)

    @property
    def clear(self) -> int:
        """The clearance up to which a pixel lies within the margin: what it shows may be better seen elsewhere."""
        return self.margin - self.edge

    def _distance(self, index: int) -> np.ndarray:
        outside = (~inside(self._masks[index])).numpy().astype(np.uint8)
        if outside.all():
            return np.full(outside.shape, np.float32(FARTHEST + self.edge))
        return cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def colour_gain(wanted: np.ndarray, given: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the factor (3,) that brings `given` to the exposure of `wanted`, (H, W, 3) uint8, by the pixels `where`.

    The median of the pixels' own factors: what moved among them does not count. 1 where too few pixels tell.
    """
    places = np.flatnonzero(where)
    places = places[:: max(1, len(places) // SPARSE)]
    wanted, given = (picture.reshape(-1, 3)[places].astype(np.float32) for picture in (wanted, given))
    gain = np.ones(3, np.float32)
    for channel in range(3):
        bright = (given[:, channel] > 24) & (wanted[:, channel] < 250) & (given[:, channel] < 250)
        if bright.sum() >= 64:
            gain[channel] = np.median(wanted[bright, channel] / given[bright, channel])
    return gain.clip(1 / LARGEST_GAIN, LARGEST_GAIN)


def exposed(picture: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 times a factor (3,)."""
    return np.clip(np.rint(picture * gain), 0, 255).astype(np.uint8)
