"""The mathematics of sampling: noise schedules, windows over a long video, guidance, reference noise."""

import importlib

from .guidance import guide
from .schedules import gamma_for, make_scheduler, sigmas
from .windows import WindowAverage, step_windows, windows

__all__ = ["WindowAverage", "gamma_for", "guide", "make_scheduler", "sigmas", "step_windows", "windows"]

FORMER = {  # names that `pipeline` has now
    "DrivingConditions",
    "animate",
    "encode_conditions",
    "environment_frames",
    "initial_noise",
    "latent_mask",
    "object_frames",
    "project_reference",
}


def __getattr__(name: str):
    """Names at the address that they had once, for scripts that know it."""
    if name not in FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("..pipeline", __name__), name)
