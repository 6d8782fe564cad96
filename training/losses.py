"""The diffusion loss, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .recipe import LossRecipe


def signal_to_noise(alphas_cumprod: Tensor, timesteps_B: Tensor) -> Tensor:
    """SNR_t = ᾱ_t / (1 − ᾱ_t) of each clip."""
    alpha = alphas_cumprod.to(timesteps_B.device, torch.float32)[timesteps_B]
    return alpha / (1 - alpha)


def snr_weights(snr_B: Tensor, prediction: str, gamma: float) -> Tensor:
    """Min-SNR weights (Hang et al. 2023): min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v."""
    if prediction == "v":
        return snr_B.clamp(max=gamma) / (snr_B + 1)
    return torch.where(snr_B > 0, snr_B.clamp(max=gamma) / snr_B.clamp(min=1e-8), torch.ones_like(snr_B))


def diffusion_target(
    latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps_B: Tensor, prediction: str
) -> Tensor:
    """What the denoiser must answer: ε, or v = √ᾱ ε − √(1−ᾱ) x0."""
    if prediction == "epsilon":
        return noise
    alpha = _per_clip(alphas_cumprod, timesteps_B, latents)
    return alpha.sqrt() * noise - (1 - alpha).sqrt() * latents


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps_B: Tensor) -> Tensor:
    """z_t = √ᾱ x0 + √(1−ᾱ) ε."""
    alpha = _per_clip(alphas_cumprod, timesteps_B, latents)
    return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise


def region_weights(regions: dict[str, Tensor], recipe: LossRecipe, size: tuple[int, int]) -> Tensor:
    """Weights (B, F, 1, h, w) with mean 1 from pixel masks (B, F, H, W) 0…1 named character, hands and face.

    # Not in paper (AA2 weighs all latents alike): a clip is mostly background, which the environment already gives.
    """
    first = next(iter(regions.values()))
    B, frames = first.shape[:2]
    weights = torch.ones(B * frames, 1, *size, device=first.device)
    for name, mask_BFHW in regions.items():
        small = functional.interpolate(mask_BFHW.flatten(0, 1).unsqueeze(1).float(), size, mode="area")
        weights = weights * (1 + (getattr(recipe, name) - 1) * small)
    return (weights / weights.mean()).unflatten(0, (B, frames))


def diffusion_loss(predicted: Tensor, target: Tensor, weights_BFhw: Tensor, weights_B: Tensor | None) -> Tensor:
    """Mean of w_region · w_snr · (predicted − target)² in float32; one number."""
    error = (predicted.float() - target.float()).square() * weights_BFhw
    if weights_B is not None:
        error = error * weights_B.view(-1, 1, 1, 1, 1)
    return error.mean()


def region_errors(predicted: Tensor, target: Tensor, character_BFHW: Tensor) -> dict[str, Tensor]:
    """Mean squared error of the latents inside and outside the character, frames in the mask's order."""
    inside = functional.interpolate(
        character_BFHW.flatten(0, 1).unsqueeze(1).float(), tuple(target.shape[-2:]), mode="area"
    )
    error = (predicted.float() - target.float()).square().reshape(len(inside), -1, *target.shape[-2:]).mean(1, True)
    weights = {"character": inside, "outside": 1 - inside}
    return {name: (error * weight).sum() / weight.sum().clamp(min=1e-6) for name, weight in weights.items()}


def patch_loss(seen: dict[str, Tensor], clean_NCHW: Tensor, character_NHW: Tensor) -> Tensor:
    """How far the reference's colours where each layer looks are from the character's: mean squared, in its region.

    # Not in paper: tells attention where to look from the first step on; without it the values have to become useful
    before looking anywhere pays, and the other way round.

    seen: layer → (N, C, h, w); clean (N, C, H, W) latents; character (N, H', W') 0…1.
    """
    losses = []
    for colours in seen.values():
        size = colours.shape[-2:]
        weights = functional.adaptive_avg_pool2d(character_NHW.unsqueeze(1), size)
        error = (colours.float() - functional.adaptive_avg_pool2d(clean_NCHW, size)).square() * weights
        losses.append(error.sum() / (weights.sum() * colours.shape[1]).clamp(min=1))
    return torch.stack(losses).mean()


def _per_clip(alphas_cumprod: Tensor, timesteps_B: Tensor, latents: Tensor) -> Tensor:
    alpha = alphas_cumprod.to(latents.device, torch.float32)[timesteps_B]
    return alpha.view(-1, *[1] * (latents.dim() - 1))


def edges(images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical differences of neighbouring pixels."""
    return images_NCHW[..., :, 1:] - images_NCHW[..., :, :-1], images_NCHW[..., 1:, :] - images_NCHW[..., :-1, :]


def picture_loss(predicted_NCHW: Tensor, target_NCHW: Tensor) -> dict[str, Tensor]:
    """L1 of the pixels and L1 of their neighbour differences (sharp outlines), as named parts."""
    pairs = zip(edges(predicted_NCHW), edges(target_NCHW), strict=True)
    gradient = sum((a - b).abs().mean() for a, b in pairs)
    return {"pixels": (predicted_NCHW - target_NCHW).abs().mean(), "edges": gradient}
