"""Checks on what people wire into the nodes. Each failure is one line: the input, the value received and the fix.

Pictures and masks leave here as float32, 0…1, on the CPU, whatever another node made them of, so that tensors from
several places meet in one type and on one device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import InputError
from ..media import pose_frames

OVERSHOOT = 0.5  # what resizing and sharpening leave beyond 0…1 is cut off; more than this is another scale


def checked_image(image: Tensor, name: str) -> Tensor:
    """Return IMAGE (F, H, W, 3) without an alpha channel, grey in three channels.

    Raises InputError for no tensor, no frames, another number of channels or axes, NaN, infinite values, and values
    that are not 0…1.
    """
    _check_tensor(image, name, "an IMAGE")
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise InputError(
            f"{name} has shape {tuple(image.shape)}; give an IMAGE of shape (frames, height, width, 3), "
            "of a mask Convert Mask to Image makes one"
        )
    return _plain(image[..., :3], name).expand(-1, -1, -1, 3)


def checked_mask(mask: Tensor, name: str) -> Tensor:
    """Return MASK (F, H, W); a single (H, W) mask gets its frame axis. Raises InputError as `checked_image`."""
    _check_tensor(mask, name, "a MASK")
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask.squeeze(1)
    mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
    if mask.ndim != 3:
        raise InputError(
            f"{name} has shape {tuple(mask.shape)}; give a MASK of shape (frames, height, width), "
            "of a picture Convert Image to Mask makes one"
        )
    if mask.dtype == torch.uint8 and mask.numel() and mask.max() <= 1:
        mask = mask.bool()
    return _plain(mask, name)


def checked_depth(depth: Tensor, name: str = "depth") -> Tensor:
    """Return the first channel of a depth IMAGE as (F, H, W), 1 = near. Raises InputError as `checked_image`."""
    return checked_image(depth, name)[..., 0]


def mask_of(video: Tensor, mask: Tensor, video_name: str, mask_name: str) -> Tensor:
    """Return the mask (F, H, W) of every frame of a video (F, H, W, 3), one mask for all repeated without a copy.

    Raises InputError where they differ in length or size.
    """
    mask = checked_mask(mask, mask_name)
    mask = mask.expand(video.shape[0], -1, -1) if mask.shape[0] == 1 else mask
    same_frames(video, mask, video_name, mask_name)
    return mask


def plate_of(video: Tensor, plate: Tensor | None) -> Tensor | None:
    """Return the plate (F, H, W, 3) of a driving video, one picture for all repeated without a copy; None without one.

    Raises InputError where they differ in length or size.
    """
    if plate is None:
        return None
    plate = checked_image(plate, "plate")
    plate = plate.expand(video.shape[0], -1, -1, -1) if plate.shape[0] == 1 else plate
    same_frames(video, plate, "driving", "plate")
    return plate


def checked_poses(pose) -> list[dict]:
    """Return POSE_KEYPOINT as a list, one entry a frame, see `pose_frames`. Raises InputError for anything else."""
    frames = pose_frames(pose)
    if not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(
            f"pose is {type(pose).__name__} {str(pose)[:60]!r}; give POSE_KEYPOINT, one OpenPose dict a frame"
        )
    return frames


def checked_conditioning(conditioning, name: str) -> list:
    """Return CONDITIONING. Raises InputError for anything else than a list of (tokens, dict)."""
    if not isinstance(conditioning, list | tuple) or not all(map(_is_condition, conditioning)):
        raise InputError(
            f"{name} is a {type(conditioning).__name__}, not CONDITIONING; connect {name} of Inhabit Reference, or of "
            "the condition node behind it"
        )
    return conditioning


def checked_latent(latent, name: str) -> Tensor:
    """Return the samples (F, C, h, w) of a LATENT of one latent a frame.

    Raises InputError for other shapes, no frames, NaN, and a noise mask that is neither one nor one a frame.
    """
    samples = latent.get("samples") if isinstance(latent, dict) else None
    if not isinstance(samples, Tensor) or samples.ndim != 4 or 0 in samples.shape:
        given = tuple(samples.shape) if isinstance(samples, Tensor) else type(latent).__name__
        raise InputError(
            f"{name} is {given}; give the LATENT of Inhabit Environment, (frames, channels, height, width)"
        )
    _check_finite(samples, name)
    mask = latent.get("noise_mask")
    if mask is not None:
        frames = len(checked_mask(mask, f"the noise mask of {name}"))
        if frames not in (1, len(samples)):
            raise InputError(
                f"the noise mask of {name} has {frames} frames but {name} has {len(samples)}; "
                "give as many, or one for all"
            )
    return samples


def same_frames(first: Tensor, second: Tensor, first_name: str, second_name: str) -> None:
    """Raise InputError unless both tensors agree in frames, height and width (axes 0, 1, 2)."""
    if first.shape[0] != second.shape[0]:
        raise InputError(
            f"{second_name} has {second.shape[0]} frames but {first_name} has {first.shape[0]}; give both as many"
        )
    if first.shape[1:3] != second.shape[1:3]:
        raise InputError(
            f"{second_name} is {_size(second)} but {first_name} is {_size(first)}; resize one so that both agree"
        )


def check_video(name: str, video: Tensor, frames: int, width: int, height: int) -> None:
    """Raise InputError unless a video (F, H, W, …) has the pose's length, and the size that the node draws it at."""
    if video.shape[0] != frames:
        raise InputError(f"{name} has {video.shape[0]} frames but pose has {frames}; give both as many")
    if video.shape[1:3] != (height, width):
        raise InputError(
            f"{name} is {_size(video)} but width and height are {width}x{height}; set them to {_size(video)}"
        )


