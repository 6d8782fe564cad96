"""The mathematics of sampling: noise schedules, windows over a long video, guidance, reference noise."""

from ..former import found_in
from .guidance import guide
from .schedules import gamma_for, make_scheduler, sigmas
from .windows import WindowAverage, step_windows, windows

__all__ = ["WindowAverage", "gamma_for", "guide", "make_scheduler", "sigmas", "step_windows", "windows"]

MOVED = {
    "DrivingConditions",
    "animate",
    "encode_conditions",
    "environment_frames",
    "initial_noise",
    "latent_mask",
    "object_frames",
    "project_reference",
}
__getattr__ = found_in("pipeline", MOVED)
