"""The networks a training starts from."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import InputError
from ..models import (
    PRESETS,
    AnimationModel,
    LatentCodec,
    ModelConfig,
    PatchAutoencoder,
    checkpoint_file,
    load,
    load_codec,
)
from ..models.finite import require_finite
from ..models.layers import to_channels_last
from .adapter import add_adapter
from .recipe import Recipe


def networks(recipe: Recipe, device: torch.device) -> tuple[AnimationModel, LatentCodec]:
    """Model and codec from the recipe's checkpoints, or freshly initialised from its seed; float32, channels last."""
    torch.manual_seed(recipe.seed)
    model = _continued(recipe) if recipe.init else AnimationModel(model_config(recipe))
    _check_sizes(recipe, model.config.size_multiple)
    codec = _codec(recipe, model.config)
    if recipe.init:
        require_finite(model.named_parameters(), f"init {recipe.init}")
    require_finite(codec.vae.named_parameters(), f"codec {recipe.codec or recipe.init}")
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


def _codec(recipe: Recipe, config: ModelConfig) -> LatentCodec:
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
