"""A moving window of a clip as a clip of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from .video import Clip


class CroppedClip(Clip):
    """Every frame's own window of another clip, whatever that holds: pictures, masks or depth.

    clip: of F frames, or of one that holds for all. corners: left and top of each frame's window. size: (width,
    height) of all of them. picture: (width, height) of the frames that these are pixels of; the clip's frames
    are brought to it first.
    """

    def __init__(self, clip: Clip, corners: Sequence[tuple[int, int]], size: tuple[int, int], picture: tuple[int, int]):
        self.path, self.size, self.stored_size = clip.path, size, size
        self.times = clip.times if len(clip) == len(corners) else np.arange(len(corners)) / clip.fps
        self.fps = clip.fps
        self._clip, self._corners, self._picture = clip, corners, picture

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        width, height = self.size
        if len(self._clip) == 1:
            whole = repeat(next(self._clip.frames(self._picture)), stop - start)
        else:
            whole = self._clip.frames(self._picture, start, stop)
        for (left, top), frame in zip(self._corners[start:stop], whole, strict=True):
            yield frame[top : top + height, left : left + width]
