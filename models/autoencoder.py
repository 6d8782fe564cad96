"""A small autoencoder on pixel-unshuffled patches, and the codec that turns frames into latents and back.

# Not in paper: the papers use Stable Diffusion's VAE. The bundled puppet model needs one of a few megabytes that
trains in minutes: its first three latent channels start as the box-downsampled picture, and its decoder starts from
their bilinear upsampling, so that the networks learn only what is missing.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .config import AutoencoderConfig


class ConvBlock(nn.Module):
    """Pre-activation residual block of two 3×3 convolutions; the second starts at zero."""

    def __init__(self, channels: int, operations) -> None:
        super().__init__()
        self.norm = operations.GroupNorm(channels // 16, channels)
        self.conv1 = operations.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = operations.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.silu(self.conv1(functional.silu(self.norm(x)))))


class PatchAutoencoder(nn.Module):
    """Deterministic autoencoder: patches of `patch`² pixels ↔ one latent of `latent_channels`."""

    def __init__(self, config: AutoencoderConfig, operations=nn) -> None:
        super().__init__()
        self.config = config
        patch_values = 3 * config.patch**2
        wide, deep = config.encoder_channels, config.decoder_channels
        self.encoder = nn.Sequential(
            operations.Conv2d(patch_values, wide, 3, padding=1),
            *[ConvBlock(wide, operations) for _ in range(config.blocks)],
            operations.Conv2d(wide, config.latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            operations.Conv2d(config.latent_channels, deep, 3, padding=1),
            *[ConvBlock(deep, operations) for _ in range(config.blocks)],
            operations.Conv2d(deep, patch_values, 3, padding=1),
        )
        nn.init.zeros_(self.decoder[-1].weight)
        nn.init.zeros_(self.decoder[-1].bias)
        nn.init.zeros_(self.encoder[-1].weight[:3])
        nn.init.zeros_(self.encoder[-1].bias)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) in -1…1 → latents (B, latent_channels, H/patch, W/patch), in about -1…1."""
        images = images_BCHW.contiguous(memory_format=torch.channels_last)
        learned = self.encoder(functional.pixel_unshuffle(images, self.config.patch))
        small = functional.avg_pool2d(images, self.config.patch)
        return learned + functional.pad(small, (0, 0, 0, 0, 0, self.config.latent_channels - 3))

    def decode(self, latents_BCHW: Tensor) -> Tensor:
        """Latents (B, latent_channels, h, w) → pictures (B, 3, h·patch, w·patch) in about -1…1."""
        latents = latents_BCHW.contiguous(memory_format=torch.channels_last)
        start = functional.interpolate(
            latents[:, :3], scale_factor=self.config.patch, mode="bilinear", align_corners=False
        )
        return start + functional.pixel_shuffle(self.decoder(latents), self.config.patch)


class LatentCodec:
    """Frames ↔ scaled latents, in chunks, for any autoencoder with `encode` and `decode` on (B, 3, H, W) in -1…1.

    Args:
        vae: `PatchAutoencoder`, or an object with the same two methods.
        scale: multiplies the encoder's output (`config.latent.scale`).
        downscale: pixels per latent.
        chunk: frames in memory at a time.
    """

    def __init__(self, vae: nn.Module, *, scale: float, downscale: int, chunk: int = 8) -> None:
        self.vae, self.scale, self.downscale, self.chunk = vae, scale, downscale, chunk

    @torch.inference_mode()
    def encode(self, images_FHWC: Tensor) -> Tensor:
        """Frames (F, H, W, 3) in 0…1 → latents (F, C, h, w), float32 on the CPU."""
        parameter = next(self.vae.parameters())
        latents = []
        for frames in images_FHWC.split(self.chunk):
            pictures = rearrange(frames, "f h w c -> f c h w").to(parameter.device, parameter.dtype) * 2 - 1
            latents.append((self.vae.encode(pictures) * self.scale).float().cpu())
        return torch.cat(latents)

    @torch.inference_mode()
    def decode(self, latents_FCHW: Tensor) -> Tensor:
        """Latents (F, C, h, w) → frames (F, H, W, 3) in 0…1, float32 on the CPU."""
        parameter = next(self.vae.parameters())
        count, _, height, width = latents_FCHW.shape
        frames = torch.empty(count, height * self.downscale, width * self.downscale, 3)
        for start in range(0, count, self.chunk):
            latents = latents_FCHW[start : start + self.chunk] / self.scale
            pictures = self.vae.decode(latents.to(parameter.device, parameter.dtype)).float().cpu()
            frames[start : start + self.chunk] = (rearrange(pictures, "f c h w -> f h w c") / 2 + 0.5).clamp(0, 1)
        return frames