def chosen(value: str, options: list[str], name: str) -> str:
    """Return `value`, or raise InputError if it is none of `options`: ComfyUI 0.3.64 does not check V3 combos."""
    if value not in options:
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(options)}")
    return value


def number(value: float, name: str) -> float:
    """Return `value`, or raise InputError for NaN and infinity, which pass every range ComfyUI checks."""
    if not math.isfinite(value):
        raise InputError(f"{name} is {value}; give a number")
    return value


def _check_tensor(value, name: str, kind: str) -> None:
    if not isinstance(value, Tensor):
        raise InputError(f"{name} is a {type(value).__name__}; connect {kind}")


def _plain(values: Tensor, name: str) -> Tensor:
    """Return the tensor as float32, 0…1, on the CPU. A tensor that is all that already is not copied."""
    if 0 in values.shape:
        missing = "no frames" if values.shape[0] == 0 else f"no pixels, its shape is {tuple(values.shape)}"
        raise InputError(f"{name} has {missing}; give at least one")
    if values.dtype == torch.uint8:
        values = values.cpu() / 255
    elif not (values.is_floating_point() or values.dtype == torch.bool):
        raise InputError(f"{name} holds {str(values.dtype).removeprefix('torch.')}; give floating-point values 0…1")
    values = values.cpu().float()
    low, high = (float(value) for value in values.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        _check_finite(values, name)
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise InputError(f"{name} has values from {low:g} to {high:g}; scale them to 0…1")
    return values if low >= 0 and high <= 1 else values.clamp(0, 1)


def _check_finite(values: Tensor, name: str) -> None:
    bad = ~torch.isfinite(values)
    count = int(bad.sum())
    if count:
        first = int(bad.flatten(1).any(dim=1).nonzero()[0])
        raise InputError(
            f"{name} has {count} NaN or infinite values, from frame {first} on; check the node that made it"
        )


def _is_condition(entry) -> bool:
    return isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[1], dict)


def _size(tensor: Tensor) -> str:
    return f"{tensor.shape[2]}x{tensor.shape[1]}"
