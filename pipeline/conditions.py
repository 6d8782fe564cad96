"""Driving video → what the denoiser is told about it: environment, objects and the latent mask.

Training, the animate loop and the ComfyUI nodes all use these functions, so that a model is never asked about
pictures made in another way than those it learned from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..models.conditions import unread
from ..models.config import ModelConfig
from ..perception.masks import inside
from .streams import LazyFrames

logger = logging.getLogger(__name__)

GREY = 0.5
Fill = Literal["blank", "mean", "blurred"]


@dataclass(frozen=True)
class DrivingConditions:
    """What drives the animation, in pixel space on the CPU, all of the same F frames and H × W pixels.

    Tensors, or `LazyFrames` of the same shapes, which give theirs when they are asked for some frames.

    driving      (F, H, W, 3) float 0…1, the driving video.
    mask         (F, H, W) 0…1, the formulated (shape-agnostic) mask: 1 = generate here.
    skeleton     (F, H, W, 3) 0…1, the drawn skeleton.
    depth        (F, H, W) 0…1, 1 = near: structured depth (AA2 §3.4), that is, kept on the skeleton only; or None.
    blur         (F, H, W, 3) 0…1, motion-blur maps of the hands (`perception.blur_maps`); or None.
    object_mask  (F, H, W) 0…1, 1 = an object the character touches; None or all 0 leaves the object branch out.

    Raises InputError where shapes disagree or a value is not a number.
    """

    driving: Tensor | LazyFrames
    mask: Tensor | LazyFrames
    skeleton: Tensor | LazyFrames
    depth: Tensor | LazyFrames | None = None
    object_mask: Tensor | LazyFrames | None = None
    blur: Tensor | LazyFrames | None = None

    def __post_init__(self) -> None:
        if self.driving.ndim != 4 or self.driving.shape[-1] != 3 or self.driving.shape[0] < 1:
            shape = tuple(self.driving.shape)
            raise InputError(f"the driving video has shape {shape}; give (frames, height, width, 3), not empty")
        for name, expected in self._expected_shapes().items():
            value = getattr(self, name)
            if value is None:
                continue
            if tuple(value.shape) != expected:
                raise InputError(
                    f"{name} has shape {tuple(value.shape)}, the driving video needs {expected}: "
                    "give as many frames of the same size"
                )
            if isinstance(value, Tensor):  # what is lazy was checked while it was read
                _check_finite(name, value)

    def _expected_shapes(self) -> dict[str, tuple[int, ...]]:
        plane = tuple(self.driving.shape[:3])
        colours = (*plane, 3)
        planes = {"mask": plane, "depth": plane, "object_mask": plane}
        return {"driving": colours, "skeleton": colours, "blur": colours, **planes}

    @property
    def frames(self) -> int:
        return self.driving.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.driving.shape[1], self.driving.shape[2]

    @property
    def has_objects(self) -> bool:
        return self.object_mask is not None and bool(selected(self.object_mask.max()))


def selected(mask: Tensor) -> Tensor:
    """Return the bool mask of what a 0…1 mask selects: `perception.masks.inside`, as everywhere."""
    return inside(mask)


def environment_frames(
    driving: Tensor,
    mask: Tensor,
    fill: Fill = "blank",
    plate: Tensor | None = None,
    known: Tensor | None = None,
) -> Tensor:
    """Return E of AA2 §3.2: the driving frames (…, H, W, 3) 0…1 with the masked region (…, H, W) removed.

    # Not in paper: what fills the hole. "blank" is mid-grey, the least surprising value to an autoencoder, and what our
    # models are trained with; the latent mask tells it from a grey wall. "mean" is each frame's mean colour outside the
    # mask, "blurred" what lies around the hole, smeared into it, for weights that never saw a hole.

    plate (…, H, W, 3) 0…1, the place without anybody, fills the hole where it is `known` (…, H, W), above 0.5; without
    known everywhere, without a plate nowhere.

    Raises InputError for another fill, and for a plate or what is known of it of another shape.
    """
    if plate is not None:
        return _with_plate(environment_frames(driving, mask, fill), mask, plate, known)
    hole = selected(mask).unsqueeze(-1)
    if fill == "blank":
        return torch.where(hole, GREY, driving)
    if fill == "mean":
        return torch.where(hole, _mean_outside(driving, ~hole), driving)
    if fill == "blurred":
        return torch.where(hole, _smeared(driving, ~hole), driving)
    raise InputError(f'fill is "{fill}": give one of {", ".join(get_args(Fill))}')


def _with_plate(environment: Tensor, mask: Tensor, plate: Tensor, known: Tensor | None) -> Tensor:
    known = torch.ones_like(mask) if known is None else known
    for name, value, wanted in (("plate", plate, environment.shape), ("known", known, mask.shape)):
        if value.shape != wanted:
            raise InputError(f"{name} has shape {tuple(value.shape)}; the driving video needs {tuple(wanted)}")
    return torch.where((selected(mask) & (known > 0.5)).unsqueeze(-1), plate, environment)


def _mean_outside(driving: Tensor, kept: Tensor) -> Tensor:
    """Return (…, 1, 1, 3), the mean colour of each frame's kept pixels (…, H, W, 1); grey where none is."""
    count = kept.sum(dim=(-3, -2), keepdim=True)
    colour = (driving * kept).sum(dim=(-3, -2), keepdim=True) / count.clamp(min=1)
    return torch.where(count > 0, colour, GREY)


