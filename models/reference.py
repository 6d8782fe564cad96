"""ReferenceNet: a UNet of the denoiser's shape that reads the character image (Animate Anyone, §3.2; AA2 §3.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PATCH, ModelConfig
from .layers import TimestepEmbedding
from .unet import Injections, UNet

APPEARANCE, PATCHES = "appearance", "patches"  # beside the attentions' names
FREQUENCIES = 4


def patch_channels(config: ModelConfig) -> int | None:
    """Channels of one patch with its place, or None where the model looks none up."""
    return config.latent.channels * PATCH**2 + 4 * FREQUENCIES if config.reference.lookup else None


class ReferenceNet(UNet):
    """Features for the denoiser's spatial self-attentions, paired by block name.

    `midup` (AA2) hands over the mid and up blocks' features, `full` (v1 weights) the down blocks' as well.
    """

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        self.coordinates = config.reference.coordinates
        in_channels = config.unet.in_channels + 2 * self.coordinates
        super().__init__(config.unet, in_channels=in_channels, temporal=False, head=False, operations=operations)
        self.mode = config.reference.mode
        self.lookup_patches = config.reference.lookup
        self.grid = config.reference.appearance_grid
        if self.grid is not None:
            # Not in paper: stands in for the CLIP embedding, for models that have no CLIP; starts at zero. It carries
            # colours from the first steps on, long before attention has learned where to look.
            values = self.grid[0] * self.grid[1] * config.latent.channels
            self.appearance = TimestepEmbedding(values, 4 * config.unet.block_out_channels[0], operations)
            nn.init.zeros_(self.appearance.linear_2.weight)
            nn.init.zeros_(self.appearance.linear_2.bias)

    def forward(self, latents_BCHW: Tensor, context: Tensor | None = None) -> dict[str, Tensor]:
        """Read the character image once, at timestep 0.

        Args:
            latents_BCHW: (B, 4, h, w) clean latents of the character image.
            context: (B, L, D) image embedding for cross-attention, when the model has it.
        Returns:
            attention name → (B, tokens, C), the `norm1` outputs of the spatial self-attentions; and, where the model
            has them, "appearance" → (B, 1, 4·C0), the embedding of the whole picture, and "patches" → (B, r, C_p).
        """
        x = latents_BCHW
        if self.coordinates:
            x = torch.cat([x, _coordinates(x)], dim=1)
        injections = Injections(context=context, temporal=False, features={})
        timesteps = torch.zeros(x.shape[0], device=x.device)
        self.trunk(x.contiguous(memory_format=torch.channels_last), timesteps, injections)
        features = injections.features
        if self.mode == "midup":
            features = {name: f for name, f in features.items() if not name.startswith("down_blocks")}
        if self.grid is not None:
            boxes = F.adaptive_avg_pool2d(latents_BCHW, self.grid).flatten(1)
            features[APPEARANCE] = self.appearance(boxes).unsqueeze(1)
        if self.lookup_patches:
            features[PATCHES] = _patches(latents_BCHW)
        return features


def _coordinates(x: Tensor) -> Tensor:
    """(B, 2, h, w): x and y in -1…1. # Not in paper: lets attention find body parts by place in the picture, which
    a small network would otherwise learn late."""
    batch, _, height, width = x.shape
    rows = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
    columns = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
    grid_y, grid_x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([grid_x, grid_y]).expand(batch, -1, -1, -1)


def _patches(latents: Tensor) -> Tensor:
    """(B, r, C_p): the picture's latents, patch by patch, with the sines and cosines of each patch's place.

    # Not in paper: a small model learns to look these up within minutes, where attention to features that are
    # themselves still being learned takes hours.
    """
    patches = F.pixel_unshuffle(latents, PATCH)
    rates = torch.pi * 2.0 ** torch.arange(FREQUENCIES, device=latents.device)
    angles = _coordinates(patches).float()[:, :, None] * rates[:, None, None]
    places = torch.cat([angles.sin(), angles.cos()], dim=2).flatten(1, 2).to(latents.dtype)
    return torch.cat([patches, places], dim=1).flatten(2).transpose(1, 2)


def patch_colours(patches: Tensor, channels: int) -> Tensor:
    """The mean latents (B, r, channels) of patches from the ReferenceNet (B, r, C_p)."""
    return patches[..., : channels * PATCH**2].unflatten(-1, (channels, PATCH**2)).mean(dim=-1)
