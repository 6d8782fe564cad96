"""The mathematics of sampling: noise schedules, windows over a long video, guidance, reference noise."""

from .guidance import guide
from .schedules import gamma_for, make_scheduler, sigmas
from .windows import WindowAverage, step_windows, windows

__all__ = ["WindowAverage", "gamma_for", "guide", "make_scheduler", "sigmas", "step_windows", "windows"]
