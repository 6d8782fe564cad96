"""Two shortcuts to the reference's colours for small models: patch attention, and a pooled embedding.

# Not in paper: both. A small model learns to use them within minutes, where attention to features that are themselves
still being learned takes hours. Models of Stable Diffusion's size have neither.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .config import PATCH, ModelConfig
from .layers import TimestepEmbedding, attention
from .unet import UNet

FREQUENCIES = 4  # of the sines and cosines that tell a patch's place

PatchKeys = dict[str, tuple[Tensor, Tensor]]  # layer → keys and values (B, r, C) of the patches


def coordinates(x: Tensor) -> Tensor:
    """x (B, C, h, w) → (B, 2, h, w), x and y in -1…1."""
    batch, _, height, width = x.shape
    rows = torch.linspace(-1, 1, height, device=x.device, dtype=x.dtype)
    columns = torch.linspace(-1, 1, width, device=x.device, dtype=x.dtype)
    grid_y, grid_x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([grid_x, grid_y]).expand(batch, -1, -1, -1)


def patches(latents: Tensor) -> Tensor:
    """Latents (B, c, h, w) → (B, r, C_p), patch by patch, with the sines and cosines of each patch's place."""
    cells = functional.pixel_unshuffle(latents, PATCH)
    rates = torch.pi * 2.0 ** torch.arange(FREQUENCIES, device=latents.device)
    angles = coordinates(cells).float()[:, :, None] * rates[:, None, None]
    places = torch.cat([angles.sin(), angles.cos()], dim=2).flatten(1, 2).to(latents.dtype)
    return torch.cat([cells, places], dim=1).flatten(2).transpose(1, 2)


def patch_colours(patches_BrC: Tensor, channels: int) -> Tensor:
    """The mean latents (B, r, channels) of `patches`."""
    return patches_BrC[..., : channels * PATCH**2].unflatten(-1, (channels, PATCH**2)).mean(dim=-1)


class PooledEmbedding(TimestepEmbedding):
    """The box-averaged picture as one embedding that joins the time embedding; its output starts at zero.

    Stands in for the CLIP embedding, for models that have no CLIP. It carries colours from the first steps on, long
    before attention has learned where to look. grid: (rows, columns) of the boxes.
    """

    def __init__(self, grid: tuple[int, int], channels: int, embedding: int, operations) -> None:
        super().__init__(grid[0] * grid[1] * channels, embedding, operations)
        self.grid = grid
        nn.init.zeros_(self.linear_2.weight)
        nn.init.zeros_(self.linear_2.bias)

    def forward(self, latents_BCHW: Tensor) -> Tensor:
        """→ (B, 1, E)."""
        boxes = functional.adaptive_avg_pool2d(latents_BCHW, self.grid).flatten(1)
        return super().forward(boxes).unsqueeze(1)


class PatchAttention(nn.Module):
    """Attention of a clip's pixels over the reference picture's patches alone; keys and values come projected."""

    def __init__(self, channels: int, patch_channels: int, heads: int, groups: int, operations) -> None:
        super().__init__()
        self.heads = heads
        self.norm = operations.GroupNorm(groups, channels, eps=1e-6)
        self.to_q = operations.Linear(channels, channels, bias=False)
        self.to_k = operations.Linear(patch_channels, channels, bias=False)
        self.to_v = operations.Linear(patch_channels, channels, bias=False)
        self.to_out = operations.Linear(channels, channels)

    def project(self, patches_BrC: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, r, C_p) → keys and values (B, r, C)."""
        return self.to_k(patches_BrC), self.to_v(patches_BrC)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """x (B·F, C, h, w), keys and values (B, r, C) → x."""
        key, value = keys_values
        found = self.to_out(attention(self._query(x, len(key)), key, value, self.heads))
        return x + self._frames(found, x)

    def colours(self, x: Tensor, key: Tensor, colours: Tensor) -> Tensor:
        """What the same attention makes of `colours` (B, r, c), c at most C / heads: (B·F, c, h, w), heads' mean."""
        padded = functional.pad(colours, (0, key.shape[-1] // self.heads - colours.shape[-1]))
        query = self._query(x, len(key))
        seen = attention(query, key, padded.repeat(1, 1, self.heads).to(query.dtype), self.heads)
        seen = seen.unflatten(-1, (self.heads, -1)).mean(dim=-2)[..., : colours.shape[-1]]
        return self._frames(seen, x)

    def _query(self, x: Tensor, clips: int) -> Tensor:
        return self.to_q(rearrange(self.norm(x), "(b f) c h w -> b (f h w) c", b=clips))

    @staticmethod
    def _frames(tokens: Tensor, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return rearrange(tokens, "b (f h w) c -> (b f) c h w", h=height, w=width)


def add_patch_attention(denoiser: UNet, config: ModelConfig, operations) -> None:
    """Give every layer in the middle and on the way up a patch attention, in its level's `lookups`."""
    channels = config.latent.channels * PATCH**2 + 4 * FREQUENCIES
    for level in (denoiser.mid_block, *denoiser.up_blocks):
        width = level.resnets[0].conv2.out_channels
        layers = len(level.resnets) if level is not denoiser.mid_block else 1
        level.lookups = nn.ModuleList(  # the name that checkpoints have
            PatchAttention(width, channels, config.unet.heads, config.unet.norm_groups, operations)
            for _ in range(layers)
        )


def patch_attentions(denoiser: UNet) -> dict[str, PatchAttention]:
    """The layers that `add_patch_attention` made, by the name of the layer that each one follows."""
    levels = (denoiser.mid_block, *denoiser.up_blocks)
    return {f"{level.name}.{i}": layer for level in levels for i, layer in enumerate(level.lookups)}


class PatchColours:
    """A hook before patch attention that keeps what each layer sees of the reference's colours, for training.

    seen: layer → (B·F, c, h, w); filled while the denoiser runs.
    """

    def __init__(self, denoiser: UNet, keys: PatchKeys, colours: Tensor) -> None:
        self._layers, self._keys, self._colours = patch_attentions(denoiser), keys, colours
        self.seen: dict[str, Tensor] = {}

    def __call__(self, name: str, x: Tensor, frames: int) -> Tensor:
        if name in self._layers:
            self.seen[name] = self._layers[name].colours(x, self._keys[name][0], self._colours)
        return x


class PatchHook:
    """Patch attention as a hook of `Injections.after_spatial`, for the conditional clips of a batch."""

    def __init__(self, denoiser: UNet, keys: PatchKeys, conditional: slice) -> None:
        self._layers, self._keys, self._conditional = patch_attentions(denoiser), keys, conditional

    def __call__(self, name: str, x: Tensor, frames: int) -> Tensor:
        if name not in self._layers:
            return x
        told = self._layers[name](x[self._conditional], self._keys[name])
        untold = x[: self._conditional.start or 0]
        return torch.cat([untold, told]) if len(untold) else told
