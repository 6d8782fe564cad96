"""Object guider and spatial blending (AA2 §3.3, eq. 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .config import ModelConfig


class SpatialBlending(nn.Module):
    """z = α·z_object + (1 − α)·z_noise with α = sigmoid(Conv2D(cat(z_noise, z_object))), one α a pixel.

    # Not in paper: α has one channel; the convolution's bias starts at `blend_bias`. The paper's zero initialisation
    gives α = 0.5, which halves what a pretrained network computes.
    """

    def __init__(self, channels: int, blend_bias: float, operations) -> None:
        super().__init__()
        self.conv = operations.Conv2d(2 * channels, 1, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.constant_(self.conv.bias, blend_bias)

    def forward(self, noise: Tensor, objects: Tensor, present: Tensor) -> Tensor:
        """noise, objects (N, C, h, w); present (N, 1, 1, 1), 0 leaves a frame exactly as it was."""
        alpha = torch.sigmoid(self.conv(torch.cat([noise, objects], dim=1))) * present
        return torch.lerp(noise, objects, alpha.expand_as(noise))


@dataclass(frozen=True)
class ObjectFeatures:
    """maps: per UNet level, (B·F, C_level, h/2^level, w/2^level); present: (B·F, 1, 1, 1), 1 where a frame has one."""

    maps: list[Tensor]
    present: Tensor


class ObjectGuider(nn.Module):
    """Light convolutional pyramid over the object's latents, one 3×3 stage per UNet level (strides 1, 2, 2, …).

    Holds the blending layers too, one after every spatial attention of the mid and up stages.
    # Not in paper: the first stage's stride of 1. AA2 downsamples the latents four times, the UNet only three, and
    features must have the sizes of the UNet's stages. # Not in paper: a stage without spatial attention blends after
    its resnets.
    """

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        super().__init__()
        widths = config.unet.block_out_channels
        self.stages = nn.ModuleList()
        for i, width in enumerate(widths):
            before = config.latent.channels if i == 0 else widths[i - 1]
            self.stages.append(operations.Conv2d(before, width, 3, padding=1, stride=1 if i == 0 else 2))
        self.levels = _blending_places(config)
        bias = config.objects.blend_bias
        self.blends = nn.ModuleDict(
            {_key(name): SpatialBlending(widths[level], bias, operations) for name, level in self.levels.items()}
        )

    def forward(self, object_latents_BFCHW: Tensor) -> ObjectFeatures:
        """Latents (B, F, 4, h, w) of the objects on grey → their features.

        A frame whose latents are all 0 has no object: its features are blended nowhere.
        """
        x = rearrange(object_latents_BFCHW, "b f c h w -> (b f) c h w").contiguous(memory_format=torch.channels_last)
        present = (x != 0).flatten(1).any(dim=1).to(x)[:, None, None, None]
        maps = []
        for stage in self.stages:
            x = functional.silu(stage(x))
            maps.append(x)
        return ObjectFeatures(maps, present)

    def blend(self, name: str, x: Tensor, frames: int, features: ObjectFeatures) -> Tensor:
        """Blend the level's object features into `x` where `name` is a blending place; other layers pass unchanged.

        A hook behind spatial attention once `features` is given; those of one clip serve all clips of x.
        """
        if name not in self.levels:
            return x
        clips = len(x) // len(features.present)
        given = (features.maps[self.levels[name]], features.present)
        return self.blends[_key(name)](x, *(tensor.to(x.dtype).repeat(clips, 1, 1, 1) for tensor in given))


def _blending_places(config: ModelConfig) -> dict[str, int]:
    """Layer name → UNet level, for the mid and up stages."""
    top = len(config.unet.block_out_channels) - 1
    places = {"mid_block.0": top}
    for i in range(top + 1):
        for j in range(config.unet.layers_per_block + 1):
            places[f"up_blocks.{i}.{j}"] = top - i
    return places


def _key(name: str) -> str:
    return name.replace(".", "_")  # module names may not hold dots
