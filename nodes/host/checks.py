"""What a sampling run of ours is given, checked against the model and each other before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ...errors import InputError
from ...models import ModelConfig
from .conds import CELL, IN_PIXELS, PER_FRAME, REFERENCE


def check_latent(config: ModelConfig, latent: Tensor) -> None:
    """Raise InputError unless the model takes latents (F, C, h, w) of this shape."""
    if latent.ndim != 4 or latent.shape[1] != config.latent.channels:
        raise InputError(
            f"the latent has shape {tuple(latent.shape)}, the model takes (frames, {config.latent.channels}, height, "
            "width); use the LATENT of Inhabit Environment"
        )
    cell, multiple = config.latent.downscale, config.size_multiple
    height, width = (side * cell for side in latent.shape[-2:])
    if height % multiple or width % multiple:
        raise InputError(
            f"the latent is that of a {width}x{height} video; model {config.name} takes sides that {multiple} divides: "
            "resize the driving video"
        )


def check_encoded(config: ModelConfig, values: dict) -> None:
    """Raise InputError unless the latents among the keys of one conditioning are of the model's kind."""
    cell, own, multiple = values.get(CELL), config.latent.downscale, config.size_multiple
    if cell not in (None, own):
        raise InputError(
            f"the vae of the conditions makes a latent of {cell}x{cell} pixels, model {config.name} takes latents of "
            f"{own}x{own}; use the VAE of Inhabit Model Loader, or the one the model was trained with"
        )
    if values.get(REFERENCE) is None:
        return
    height, width = (side * own for side in values[REFERENCE].shape[-2:])
    if height % multiple or width % multiple:
        raise InputError(
            f"the reference is {width}x{height}, model {config.name} takes sides that {multiple} divides; connect the "
            "model at Inhabit Reference"
        )


def check_conditions(config: ModelConfig, values: dict, latent: Tensor) -> None:
    """Raise InputError unless the keys of one conditioning fit the model and the latents (F, C, h, w) of a run."""
    check_encoded(config, values)
    height, width = (side * config.latent.downscale for side in latent.shape[-2:])
    for name, frames, given in _videos(values, config.latent.downscale):
        if frames != latent.shape[0]:
            raise InputError(
                f"{name} has {frames} frames but the latent has {latent.shape[0]}; use the LATENT of Inhabit "
                "Environment and give every condition the driving video's length"
            )
        if given != (height, width):
            raise InputError(
                f"{name} is {given[1]}x{given[0]} but the latent is that of {width}x{height}; use the LATENT of "
                "Inhabit Environment and give every condition the driving video's size"
            )


def check_agrees(name: str, video: Tensor, conditioning: list) -> None:
    """Raise InputError unless an IMAGE (F, H, W, 3) has the length and size of what a conditioning has already."""
    frames, height, width = video.shape[:3]
    for _, values in conditioning:
        for other, length, size in _videos(values, values.get(CELL, 1)):
            if length != frames:
                raise InputError(
                    f"{name} has {frames} frames but the {other} of positive has {length}; give both as many"
                )
            if size != (height, width):
                raise InputError(
                    f"{name} is {width}x{height} but the {other} of positive is {size[1]}x{size[0]}; "
                    "resize one so that both agree"
                )


def check_context(config: ModelConfig, context: Tensor) -> None:
    """Raise InputError unless the model's cross-attention takes these tokens (1, L, D)."""
    width = config.unet.cross_attention_dim
    if context.shape[-1] != width:
        raise InputError(
            f"the conditioning is {context.shape[-1]} wide, the model takes {width}; connect the model and CLIP Vision "
            "Encode of CLIP ViT-L/14 at Inhabit Reference"
        )


def check_has_reference(conds: dict[str, list[dict]]) -> None:
    """Raise InputError where the positive side shows no character. `conds`: a run's, by the name of their side."""
    shown = {side: any(REFERENCE in cond["model_conds"] for cond in given) for side, given in conds.items()}
    if shown.get("positive", True):
        return
    if shown.get("negative"):
        raise InputError("negative has the reference and positive has none; swap the two")
    raise InputError("positive has no reference; connect that of Inhabit Reference, or of a node behind it")


def _videos(values: dict, cell: int) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """Yield name, frames, and (height, width) in pixels of what a conditioning has one a frame."""
    for key in PER_FRAME:
        if values.get(key) is not None:
            frames, scale = values[key].shape[0], 1 if key in IN_PIXELS else cell
            yield key.removeprefix("inhabit_"), frames, tuple(side * scale for side in values[key].shape[-2:])
