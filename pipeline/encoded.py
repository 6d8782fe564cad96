"""The driving video in latent space, encoded a few frames at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.autoencoder import LatentCodec
from .conditions import DrivingConditions, environment_frames, latent_mask, object_latents
from .streams import chunks


@dataclass(frozen=True)
class EncodedConditions:
    """The driving video in latent space, float32 on the CPU; `objects` is None when no object is selected."""

    environment: Tensor  # (F, C, h, w)
    mask: Tensor  # (F, 1, h, w), or (F, 2, h, w) with a plate
    objects: Tensor | None  # (F, C, h, w)


def encode_conditions(codec: LatentCodec, conditions: DrivingConditions, chunk: int) -> EncodedConditions:
    """Encode environment, mask and objects, `chunk` frames at a time, keeping nothing but the latents."""
    frames, has_objects = conditions.frames, conditions.has_objects
    environment = masks = objects = None
    for part in chunks(frames, chunk):
        driving, mask = conditions.driving[part], conditions.mask[part]
        plate, known = (None if x is None else x[part] for x in (conditions.plate, conditions.known))
        scene = codec.encode(environment_frames(driving, mask, plate=plate, known=known))
        cells = latent_mask(mask, codec.downscale, known)
        if environment is None:
            environment = scene.new_empty((frames, *scene.shape[1:]))
            masks = cells.new_empty((frames, *cells.shape[1:]))
            objects = torch.empty_like(environment) if has_objects else None
        environment[part], masks[part] = scene, cells
        if has_objects:
            objects[part] = object_latents(codec.encode, driving, conditions.object_mask[part])
    return EncodedConditions(environment, masks, objects)
