"""The networks a training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..models import PRESETS, AnimationModel, LatentCodec, ModelConfig, PatchAutoencoder
from ..models.layers import to_channels_last
from ..weights import checkpoint_file, load, load_codec
from ..weights.companions import ImageEncoder, load_vae
from .adapter import add_adapter
from .recipe import Recipe


def networks(recipe: Recipe, device: torch.device) -> tuple[AnimationModel, LatentCodec]:
    """Model and codec from the recipe's checkpoints, or freshly initialised from its seed; float32, channels last."""
    torch.manual_seed(recipe.seed)
    model = _continued(recipe) if recipe.init else AnimationModel(model_config(recipe))
    _check_sizes(recipe, model.config.size_multiple)
    codec = _codec(recipe, model.config)
    if recipe.adapter is not None:
        add_adapter(model.denoiser, recipe.adapter)
    model.to(device)
    codec.vae.to(device)
    to_channels_last(model)
    to_channels_last(codec.vae)
    codec.vae.requires_grad_(False)
    return model, codec


def model_config(recipe: Recipe) -> ModelConfig:
    """Preset with the recipe's overrides; raises InputError naming an unknown preset or field."""
    preset = PRESETS.get(recipe.model.preset)
    if preset is None:
        raise InputError(f"model.preset {recipe.model.preset!r} does not exist; there are {', '.join(PRESETS)}")
    return _overridden(preset, recipe.model.overrides)


def _continued(recipe: Recipe) -> AnimationModel:
    """The model of `init`, with the recipe's overrides; networks that it lacks are new.

    Raises InputError where an override changes or takes away what the checkpoint has.
    """
    given = load(checkpoint_file(recipe.init))
    config = _overridden(given.config, recipe.model.overrides)
    if config == given.config:
        return given
    model = AnimationModel(config)
    own, theirs = model.state_dict(), given.state_dict()
    changed = [name for name, tensor in theirs.items() if name not in own or own[name].shape != tensor.shape]
    if changed:
        raise InputError(
            f"model.overrides do not fit init {recipe.init}, whose {changed[0]} has shape "
            f"{tuple(theirs[changed[0]].shape)} ({len(changed)} such): leave out what changes its networks"
        )
    model.load_state_dict(theirs, strict=False)
    return model


def _overridden(config: ModelConfig, overrides: dict[str, Any]) -> ModelConfig:
    values = config.model_dump()
    for key, value in overrides.items():
        _replace(values, key, value)
    try:
        return ModelConfig.model_validate(values)
    except ValueError as error:
        raise InputError(f"model.overrides: {' '.join(str(error).split())[:300]}") from None


def _check_sizes(recipe: Recipe, multiple: int) -> None:
    sides = {"data.width": recipe.data.width, "data.height": recipe.data.height}
    sides |= {f"stages.{s.name}.pictures.crop": s.pictures.crop for s in recipe.stages if s.kind == "autoencoder"}
    for name, side in sides.items():
        if side % multiple:
            raise InputError(f"{name} is {side}, which {multiple} does not divide; give {side // multiple * multiple}")


def image_encoder(recipe: Recipe, config: ModelConfig, device: torch.device) -> ImageEncoder | None:
    """What embeds the reference for the cross-attention; None for models without, and for recipes that ask for zeros.

    Raises InputError where the recipe and the model do not agree about it.
    """
    width, given = config.unet.cross_attention_dim, recipe.clip_vision
    if recipe.trains_autoencoder:
        return None
    if width is None and given is not None:
        raise InputError(f"clip_vision is {given}, but model {config.name} reads no image embedding: leave it out")
    if given is not None and recipe.image_context == "zeros":
        raise InputError(f"clip_vision is {given}, but image_context is zeros: leave one of them out")
    if width is None or recipe.image_context == "zeros":
        return None
    if given is None:
        raise InputError(
            f"model {config.name} reads a CLIP image embedding: give clip_vision, the folder of a ViT-L/14, "
            "or image_context=zeros to train without"
        )
    if not Path(given).exists():
        raise InputError(f"clip_vision {given} does not exist: give the folder of a CLIP vision model")
    return ImageEncoder(given, width, str(device))


def _codec(recipe: Recipe, config: ModelConfig) -> LatentCodec:
    if config.autoencoder is None:
        return _vae(recipe, config)
    source = recipe.codec or recipe.init
    codec = load_codec(checkpoint_file(source)) if source else None
    if codec is not None:
        _check_codec(source, codec, config)
        return codec
    if source is None and not recipe.trains_autoencoder:
        raise InputError("neither codec nor init is given; give codec=puppets, or a checkpoint with an autoencoder")
    if config.autoencoder is None or not recipe.trains_autoencoder:
        raise InputError(f"codec {source!r} holds no autoencoder; give a checkpoint that has one as codec")
    vae = PatchAutoencoder(config.autoencoder)
    return LatentCodec(vae, scale=config.latent.scale, downscale=config.latent.downscale)


def _vae(recipe: Recipe, config: ModelConfig) -> LatentCodec:
    """Stable Diffusion's VAE, for a model that bundles none."""
    if recipe.trains_autoencoder:
        raise InputError(f"model {config.name} has no autoencoder of its own to train: choose preset puppets")
    if recipe.codec is None:
        raise InputError(
            f"model {config.name} has no autoencoder of its own: give codec, the VAE of Stable Diffusion 1.5 "
            "(e.g. the .safetensors file of sd-vae-ft-mse)"
        )
    if not Path(recipe.codec).exists():
        raise InputError(f"codec {recipe.codec} does not exist: model {config.name} needs Stable Diffusion's VAE there")
    return load_vae(recipe.codec, config.latent)


def _check_codec(source: str, codec: LatentCodec, config: ModelConfig) -> None:
    """The saved model names its own autoencoder and scale: the one it trains with must be that one."""
    latent = config.latent
    pairs = {
        "autoencoder": (codec.vae.config, config.autoencoder),
        "scale": (codec.scale, latent.scale),
        "downscale": (codec.downscale, latent.downscale),
    }
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise InputError(f"codec {source} has {name} {theirs}, the model's config {ours}; give one that fits")


def _replace(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.get(parent) if isinstance(values, dict) else None
    if not isinstance(values, dict) or last not in values:
        raise InputError(f"model.overrides: {key!r} is no field of the model's config")
    values[last] = value
