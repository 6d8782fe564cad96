"""A video → its shots: where colours and pixels change at once, and much more than around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...media import Video
from ...media.opencv import cv2

SMALL = (64, 64)
BINS = 8  # of every colour
LEAST = 0.25  # colours' and pixels' change, together, of a cut
ABOVE = 3.0  # times the usual change around
AROUND = 6  # frames on either side that tell what is usual


@dataclass(frozen=True)
class Looks:
    """Of F frames: change (F,) of colours and pixels from the frame before, motion (F,) of pixels alone, light (F,)."""

    change: np.ndarray
    motion: np.ndarray
    light: np.ndarray

    def shots(self) -> list[tuple[int, int]]:
        """[start, stop) of every shot. Gap: dissolves are no cuts; a flash of one frame is two."""
        frames = range(1, len(self.change))
        cuts = [frame for frame in frames if self.change[frame] >= max(LEAST, ABOVE * self._usual(frame))]
        edges = [0, *cuts, len(self.change)]
        return list(zip(edges[:-1], edges[1:], strict=True))

    def _usual(self, frame: int) -> float:
        low, high = max(1, frame - AROUND), frame + AROUND + 1
        around = np.delete(self.change[low:high], frame - low)
        return float(np.median(around)) if len(around) else 0.0


def look(video: Video) -> Looks:
    """One pass over small frames. Raises InputError where the video cannot be read."""
    rows, before = [], None
    for frame in video.frames(SMALL):
        now = frame.astype(np.float32) / 255, _colours(frame)
        moved = 0.0 if before is None else float(np.abs(now[0] - before[0]).mean())
        recoloured = 0.0 if before is None else float(np.abs(now[1] - before[1]).sum() / 2)
        rows.append((recoloured + 2 * moved, moved, float(now[0].mean())))
        before = now
    return Looks(*np.array(rows, np.float64).T)


def _colours(frame: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([frame], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3)
    return counts.ravel() / counts.sum()


class Section(Video):
    """Frames start…stop of a video, as a video; the first is shown at 0."""

    def __init__(self, video: Video, start: int, stop: int):
        super().__init__(video.path, video.source, video.ground)
        self.first = start
        self.times = video.times[start:stop] - video.times[start]

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        return super()._frames(self.first + start, self.first + stop, size)
