"""One model from files that people have: a Stable Diffusion checkpoint, motion modules, an Inhabit checkpoint.

.safetensors only, mapped into memory: for the ComfyUI node.
"""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from ..models.config import LatentConfig, ModelConfig
from .architecture import NORM_PER_FRAME, NOT_GIVEN, settle, unet_config
from .assembly import KINDS, Kind, assemble
from .checkpoint import read_as_stored, read_config
from .files import read_safetensors
from .layouts import ENTRY, ENVIRONMENT_INPUT, ORIGINAL_VAE, Part, recognise, role_of

logger = logging.getLogger(__name__)

SAME_SIZE = ("in_channels", "block_out_channels", "attention", "layers_per_block", "cross_attention_dim")


def assemble_files(
    checkpoint: str | Path, motion_modules: str | Path | None = None, inhabit: str | Path | None = None
) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Put a model together, and log what was recognised and which networks are new.

    Args:
        checkpoint: Stable Diffusion 1.5, for the denoiser.
        motion_modules: AnimateDiff's, or what `inhabit convert --kind animatediff` writes; None: those of `inhabit`,
            or new ones.
        inhabit: a checkpoint of ours, for all other networks and the configuration; None: what `inhabit convert`
            starts a training from.
    Returns:
        the configuration, and the tensors as they are stored, by the names of `AnimationModel(config)`.
    Raises:
        InputError: a file is none of these, is truncated, or does not fit the others.
    """
    parts = [_recognised(checkpoint, "denoiser", "a Stable Diffusion 1.5 checkpoint")]
    if motion_modules is not None:
        parts.append(_recognised(motion_modules, "motion modules", "AnimateDiff's motion modules"))
    has_modules = any("motion modules" in part.roles for part in parts)
    kind = KINDS["animatediff" if has_modules else "sd15"]
    if inhabit is not None:
        config = read_config(inhabit)
        parts.append(_own_part(inhabit, config, not has_modules))
        _check_fits(config, parts)
        kind = Kind(config, (*kind.layouts, "Inhabit checkpoint"), ("denoiser",))
    assembled = assemble(parts, kind)
    for line in assembled.report.lines():
        logger.info(line)
    return assembled.config, assembled.tensors


def read_vae(checkpoint: str | Path) -> dict[str, Tensor]:
    """The VAE's tensors of a Stable Diffusion checkpoint, by CompVis' names; empty where it has none."""
    found = read_safetensors(checkpoint).tensors.items()
    return {name.removeprefix(ORIGINAL_VAE): tensor for name, tensor in found if name.startswith(ORIGINAL_VAE)}


def _recognised(path: str | Path, role: str, wanted: str) -> Part:
    part = recognise(read_safetensors(path))
    if role not in part.roles:
        raise InputError(f"{path} is a file of {part.layout}: choose {wanted}")
    return part


def _own_part(path: str | Path, config: ModelConfig, with_motion_modules: bool) -> Part:
    """Everything of a checkpoint of ours but the denoiser's spatial layers."""

    def keep(name: str) -> bool:
        if name == ENTRY:
            return config.environment
        left_out = {"denoiser"} if with_motion_modules else {"denoiser", "motion modules"}
        return not name.startswith("vae.") and role_of(name) not in left_out

    tensors = read_as_stored(path, keep)
    if ENTRY in tensors:
        tensors[ENVIRONMENT_INPUT] = tensors.pop(ENTRY)[:, config.unet.in_channels :]
    motion = config.unet.motion_modules
    settings = {"num_attention_heads": config.unet.heads, "norm_num_groups": config.unet.norm_groups}
    if with_motion_modules:
        settings |= {"motion_num_attention_heads": motion.heads, "motion_norm_num_groups": motion.norm_groups}
        settings[NORM_PER_FRAME] = motion.norm_per_frame
    roles = tuple(dict.fromkeys(map(role_of, tensors)))
    return Part(str(path), "Inhabit checkpoint", roles, tensors, settings=settings)


def _check_fits(config: ModelConfig, parts: list[Part]) -> None:
    """Raise InputError unless the checkpoint of ours, the last part, can work with the Stable Diffusion weights."""
    checkpoint, own = parts[0], parts[-1]
    if config.autoencoder is not None or config.latent != LatentConfig():
        raise InputError(
            f"{own.source} has learned the latents of another VAE than Stable Diffusion's: load it with Inhabit Model "
            "Loader, or choose an Inhabit checkpoint that was trained from Stable Diffusion 1.5"
        )
    unet = unet_config(checkpoint, None, settle(NOT_GIVEN, parts)[0])
    for name in SAME_SIZE:
        ours, theirs = getattr(config.unet, name), getattr(unet, name)
        if ours != theirs:
            raise InputError(
                f"{own.source} has {name.replace('_', ' ')} {ours}, {checkpoint.source} has {theirs}: "
                "choose an Inhabit checkpoint that was trained from Stable Diffusion 1.5"
            )
