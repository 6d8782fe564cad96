"""What the pixels of a mask mean, and arrays of numbers as masks and depth. One place says it, for all kinds of files.

1. A pixel's value is the largest of its red, green and blue: a mask painted in any colour is one.
2. Alpha, where some pixel of the clip is not opaque: if all visible pixels have one colour (a white, black or red shape
   on nothing) or many (a cut-out picture), the colour tells nothing and alpha is the mask. If they are of two kinds,
   dark and bright, they are a mask's own, and the value is what is seen over black: value x alpha.
3. Whole numbers are parts of their type's largest one. Of files that keep every pixel, a clip whose largest number is 1
   is made of zeros and ones, and one of 16 bits whose largest number is at most 255 is made of 8-bit numbers. What a
   lossy file holds of such small numbers is noise of its encoder on black.

Values stay between 0 and 1: from which one on a pixel counts as covered is for those to say who use the mask.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .sources import ArraySource, Plane

VISIBLE = 32  # of 255: alpha from which a pixel's colour counts as seen; below, encoders blur colours
MIDDLE, MANY = (64, 192), 0.2  # values of neither kind; the share of them from which a picture is no drawn mask
SAME = 24  # of 255: colours that differ by less are one (lossy encoders blur edges)


@dataclass(frozen=True)
class MaskMeaning:
    """alpha_is_mask: rule 2's first half. limit: the number that means 1."""

    alpha_is_mask: bool
    limit: float

    @classmethod
    def of(cls, planes: Iterable[Plane], lossless: bool) -> "MaskMeaning":
        """Learn it from the frames, from as few of them as tell it; lossless: see rule 3."""
        largest, limit, clear, seen = 0.0, 1.0, False, _Seen()
        for plane, alpha in planes:
            limit = 1.0 if plane.dtype.kind in "fb" else float(np.iinfo(plane.dtype).max)
            largest = max(largest, float(plane.max()))
            if alpha is not None:
                clear |= bool((alpha < 255).any())
                seen.add(plane[alpha >= VISIBLE])
            if (not lossless or _told(plane, largest)) and (alpha is None or (clear and not seen.is_one_colour)):
                break
        if lossless and largest <= 1:
            limit = 1.0
        elif lossless and largest <= 255:
            limit = min(limit, 255.0)
        return cls(clear and (seen.is_one_colour or seen.is_picture), limit)

    def value(self, plane: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        """One frame → float32 (h, w), 0…1."""
        if alpha is not None and self.alpha_is_mask:
            return alpha.astype(np.float32) / 255
        value = plane.astype(np.float32) / np.float32(self.limit)
        return value if alpha is None else value * (alpha.astype(np.float32) / 255)


@dataclass
class _Seen:
    """Values (0…255) of the visible pixels so far."""

    low: float = 255.0
    high: float = 0.0
    count: int = 0
    middle: int = 0

    def add(self, values: np.ndarray) -> None:
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.count += values.size
            self.middle += int(((values >= MIDDLE[0]) & (values < MIDDLE[1])).sum())

    @property
    def is_one_colour(self) -> bool:
        return self.high - self.low <= SAME

    @property
    def is_picture(self) -> bool:
        return self.middle > MANY * self.count


def _told(plane: np.ndarray, largest: float) -> bool:
    """Whether a clip's largest number so far decides which number means 1."""
    return plane.dtype.kind in "fb" or largest > (1 if plane.dtype.itemsize == 1 else 255)


def read_array(path: Path, kind: str) -> ArraySource:
    """A .npy file of a mask (F, H, W), (H, W) or (F, H, W, 1), or of depth (F, H, W). Raises InputError."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a readable .npy array: save it with numpy.save") from error
    return ArraySource(_depth_planes(path, array) if kind == "depth" else _mask_planes(path, array))


def _depth_planes(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim != 3 or array.size == 0 or array.dtype.kind != "f":
        raise InputError(f"{path} is {array.dtype} of shape {array.shape}: give floats 0…1 of (frames, height, width)")
    return array


def _mask_planes(path: Path, array: np.ndarray) -> np.ndarray:
    """Numbers as they are where 0…1 is meant, else uint8 or uint16."""
    wanted = "give bools, 0…1 or 0…255 of (frames, height, width)"
    planes = array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array
    planes = planes[None] if planes.ndim == 2 else planes
    if planes.ndim != 3 or planes.size == 0 or planes.dtype.kind not in "fbui":
        raise InputError(f"{path} is {array.dtype} of shape {array.shape}: {wanted}")
    if planes.dtype == bool or planes.dtype in (np.uint8, np.uint16):
        return planes
    low, high = float(np.nanmin(planes)), float(np.nanmax(planes))
    whole = planes.dtype.kind in "ui" or bool((planes == np.rint(planes)).all())
    if planes.dtype.kind == "f" and not (whole and 1 < high <= 255 and low >= 0):
        return planes
    if low < 0 or high > 65535:
        raise InputError(f"{path} has values from {low:g} to {high:g}: {wanted}")
    return planes.astype(np.uint8 if high <= 255 else np.uint16)
