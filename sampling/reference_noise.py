"""HIA's initial reference noise (§3.4): sampling starts from the reference's latents diffused to the last timestep."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def diffuse_reference(reference: Tensor, noise: Tensor, alpha_bar: Tensor | float) -> Tensor:
    """Return x_T = √ᾱ_T·reference + √(1-ᾱ_T)·noise, (F, C, h, w), the same reference under every frame's own noise.

    reference  (1, C, h', w'), in the scale that the denoiser sees.
    noise      (F, C, h, w), standard normal.
    alpha_bar  ᾱ_T of the last timestep. With zero terminal SNR (at most 4.9e-8 here) the reference is all but gone.

    # Not in paper: a reference of another size. It is resized to the latent's, as it is not cut to fit.
    """
    resized = functional.interpolate(reference.float(), noise.shape[-2:], mode="bilinear", antialias=True)
    return alpha_bar**0.5 * resized.to(noise) + (1 - alpha_bar) ** 0.5 * noise
