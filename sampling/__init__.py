"""Noise schedules, windows, guidance, the animate loop, and putting the driving video's own pixels back."""

from .animate import animate, encode_conditions, initial_noise, project_reference
from .conditions import DrivingConditions, environment_frames, latent_mask, object_frames
from .guidance import guide
from .schedules import gamma_for, make_scheduler, sigmas
from .windows import WindowAverage, step_windows, windows

__all__ = [
    "DrivingConditions",
    "WindowAverage",
    "animate",
    "encode_conditions",
    "environment_frames",
    "gamma_for",
    "guide",
    "initial_noise",
    "latent_mask",
    "make_scheduler",
    "object_frames",
    "project_reference",
    "sigmas",
    "step_windows",
    "windows",
]
