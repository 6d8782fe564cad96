"""The UNet of Stable Diffusion 1.5's family, with AnimateDiff's motion modules when `temporal`.

One class serves the denoiser (`temporal=True`) and, through `ReferenceNet`, the appearance encoder.
State-dict keys are those of diffusers' `UNetMotionModel` and `UNet2DConditionModel`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import InputError
from .config import UNetConfig
from .layers import (
    Downsample,
    MotionModule,
    ReferenceLookup,
    ResnetBlock,
    SpatialTransformer,
    TimestepEmbedding,
    Upsample,
    timestep_embedding,
)

KeysValues = dict[str, tuple[Tensor, Tensor]]
Blend = Callable[[str, Tensor], Tensor]


@dataclass
class Injections:
    """What the papers inject into the UNet's layers; a mechanism that is off is None and costs nothing."""

    frames: int = 1
    context: Tensor | None = None  # (B, L, D) for cross-attention
    # of the reference, for the last R of the B clips; the others are unconditional
    reference: KeysValues | None = None  # name of a spatial attention → (R, r, C) each
    lookups: KeysValues | None = None  # name of a layer → keys and values of its lookup, (R, r, C) each
    appearance: Tensor | None = None  # (B·F, 4·C0) joins the time embedding
    colours: Tensor | None = None  # (B, r, c) of the reference's patches, for training the lookups
    seen: dict[str, Tensor] | None = None  # filled with what each layer's lookup makes of them: (B·F, c, h, w)
    blend: Blend | None = None  # (layer name, features) → blended features
    temporal: bool = True
    features: dict[str, Tensor] | None = None  # a dictionary here is filled: attention name → norm1 output (B·F, n, C)


