"""Checks on tensors that people wire into the nodes. Each failure is one line: the value received and the fix."""

from __future__ import annotations

import torch

from ..errors import InputError


def checked_image(image: torch.Tensor, name: str) -> torch.Tensor:
    """Return IMAGE (F, H, W, 3) without an alpha channel.

    Raises InputError for an empty batch, a wrong number of channels, NaN or infinite values.
    """
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise InputError(f"{name} has shape {tuple(image.shape)}; give an IMAGE of shape (frames, height, width, 3)")
    return _finite(image[..., :3], name)


def checked_mask(mask: torch.Tensor, name: str) -> torch.Tensor:
    """Return MASK (F, H, W); a single (H, W) mask gets its frame axis. Raises InputError as `checked_image`."""
    if mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if mask.ndim != 3:
        raise InputError(f"{name} has shape {tuple(mask.shape)}; give a MASK of shape (frames, height, width)")
    return _finite(mask, name)


def checked_depth(depth: torch.Tensor, name: str = "depth") -> torch.Tensor:
    """Return the first channel of a depth IMAGE as (F, H, W), 1 = near. Raises InputError as `checked_image`."""
    return checked_image(depth, name)[..., 0]


def checked_poses(pose) -> list[dict]:
    """Return POSE_KEYPOINT as a list, one entry a frame. Raises InputError for anything else."""
    frames = [pose] if isinstance(pose, dict) else pose
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"the pose is {type(pose).__name__} {str(pose)[:60]!r}; give POSE_KEYPOINT")
    return frames


def same_frames(first: torch.Tensor, second: torch.Tensor, first_name: str, second_name: str) -> None:
    """Raise InputError unless both tensors agree in frames, height and width (axes 0, 1, 2)."""
    if first.shape[0] != second.shape[0]:
        raise InputError(
            f"{second_name} has {second.shape[0]} frames but {first_name} has {first.shape[0]}; make them equal"
        )
    if first.shape[1:3] != second.shape[1:3]:
        raise InputError(
            f"{second_name} is {_size(second)} but {first_name} is {_size(first)}; resize one so that both agree"
        )


def chosen(value: str, options: list[str], name: str) -> str:
    """Return `value`, or raise InputError if it is none of `options`: ComfyUI 0.3.64 does not check V3 combos."""
    if value not in options:
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(options)}")
    return value


def _finite(tensor: torch.Tensor, name: str) -> torch.Tensor:
    if tensor.shape[0] == 0:
        raise InputError(f"{name} has no frames; give at least one")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise InputError(f"{name} has {bad} NaN or infinite values; check the node that made it")
    return tensor


def _size(tensor: torch.Tensor) -> str:
    return f"{tensor.shape[2]}x{tensor.shape[1]}"
