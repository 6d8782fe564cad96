"""Windows over a long video: which frames are denoised together, and how overlapping results become one.

Plain index arithmetic and sums, used by the animate loop and by the ComfyUI context handler alike.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


def windows(frames: int, length: int, overlap: int, offset: int = 0) -> list[list[int]]:
    """Return the windows that cover `frames` frames, each a list of consecutive frame indices in rising order.

    Every window has exactly `length` frames and neighbours share at least `overlap`; a video shorter than `length` is
    one window. What would reach over an end of the video is moved back inside, so no window is ever shorter than
    what the temporal layers were trained on. `offset` (frames, any integer) moves all windows towards the start;
    offsets that differ by a multiple of `length - overlap` give the same windows.

    Raises InputError for a length below 1, or an overlap outside 0 … length - 1.
    """
    _check(frames, length, overlap)
    stride = length - overlap
    last = frames - length
    if last <= 0:
        return [list(range(frames))]
    wanted = range(-(offset % stride), last + stride, stride)
    starts = sorted({min(max(start, 0), last) for start in wanted})
    return [list(range(start, start + length)) for start in starts]


def step_offset(seed: int, step: int, length: int, overlap: int) -> int:
    """Return HIA's random window offset for one denoising step, 0 … stride - 1: a pure function of (seed, step)."""
    return int(np.random.default_rng((seed, step)).integers(length - overlap))


def step_windows(frames: int, length: int, overlap: int, seed: int, step: int) -> list[list[int]]:
    """Return the windows of one denoising step of "prompt travel" (HIA §3.4): all shifted by one random offset."""
    _check(frames, length, overlap)
    return windows(frames, length, overlap, step_offset(seed, step, length, overlap))


def window_weights(length: int) -> Tensor:
    """Return the weight of each frame of a window in the average, (length,): 1 at both ends, (length + 1) // 2 amid.

    # Not in paper: HIA averages the overlaps plainly. A frame at a window's end has context on one side only, and a
    # plain mean jumps where a window begins; a triangle trusts the middle and fades each window in and out.
    """
    rising = torch.arange(1, length + 1, dtype=torch.float32)
    return torch.minimum(rising, rising.flip(0))


class WindowAverage:
    """Collects the windows' results and gives their weighted mean per frame, in float32 on the CPU.

    >>> average = WindowAverage((frames, 4, h, w))
    >>> for window in windows(frames, length, overlap): average.add(window, result_FCHW)
    >>> average.result()
    """

    def __init__(self, shape: tuple[int, ...] | torch.Size) -> None:
        self._sum = torch.zeros(shape)
        self._weight = torch.zeros(shape[0])

    def add(self, window: list[int], result: Tensor) -> None:
        """Add the result (length, …) of one window of frame indices."""
        weights = window_weights(len(window))
        self._sum[window] += result.to(self._sum) * weights.reshape(-1, *[1] * (result.ndim - 1))
        self._weight[window] += weights

    def result(self, part: slice = slice(None)) -> Tensor:
        """Return the mean (frames, …), of all frames or of a part. Raises RuntimeError when one was in no window."""
        missing = (self._weight == 0).nonzero().flatten().tolist()
        if missing:
            raise RuntimeError(f"no window covered frames {missing}")
        return self._sum[part] / self._weight[part].reshape(-1, *[1] * (self._sum.ndim - 1))


def _check(frames: int, length: int, overlap: int) -> None:
    if frames < 1:
        raise InputError(f"a video of {frames} frames has no windows; give at least 1 frame")
    if length < 1:
        raise InputError(f"a window of {length} frames; give a window of at least 1 frame")
    if not 0 <= overlap < length:
        raise InputError(f"an overlap of {overlap} frames for windows of {length}; give 0 to {length - 1}")
