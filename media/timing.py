"""When frames are shown: seconds from the first one."""

import logging
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

logger = logging.getLogger(__name__)

GRID_SECONDS = 0.0011  # containers that count milliseconds (.mkv, .flv) round to this
JUMP_SECONDS = 10.0  # a step back of the clock by more than this is another clock
NEARLY = 0.9  # of the frames of a constant rate
USUAL_FPS = 24.0


def frame_times(seconds: Sequence[float | None], rate: Fraction | float | None, name: str) -> tuple[np.ndarray, float]:
    """Times that a file tells → float64 (F,), strictly increasing, the first 0; and the mean rate.

    Times within a millisecond of the rate's grid are put onto it. Without times, frames come at `rate`. Times that
    stand still or go back are mended; the log says how many, under the file's `name`.
    """
    rate = float(rate) if rate else USUAL_FPS
    known = np.array([np.nan if moment is None else moment for moment in seconds], np.float64)
    count = len(known)
    grid = np.arange(count) / rate
    if np.isnan(known).sum() * 2 > count or count == 1:
        return grid, rate
    times = _increasing(known - known[~np.isnan(known)][0], 1 / rate, name)
    if np.abs(times - grid).max() <= GRID_SECONDS:
        return grid, rate
    mean = (count - 1) / float(times[-1])
    if np.abs(times * rate - np.rint(times * rate)).max() <= GRID_SECONDS * rate and mean > NEARLY * rate:
        return np.rint(times * rate) / rate, rate  # but for a few frames that are missing
    grid = np.arange(count) / mean
    if np.abs(times - grid).max() <= GRID_SECONDS:
        return grid, mean
    return times, mean


def is_steady(times: np.ndarray, fps: float) -> bool:
    """Whether frames at `times` (F,) seconds are those of a video of constant rate `fps`, to a millisecond."""
    return bool(np.abs(times - times[0] - np.arange(len(times)) / fps).max() <= GRID_SECONDS)


def _increasing(times: np.ndarray, step: float, name: str) -> np.ndarray:
    """Frames without a time, or that come at or before the one before them, follow it by `step` or less."""
    mended, shift, result = 0, 0.0, np.empty_like(times)
    result[0] = 0.0
    for index in range(1, len(times)):
        moment, before = times[index] + shift, result[index - 1]
        if moment < before - JUMP_SECONDS:
            shift += before + step - moment
            moment = before + step
            mended += 1
        elif not moment > before:
            later = times[index + 1 :] + shift
            later = later[later > before]
            moment = before + min(step, (later[0] - before) / 2 if len(later) else step)
            mended += 1
        result[index] = moment
    if mended:
        logger.warning(
            "%s: %d of %d frames have no time of their own or one that goes back: they are put after the frame before",
            *(name, mended, len(times)),
        )
    return result
