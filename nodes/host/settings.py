"""The configuration of a model of ours as core sees it, and how a MODEL is known to be ours."""

from __future__ import annotations

import comfy.latent_formats
import comfy.model_base
import comfy.model_patcher
import comfy.supported_models_base
import torch

from ...errors import InputError
from ...models import ModelConfig
from ...models.config import ScheduleConfig


def own_config(patcher: comfy.model_patcher.ModelPatcher) -> ModelConfig | None:
    """Return the config of a MODEL of ours; None where another pack or core made the model."""
    settings = getattr(getattr(patcher, "model", None), "settings", None)
    return settings.config if isinstance(settings, HostConfig) else None


def model_config(patcher: comfy.model_patcher.ModelPatcher) -> ModelConfig:
    """Return the config of a MODEL. Raises InputError when another pack or core made the model."""
    config = own_config(patcher)
    if config is None:
        raise InputError(
            f"the model is a {type(getattr(patcher, 'model', patcher)).__name__}; connect the MODEL of Inhabit Model "
            "Loader or of Inhabit Assemble Model"
        )
    return config


def own_steps(patcher: comfy.model_patcher.ModelPatcher, steps: int) -> int:
    """Return `steps`, for 0 the model's own number. Raises InputError for 0 with a model that has none."""
    config = own_config(patcher)
    if steps == 0 and config is None:
        raise InputError("steps is 0, the model's own number, which only Inhabit's models have; give 1 to 1000")
    return steps or config.sampling.steps


def check_length(config: ModelConfig, length: int) -> None:
    """Raise InputError for a window or clip longer than a model of this config takes."""
    longest = config.unet.motion_modules.max_frames
    if length > longest:
        raise InputError(f"a window of {length} frames; the model takes at most {longest} at once: give a shorter one")


class HostLatents(comfy.latent_formats.LatentFormat):
    """Latents of the checkpoint's VAE; channels 0…2 of the bundled one are roughly red, green and blue, -1…1."""

    def __init__(self, config: ModelConfig) -> None:
        self.scale_factor = config.latent.scale
        self.latent_channels = config.latent.channels
        if config.autoencoder is not None:
            self.latent_rgb_factors = (torch.eye(config.latent.channels, 3) / config.latent.scale).tolist()
        else:
            self.latent_rgb_factors = comfy.latent_formats.SD15().latent_rgb_factors
            self.taesd_decoder_name = "taesd_decoder"


class HostConfig(comfy.supported_models_base.BASE):
    """Core's view of the model config."""

    memory_usage_factor = 2.0

    def __init__(self, config: ModelConfig) -> None:
        super().__init__({"disable_unet_model_creation": True, "in_channels": config.latent.channels})
        self.config = config
        self.latent_format = HostLatents(config)
        self.unet_config = UNetSettings(self.unet_config)
        self.sampling_settings = _sampling_settings(config.schedule)

    def model_type(self, state_dict: dict, prefix: str = "") -> comfy.model_base.ModelType:
        kinds = comfy.model_base.ModelType
        return kinds.V_PREDICTION if self.config.schedule.prediction == "v" else kinds.EPS


class UNetSettings(dict):
    """Core's `unet_config`; says what is wrong where a node asks for the layers of another kind of UNet."""

    def __missing__(self, name: str):
        raise InputError(
            f"a node asks for {name} of Stable Diffusion's UNet, to change its layers (FreeU and the like); "
            "Inhabit's models are built otherwise: take the node out"
        )


def _sampling_settings(schedule: ScheduleConfig) -> dict[str, object]:
    """The betas as core's ModelSamplingDiscrete node reads them, whose "linear" are the roots of betas.

    That node replaces the schedule by one of core's own kinds, so that a γ of the model is gone behind it.
    """
    return {
        "beta_schedule": {"linear": "sqrt_linear", "scaled_linear": "linear"}[schedule.betas],
        "linear_start": schedule.beta_start,
        "linear_end": schedule.beta_end,
        "timesteps": schedule.train_steps,
    }
