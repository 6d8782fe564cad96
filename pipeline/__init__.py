"""What a user runs: files or tensors and settings in, frames out."""

from .animate import Settings, animate, encode_conditions, initial_noise, project_reference
from .conditions import DrivingConditions, environment_frames, latent_mask, object_frames

__all__ = [
    "DrivingConditions",
    "Settings",
    "animate",
    "encode_conditions",
    "environment_frames",
    "initial_noise",
    "latent_mask",
    "object_frames",
    "project_reference",
]
