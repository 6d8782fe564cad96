"""Core's NOISE object, with the reference under the noise."""

from __future__ import annotations

import comfy.model_patcher
import comfy.sample
import comfy.sampler_helpers
import torch
from torch import Tensor

from ...errors import InputError
from ...sampling.reference_noise import diffuse_reference
from .kept import over_plain
from .schedule import discrete_sampling


class ReferenceNoise:
    """What RandomNoise draws, over the reference's latents diffused to the MODEL's last timestep (HIA).

    Core multiplies the noise by √(1+σmax²) and adds the latent, so that an empty one gives reference + σmax·noise.
    What a noise mask keeps, core re-noises with the same tensor at every step: there it is RandomNoise's alone.
    """

    def __init__(self, patcher: comfy.model_patcher.ModelPatcher, reference: Tensor, seed: int) -> None:
        """`reference`: latents (1, C, h, w). Raises InputError for more than one picture's, for another number of
        channels than the MODEL's, and for a model without discrete sigmas."""
        sigma_max = float(discrete_sampling(patcher).sigma_max)
        latents = patcher.get_model_object("latent_format")
        if reference.shape[:2] != (1, latents.latent_channels):
            raise InputError(
                f"reference has shape {tuple(reference.shape)}; give one picture's, "
                f"(1, {latents.latent_channels}, height, width), of the VAE of the model"
            )
        self.seed, self._alpha_bar = seed, 1 / (1 + sigma_max**2)
        self._reference = latents.process_in(reference)

    def generate_noise(self, input_latent: dict) -> Tensor:
        """Return the noise for a LATENT (F, C, h, w). Raises InputError where the reference's does not fit it."""
        latent = input_latent["samples"]
        if latent.ndim != 4 or latent.shape[1] != self._reference.shape[1]:
            raise InputError(
                f"the latent has shape {tuple(latent.shape)}, the reference {tuple(self._reference.shape)}; "
                "encode the reference with the VAE of the model"
            )
        plain = comfy.sample.prepare_noise(latent, self.seed, input_latent.get("batch_index"))
        noise = diffuse_reference(self._reference, plain, self._alpha_bar)
        if input_latent.get("noise_mask") is not None:
            mask = comfy.sampler_helpers.prepare_mask(input_latent["noise_mask"], noise.shape, noise.device)
            noise = torch.lerp(plain, noise, mask.to(noise))
        return over_plain(noise, plain)
