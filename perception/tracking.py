"""Objects that somebody pointed at → their masks through the whole video, by whichever segmenter there is."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .backends.protocols import VideoSegmenter
from .prompts import Prompt, check_frames

logger = logging.getLogger(__name__)


class ObjectMasks:
    """Masks of several objects through a video, packed. count: of frames; objects: how many."""

    def __init__(self, count: int, objects: int, size: tuple[int, int]) -> None:
        """size: (height, width)."""
        self.count, self.objects, self._size = count, objects, size
        self._packed: dict[tuple[int, int], bytes] = {}

    def put(self, frame: int, number: int, mask: np.ndarray) -> None:
        """Keep the mask (H, W) bool of an object, by its number from 0, on a frame."""
        if mask.any():
            self._packed[frame, number] = zlib.compress(np.packbits(mask).data, level=1)

    def get(self, frame: int, number: int | None = None) -> np.ndarray:
        """The mask (H, W) bool of one object on a frame, or of all together."""
        if number is None:
            return np.any([self.get(frame, each) for each in range(self.objects)], axis=0)
        packed, (height, width) = self._packed.get((frame, number)), self._size
        if packed is None:
            return np.zeros(self._size, bool)
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)

    def missing(self, number: int) -> list[int]:
        """The frames on which nothing of an object is seen."""
        return [frame for frame in range(self.count) if (frame, number) not in self._packed]


def track(
    frames: Sequence[np.ndarray], prompts: Sequence[Prompt], segmenter: VideoSegmenter, progress=None
) -> ObjectMasks:
    """Masks of all objects on all frames, at the frames' size; objects without a mark are nowhere.

    frames: uint8 (H, W, 3) RGB of one size, made when they are asked for: a few are in memory at once.
    progress: called without arguments after each mask. Tells which segmenter works, and where an object is not seen.
    Raises InputError where the segmenter cannot be used, and as `check_frames`.
    """
    check_frames(prompts, len(frames))
    reason = segmenter.available()
    if reason is not None:
        raise InputError(reason)
    numbers = [number for number, prompt in enumerate(prompts) if prompt.frames]
    logger.info("%s follows %d objects through %d frames", segmenter.name, len(numbers), len(frames))
    masks = ObjectMasks(len(frames), len(prompts), frames[0].shape[:2])
    for frame, index, mask in segmenter.segment(frames, [prompts[number] for number in numbers]):
        masks.put(frame, numbers[index], mask)
        if progress is not None:
            progress()
    for number in numbers:
        missing = masks.missing(number)
        if missing:
            logger.warning(
                "object %d is not seen on %d of %d frames, first on frame %d: where it is there, add a point",
                *(number + 1, len(missing), len(frames), missing[0]),
            )
    return masks