class Level(nn.Module):
    """The layers of one resolution: resnets, spatial attentions, motion modules, and a resampler."""

    def __init__(
        self,
        name: str,
        channels_in: list[int],
        channels: int,
        config: UNetConfig,
        *,
        attention: bool,
        motion: bool,
        resampler: str | None,
        operations,
        lookup: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        embedding = 4 * config.block_out_channels[0]
        groups = config.norm_groups
        self.resnets = nn.ModuleList(
            [ResnetBlock(width, channels, embedding, groups, operations) for width in channels_in]
        )
        count = len(channels_in) - (name == "mid_block")
        if attention:
            self.attentions = nn.ModuleList(
                [
                    SpatialTransformer(channels, config.cross_attention_dim, config.heads, groups, operations)
                    for _ in range(count)
                ]
            )
        if lookup is not None:
            self.lookups = nn.ModuleList(
                [ReferenceLookup(channels, lookup, config.heads, groups, operations) for _ in range(count)]
            )
        if motion:
            mm = config.motion_modules
            self.motion_modules = nn.ModuleList(
                [
                    MotionModule(channels, mm.heads, mm.max_frames, mm.norm_groups, mm.norm_per_frame, operations)
                    for _ in range(count)
                ]
            )
        if resampler == "down":
            self.downsamplers = nn.ModuleList([Downsample(channels, operations)])
        if resampler == "up":
            self.upsamplers = nn.ModuleList([Upsample(channels, operations)])

    def forward(self, x: Tensor, embedding: Tensor, injections: Injections, skips: list[Tensor]) -> Tensor:
        """Features (B·F, C, h, w) and the time embedding (B·F, E) → what the next level takes.

        Levels on the way down add to `skips`, those on the way up take from it.
        """
        up, down = self.name.startswith("up_blocks"), self.name.startswith("down_blocks")
        for i, resnet in enumerate(self.resnets):
            x = resnet(torch.cat([x, skips.pop()], dim=1) if up else x, embedding)
            if up or down or i == 0:  # the mid block ends with a resnet alone
                x = self.after_resnet(i, x, injections)
            if down:
                skips.append(x)
        if hasattr(self, "downsamplers"):
            x = self.downsamplers[0](x)
            skips.append(x)
        if hasattr(self, "upsamplers"):
            x = self.upsamplers[0](x, tuple(skips[-1].shape[-2:]))
        return x

    def after_resnet(self, index: int, x: Tensor, injections: Injections) -> Tensor:
        """Spatial attention (with reference), spatial blending of objects, motion module: what follows a resnet."""
        name = f"{self.name}.attentions.{index}"
        if hasattr(self, "attentions"):
            reference = injections.reference.get(name) if injections.reference else None
            x, features = self.attentions[index](x, injections.context, reference, injections.frames)
            if injections.features is not None:
                injections.features[name] = features
        if injections.lookups and f"{self.name}.{index}" in injections.lookups:
            x = self._look_up(index, x, injections)
        if injections.blend is not None:
            x = injections.blend(f"{self.name}.{index}", x)
        if injections.temporal and hasattr(self, "motion_modules"):
            x = self.motion_modules[index](x, injections.frames)
        return x

    def _look_up(self, index: int, x: Tensor, injections: Injections) -> Tensor:
        keys_values = injections.lookups[f"{self.name}.{index}"]
        alone = len(x) - len(keys_values[0]) * injections.frames
        looking, seen = self.lookups[index](x[alone:], keys_values, injections.colours)
        if seen is not None:
            injections.seen[f"{self.name}.{index}"] = seen
        return torch.cat([x[:alone], looking]) if alone else looking


class UNet(nn.Module):
    """Denoiser, or appearance encoder when `temporal` and `head` are off.

    Args:
        config: widths, levels and heads.
        in_channels: channels of the input convolution (noise, and environment and mask or coordinates after it).
        temporal: build motion modules.
        head: build the output norm and convolution (and the levels after the last spatial attention).
        lookup: channels of the reference's patches that mid and up layers look up; None: they do not.
        operations: namespace of the layers (`torch.nn` or `comfy.ops…`).
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        in_channels: int,
        temporal: bool,
        head: bool = True,
        lookup: int | None = None,
        operations=nn,
    ) -> None:
        super().__init__()
        self.config, self.lookup = config, lookup
        widths = config.block_out_channels
        self.conv_in = operations.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(widths[0], 4 * widths[0], operations)
        self.down_blocks = self._down_levels(temporal, operations)
        self.mid_block = Level(
            "mid_block",
            [widths[-1]] * 2,
            widths[-1],
            config,
            attention=True,
            motion=temporal and config.motion_modules.mid_block,
            resampler=None,
            operations=operations,
            lookup=lookup,
        )
        self.up_blocks = self._up_levels(temporal, head, operations)
        if head:
            self.conv_norm_out = operations.GroupNorm(config.norm_groups, widths[0], eps=1e-5)
            self.conv_out = operations.Conv2d(widths[0], config.out_channels, 3, padding=1)

    def _down_levels(self, temporal: bool, operations) -> nn.ModuleList:
        widths, levels = self.config.block_out_channels, nn.ModuleList()
        for i, width in enumerate(widths):
            channels_in = [widths[max(i - 1, 0)]] + [width] * (self.config.layers_per_block - 1)
            levels.append(
                Level(
                    f"down_blocks.{i}",
                    channels_in,
                    width,
                    self.config,
                    attention=self.config.attention[i],
                    motion=temporal,
                    resampler="down" if i < len(widths) - 1 else None,
                    operations=operations,
                )
            )
        return levels

    def _up_levels(self, temporal: bool, head: bool, operations) -> nn.ModuleList:
        """Without a head nothing reads what follows the last spatial attention: levels after it are not built."""
        widths, levels = self.config.block_out_channels, nn.ModuleList()
        last = len(widths) - 1 if head else len(widths) - 1 - self.config.attention.index(True)
        skips = [widths[0]]
        for i, width in enumerate(widths):
            skips += [width] * self.config.layers_per_block + ([width] if i < len(widths) - 1 else [])
        x_width = widths[-1]
        for i, width in enumerate(reversed(widths[-last - 1 :])):
            channels_in = []
            for _ in range(self.config.layers_per_block + 1):
                channels_in.append(x_width + skips.pop())
                x_width = width
            levels.append(
                Level(
                    f"up_blocks.{i}",
                    channels_in,
                    width,
                    self.config,
                    attention=self.config.attention[len(widths) - 1 - i],
                    motion=temporal,
                    resampler=None if i == last else "up",
                    operations=operations,
                    lookup=self.lookup,
                )
            )
        return levels

    def trunk(self, x: Tensor, timesteps: Tensor, injections: Injections, added: Tensor | None = None) -> Tensor:
        """Input (B·F, C_in, h, w), timesteps (B·F,), `added` (B·F, C0, h, w) joins the first feature map → features."""
        if self.config.cross_attention_dim is not None and injections.context is None:
            raise InputError(
                f"the model reads an image embedding and got none: give context (clips, 1, "
                f"{self.config.cross_attention_dim}), zeros for the unconditional pass"
            )
        embedding = self.time_embedding(timestep_embedding(timesteps, self.config.block_out_channels[0]).to(x.dtype))
        if injections.appearance is not None:
            embedding = embedding + injections.appearance
        embedding = F.silu(embedding)
        x = self.conv_in(x)
        if added is not None:
            x = x + added
        skips = [x]
        for level in (*self.down_blocks, self.mid_block, *self.up_blocks):
            x = level(x, embedding, injections, skips)
        return x

    def forward(
        self, latents_BFCHW: Tensor, timesteps: Tensor, injections: Injections, added: Tensor | None = None
    ) -> Tensor:
        """Predict noise or velocity.

        Args:
            latents_BFCHW: (B, F, C_in, h, w).
            timesteps: (B,).
            injections: conditions of B clips.
            added: (B·F, C0, h, w), motion features for the first feature map.
        Returns:
            (B, F, out_channels, h, w).
        Raises:
            InputError: more frames than the motion modules' position table holds.
        """
        batch, frames = latents_BFCHW.shape[:2]
        limit = self.config.motion_modules.max_frames
        if injections.temporal and frames > limit:
            raise InputError(
                f"{frames} frames at once, and the motion modules take {limit}: use windows of {limit} or fewer "
                "(--window, Inhabit Context Windows)"
            )
        injections.frames = frames
        x = rearrange(latents_BFCHW, "b f c h w -> (b f) c h w").contiguous(memory_format=torch.channels_last)
        x = self.trunk(x, timesteps.repeat_interleave(frames), injections, added)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return rearrange(x, "(b f) c h w -> b f c h w", b=batch)
