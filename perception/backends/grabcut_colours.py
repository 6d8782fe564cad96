"""Which colours were an object's, and which its surroundings'."""

from __future__ import annotations

import numpy as np

LEVELS = 32  # a channel
LEAST = 8  # pixels of a colour from which its share counts
UNKNOWN = 0.5


class Colours:
    """Counts of colours in and around an object, on the frames where it is known; neighbouring colours count half."""

    def __init__(self) -> None:
        self._inside = np.zeros(LEVELS**3, np.float32)
        self._outside = np.zeros(LEVELS**3, np.float32)

    def learn(self, pixels: np.ndarray, mask: np.ndarray) -> None:
        """pixels: uint8 (H, W, 3); mask: (H, W) bool, the object's."""
        numbers = _numbers(pixels)
        self._inside += _counts(numbers[mask])
        self._outside += _counts(numbers[~mask])

    def share(self, pixels: np.ndarray) -> np.ndarray:
        """Of the pixels that had this colour, how many were the object's: (H, W) float32 0…1; .5 where unknown."""
        total = self._inside + self._outside
        shares = np.where(total >= LEAST, self._inside / np.maximum(total, 1), UNKNOWN)
        return shares.astype(np.float32)[_numbers(pixels)]


def _numbers(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(pixels.astype(np.int32) * LEVELS >> 8, -1, 0)
    return (red * LEVELS + green) * LEVELS + blue


def _counts(numbers: np.ndarray) -> np.ndarray:
    """(LEVELS³,) how often each colour is there, its six neighbours' counts added by half, repeated along the axes."""
    counts = np.bincount(numbers, minlength=LEVELS**3).reshape((LEVELS,) * 3).astype(np.float32)
    for axis in range(3):
        beside = np.zeros_like(counts)
        low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        beside[low] += counts[high]
        beside[high] += counts[low]
        counts = counts + beside / 2
    return counts.ravel()
