"""The noise schedule of a MODEL, read from its `model_sampling` and shifted there.

Everything here works on any MODEL whose network knows a list of noise levels, as Stable Diffusion's do.
"""

from __future__ import annotations

import copy

import comfy.model_patcher
import comfy.model_sampling
import torch
from torch import Tensor

from ...errors import InputError
from ...sampling.schedules import gamma_for, shifted_sigmas, trailing_timesteps
from .settings import own_config

SAMPLING = "model_sampling"
VAE_DOWNSCALE = 8  # pixels of a latent cell, of other packs' and core's models with discrete sigmas


def with_shifted_snr(patcher: comfy.model_patcher.ModelPatcher, gamma: float) -> comfy.model_patcher.ModelPatcher:
    """Return a copy of a MODEL whose signal-to-noise ratio is γ times its own at every timestep.

    Its own has HIA's γ in it already, where the model was trained with one.

    Raises InputError for γ outside (0, 1] and for a model without discrete sigmas.
    """
    sampling = copy.deepcopy(discrete_sampling(patcher))
    sampling.set_sigmas(shifted_sigmas(sampling.sigmas, gamma))
    patcher = patcher.clone()
    patcher.add_object_patch(SAMPLING, sampling)
    return patcher


def trailing_sigmas(patcher: comfy.model_patcher.ModelPatcher, steps: int) -> Tensor:
    """Return the sigmas (steps + 1,) of a MODEL's trailing timesteps, the last one 0, shifted where the MODEL is.

    Raises InputError for a number of steps that cannot be, and for a model without discrete sigmas.
    """
    every = discrete_sampling(patcher).sigmas
    return torch.cat([every[trailing_timesteps(len(every), steps)], every.new_zeros(1)]).cpu()


def discrete_sampling(patcher: comfy.model_patcher.ModelPatcher) -> comfy.model_sampling.ModelSamplingDiscrete:
    """Return a MODEL's sampling object. Raises InputError for flow and continuous models, which have no such list."""
    if not isinstance(patcher, comfy.model_patcher.ModelPatcher):
        raise InputError(f"the model is a {type(patcher).__name__}; connect a MODEL")
    sampling = patcher.get_model_object(SAMPLING)
    continuous = isinstance(sampling, comfy.model_sampling.ModelSamplingDiscreteEDM)
    if not isinstance(sampling, comfy.model_sampling.ModelSamplingDiscrete) or continuous:
        raise InputError(
            f"the model is a {type(patcher.model).__name__}, which has no list of noise levels (flow models and EDM "
            "have none); connect the MODEL of Inhabit Model Loader, or of Stable Diffusion 1.5, 2 or XL"
        )
    return sampling


def gamma_of(patcher: comfy.model_patcher.ModelPatcher, latents: Tensor) -> float:
    """Return the γ for latents (F, C, h, w) by their size in pixels and the γ that the model was trained with.

    See `gamma_for`. Raises InputError for no MODEL.
    """
    discrete_sampling(patcher)
    config = own_config(patcher)
    scale = VAE_DOWNSCALE if config is None else config.latent.downscale
    height, width = latents.shape[-2:]
    return gamma_for(height * scale, width * scale, None if config is None else config.schedule.gamma)