def _smeared(driving: Tensor, kept: Tensor) -> Tensor:
    """Return (…, H, W, 3), at every pixel the mean of the kept ones in the smallest square around it that has some.

    The squares about double in size, so that a hole is filled from near by first; grey where nothing is kept.
    """
    planes = torch.cat([driving * kept, kept.to(driving)], dim=-1).flatten(0, -4).movedim(-1, 1)
    mean, size = torch.zeros_like(planes), 1
    while size < 2 * max(planes.shape[-2:]):
        wider = functional.avg_pool2d(planes, 2 * size + 1, stride=1, padding=size)
        mean = torch.where(mean[:, 3:] > 0, mean, wider)
        size *= 2
    colours = torch.where(mean[:, 3:] > 0, mean[:, :3] / mean[:, 3:].clamp(min=1e-12), GREY)
    return colours.movedim(1, -1).reshape(driving.shape)


def object_frames(driving: Tensor, object_mask: Tensor) -> Tensor:
    """Return the driving frames (…, H, W, 3) 0…1 showing the objects (…, H, W) alone, on mid-grey (AA2 §3.3)."""
    return torch.where(selected(object_mask).unsqueeze(-1), driving, GREY)


def object_latents(encode: Callable[[Tensor], Tensor], driving: Tensor, object_mask: Tensor) -> Tensor:
    """Return the latents (…, C, h, w) of `object_frames`, exactly 0 for frames (…, H, W) without an object.

    The object guider leaves frames of zeros out, so that a frame's result does not depend on its neighbours having one.
    """
    latents = encode(object_frames(driving, object_mask))
    present = selected(object_mask).flatten(-2).any(dim=-1)
    return latents * present[..., None, None, None].to(latents)


def latent_mask(mask: Tensor, downscale: int) -> Tensor:
    """Return the mask (…, H, W) at latent size, (…, 1, H / downscale, W / downscale), 0.0 or 1.0.

    # Not in paper: a latent cell is 1 when any of its pixels is to be generated, for its latent saw grey there.
    Raises InputError when H or W is no multiple of `downscale`.
    """
    height, width = mask.shape[-2:]
    check_size("the mask", height, width, downscale)
    planes = selected(mask).float().reshape(-1, 1, height, width)
    cells = functional.max_pool2d(planes, downscale)
    return cells.reshape(*mask.shape[:-2], 1, *cells.shape[-2:])


def motion_inputs(conditions: DrivingConditions, window: list[int], config: ModelConfig) -> dict[str, Tensor]:
    """Return what the pose guider reads of one window, by name: skeleton (1, F, 3, H, W), depth (1, F, 1, H, W), blur
    maps (1, F, 3, H, W); without what is not given or what the model has no network for."""
    given = {name: getattr(conditions, name) for name in ("skeleton", "depth", "blur")}
    given = {name: plane for name, plane in given.items() if plane is not None}
    useless = {condition.name for condition in unread(config, given)}
    orders = {4: "f h w c -> 1 f c h w", 3: "f h w -> 1 f 1 h w"}
    return {name: rearrange(x[window], orders[x.ndim]) for name, x in given.items() if name not in useless}


def log_unread(config: ModelConfig, conditions: DrivingConditions) -> None:
    """Tell which of the conditions the model's weights have no network for, and what happens instead."""
    given = {"environment"} | ({"objects"} if conditions.has_objects else set())
    given |= {name for name in ("depth", "blur") if getattr(conditions, name) is not None}
    for condition in unread(config, given):
        logger.info("model %s %s", config.name, condition.unread)


def check_size(name: str, height: int, width: int, multiple: int) -> None:
    """Raise InputError unless both sides in pixels are multiples of `multiple`."""
    if height % multiple or width % multiple or min(height, width) < multiple:
        raise InputError(f"{name} is {width} x {height} pixels; give a width and height that {multiple} divides")


def _check_finite(name: str, values: Tensor) -> None:
    for index, frame in enumerate(values):  # frame by frame: no second copy of the whole video
        if not torch.isfinite(frame).all():
            raise InputError(f"{name} has NaN or infinite values in frame {index}; give finite values from 0 to 1")
