"""When frames are shown: seconds from the first one."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

GRID_SECONDS = 0.0011  # containers that count milliseconds (.mkv, .flv) round to this
JUMP_SECONDS = 10.0  # a step back of the clock by more than this is another clock
NEARLY = 0.9  # of the frames of a constant rate
USUAL_FPS = 24.0


def frame_times(seconds: Sequence[float | None], rate: Fraction | float | None) -> tuple[np.ndarray, float, int]:
    """Times that a file tells → float64 (F,), strictly increasing, the first 0; the mean rate; how many were mended.

    Times within a millisecond of the rate's grid are put onto it. Without times, frames come at `rate`. Times that
    are missing, stand still or go back are mended.
    """
    rate = float(rate) if rate else USUAL_FPS
    known = np.array([np.nan if moment is None else moment for moment in seconds], np.float64)
    count = len(known)
    grid = np.arange(count) / rate
    if np.isnan(known).sum() * 2 > count or count == 1:
        return grid, rate, 0
    times, mended = _increasing(known - known[~np.isnan(known)][0], 1 / rate)
    if np.abs(times - grid).max() <= GRID_SECONDS:
        return grid, rate, mended
    mean = (count - 1) / float(times[-1])
    if np.abs(times * rate - np.rint(times * rate)).max() <= GRID_SECONDS * rate and mean > NEARLY * rate:
        return np.rint(times * rate) / rate, rate, mended  # but for a few frames that are missing
    grid = np.arange(count) / mean
    if np.abs(times - grid).max() <= GRID_SECONDS:
        return grid, mean, mended
    return times, mean, mended


def is_steady(times: np.ndarray, fps: float) -> bool:
    """Whether frames at `times` (F,) seconds are those of a video of constant rate `fps`, to a millisecond."""
    return bool(np.abs(times - times[0] - np.arange(len(times)) / fps).max() <= GRID_SECONDS)


def _increasing(times: np.ndarray, step: float) -> tuple[np.ndarray, int]:
    """Strictly increasing times, the first 0, and how many of the frames had no usable time of their own.

    Frames without a time, or that come at or before the one before them, are spread evenly up to the next frame that
    comes later, `step` apart at most.
    """
    result, waiting, mended, shift = [0.0], 0, 0, 0.0
    for moment in times[1:].tolist():
        before, moment = result[-1], moment + shift
        if moment < before - JUMP_SECONDS:
            follows = before + (waiting + 1) * step
            shift += follows - moment
            moment = follows
            mended += 1
        if moment > before:
            pace = min(step, (moment - before) / (waiting + 1))
            result += [*(before + pace * number for number in range(1, waiting + 1)), moment]
            mended, waiting = mended + waiting, 0
        else:
            waiting += 1
    last = result[-1]
    result += [last + step * number for number in range(1, waiting + 1)]
    return np.array(result), mended + waiting
