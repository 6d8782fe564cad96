"""The UNet of Stable Diffusion 1.5's family, with AnimateDiff's motion modules when `temporal`.

One class serves the denoiser (`temporal=True`) and, through `ReferenceNet`, the reader of the character's picture.
State-dict keys are those of diffusers' `UNetMotionModel` and `UNet2DConditionModel`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .config import UNetConfig
from .layers import (
    Downsample,
    MotionModule,
    ResnetBlock,
    SpatialTransformer,
    TimestepEmbedding,
    Upsample,
    timestep_embedding,
)

Hook = Callable[[str, Tensor, int], Tensor]  # (layer, features (B·F, C, h, w), frames F) → features of that shape
KeysValues = tuple[Tensor, Tensor]  # (R, r, C) each, of R clips
Join = Callable[[str, Tensor], KeysValues | None]  # (attention, its normalised tokens (B·F, n, C)) → what it also sees


@dataclass(frozen=True)
class Injections:
    """What the papers inject into the UNet's layers; a mechanism that is off is None or empty, and costs nothing.

    context: (B, L, D), the image embedding that cross-attention reads.
    joined: what a spatial self-attention, "up_blocks.1.attentions.0", sees besides itself (Animate Anyone §3.2).
    conditional: the frames, of B·F, that see what is joined: all, or those behind guidance's unconditional half.
    after_spatial: hooks behind the spatial attention of a layer, "up_blocks.1.0", one after another (AA2 §3.3).
    after_temporal: hooks behind a layer's motion module.
    temporal: False leaves the motion modules out, for frames that are no clip.
    """

    context: Tensor | None = None
    joined: Join | None = None
    conditional: slice = field(default_factory=lambda: slice(None))
    after_spatial: tuple[Hook, ...] = ()
    after_temporal: tuple[Hook, ...] = ()
    temporal: bool = True


class Level(nn.Module):
    """The layers of one resolution: resnets, and behind each of them a spatial attention and a motion module.

    Args:
        name: its name in the UNet, "up_blocks.1".
        inputs: the channels that each resnet takes; all give `channels`.
        attentions, motion_modules: how many resnets have one behind them.
    """

    def __init__(
        self,
        name: str,
        inputs: list[int],
        channels: int,
        config: UNetConfig,
        *,
        attentions: int,
        motion_modules: int,
        operations,
    ) -> None:
        super().__init__()
        self.name = name
        embedding, groups = 4 * config.block_out_channels[0], config.norm_groups
        self.resnets = nn.ModuleList(ResnetBlock(width, channels, embedding, groups, operations) for width in inputs)
        self.attentions = nn.ModuleList(
            SpatialTransformer(channels, config.cross_attention_dim, config.heads, groups, operations)
            for _ in range(attentions)
        )
        self.motion_modules = nn.ModuleList(
            MotionModule(channels, config.motion_modules, operations) for _ in range(motion_modules)
        )

    def layer(self, i: int, x: Tensor, embedding: Tensor, injections: Injections, frames: int) -> Tensor:
        """One resnet and what follows it: features (B·F, C_in, h, w), time embedding (B·F, E) → (B·F, C, h, w)."""
        name = f"{self.name}.{i}"
        x = self.resnets[i](x, embedding)
        if self.attentions:
            joined = injections.joined and functools.partial(injections.joined, f"{self.name}.attentions.{i}")
            x = self.attentions[i](x, injections.context, joined, injections.conditional)
        for hook in injections.after_spatial:
            x = hook(name, x, frames)
        if self.motion_modules and injections.temporal:
            x = self.motion_modules[i](x, frames)
        for hook in injections.after_temporal:
            x = hook(name, x, frames)
        return x


class DownLevel(Level):
    """A level on the way down; `downsample`: with a strided convolution at its end."""

    def __init__(self, name: str, inputs: list[int], channels: int, config: UNetConfig, *, downsample: bool, **layers):
        super().__init__(name, inputs, channels, config, **layers)
        self.downsamplers = nn.ModuleList([Downsample(channels, layers["operations"])] if downsample else [])

    def forward(self, x: Tensor, embedding: Tensor, injections: Injections, frames: int) -> list[Tensor]:
        """Return every layer's features, for the way up; the last of them go on to the next level."""
        features = []
        for i in range(len(self.resnets)):
            x = self.layer(i, x, embedding, injections, frames)
            features.append(x)
        return features + [downsample(x) for downsample in self.downsamplers]


class MidLevel(Level):
    """The level in the middle: a layer, and one more resnet."""

    def forward(self, x: Tensor, embedding: Tensor, injections: Injections, frames: int) -> Tensor:
        return self.resnets[1](self.layer(0, x, embedding, injections, frames), embedding)


class UpLevel(Level):
    """A level on the way up; `upsample`: with a convolution at its end, at the next level's size."""

    def __init__(self, name: str, inputs: list[int], channels: int, config: UNetConfig, *, upsample: bool, **layers):
        super().__init__(name, inputs, channels, config, **layers)
        self.upsamplers = nn.ModuleList([Upsample(channels, layers["operations"])] if upsample else [])

    def forward(
        self, x: Tensor, skips: list[Tensor], size: torch.Size, embedding: Tensor, injections: Injections, frames: int
    ) -> Tensor:
        """`skips`: what its resnets take from the way down, the last one first; `size` (h, w) of the next level's."""
        for i, skip in enumerate(reversed(skips)):
            x = self.layer(i, torch.cat([x, skip], dim=1), embedding, injections, frames)
        for upsample in self.upsamplers:
            x = upsample(x, size)
        return x


class UNet(nn.Module):
    """Denoiser, or reader of the character's picture when `temporal` and `head` are off.

    Args:
        config: widths, levels and heads.
        in_channels: channels of the input convolution (noise, and environment and mask or coordinates after it).
        temporal: build motion modules.
        head: build the output norm and convolution (and the levels after the last spatial attention).
        operations: namespace of the layers (`torch.nn` or `comfy.ops…`).
    """

    def __init__(
        self, config: UNetConfig, *, in_channels: int, temporal: bool, head: bool = True, operations=nn
    ) -> None:
        super().__init__()
        self.config = config
        widths, count, last = config.block_out_channels, config.layers_per_block, len(config.block_out_channels) - 1
        motion = count if temporal else 0
        self.conv_in = operations.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(widths[0], 4 * widths[0], operations)
        self.down_blocks = nn.ModuleList(
            DownLevel(
                f"down_blocks.{i}",
                [widths[max(i - 1, 0)], *[width] * (count - 1)],
                width,
                config,
                attentions=count if config.attention[i] else 0,
                motion_modules=motion,
                downsample=i < last,
                operations=operations,
            )
            for i, width in enumerate(widths)
        )
        self.mid_block = MidLevel(
            "mid_block",
            [widths[-1]] * 2,
            widths[-1],
            config,
            attentions=1,
            motion_modules=int(temporal and config.motion_modules.mid_block),
            operations=operations,
        )
        # without a head nothing reads what follows the last spatial attention
        end = last if head else last - config.attention.index(True)
        self.up_blocks = nn.ModuleList(
            UpLevel(
                f"up_blocks.{i}",
                up_inputs(config, i),
                width,
                config,
                attentions=count + 1 if config.attention[last - i] else 0,
                motion_modules=count + 1 if temporal else 0,
                upsample=i < end,
                operations=operations,
            )
            for i, width in enumerate(widths[::-1][: end + 1])
        )
        self.conv_norm_out = operations.GroupNorm(config.norm_groups, widths[0], eps=1e-5) if head else None
        self.conv_out = operations.Conv2d(widths[0], config.out_channels, 3, padding=1) if head else None

    def forward(
        self,
        latents_BFCHW: Tensor,
        timesteps: Tensor,
        injections: Injections,
        added: Tensor | None = None,
        added_embedding: Tensor | None = None,
    ) -> Tensor:
        """Predict noise or velocity.

        Args:
            latents_BFCHW: (B, F, C_in, h, w).
            timesteps: (B,).
            injections: what the layers are told besides.
            added: (B·F, C0, h, w), the pose guider's features, for the first feature map.
            added_embedding: (B·F, 4·C0), joins the time embedding.
        Returns:
            (B, F, out_channels, h, w); without a head (B, F, C, h', w') of the last level.
        Raises:
            InputError: more frames than the motion modules' position table holds; no context for cross-attention.
        """
        batch, frames = latents_BFCHW.shape[:2]
        self._check(frames, injections)
        x = rearrange(latents_BFCHW, "b f c h w -> (b f) c h w").contiguous(memory_format=torch.channels_last)
        embedding = timestep_embedding(timesteps.repeat_interleave(frames), self.config.block_out_channels[0])
        embedding = self.time_embedding(embedding.to(x.dtype))
        embedding = functional.silu(embedding if added_embedding is None else embedding + added_embedding)
        x = self.conv_in(x)
        x = x if added is None else x + added
        skips = [x]
        for level in self.down_blocks:
            skips += level(skips[-1], embedding, injections, frames)
        x = self.mid_block(skips[-1], embedding, injections, frames)
        for level in self.up_blocks:
            count = len(level.resnets)
            skips, taken = skips[:-count], skips[-count:]
            x = level(x, taken, (skips or taken)[-1].shape[-2:], embedding, injections, frames)
        if self.conv_out is not None:
            x = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return rearrange(x, "(b f) c h w -> b f c h w", b=batch)

    def _check(self, frames: int, injections: Injections) -> None:
        limit, width = self.config.motion_modules.max_frames, self.config.cross_attention_dim
        if injections.temporal and frames > limit:
            raise InputError(
                f"{frames} frames at once, and the motion modules take {limit}: use windows of {limit} or fewer "
                "(--window, Inhabit Context Windows)"
            )
        if width is not None and injections.context is None:
            raise InputError(
                f"the model reads an image embedding and got none: give context (clips, 1, {width}), zeros for the "
                "unconditional pass"
            )


def up_inputs(config: UNetConfig, i: int) -> list[int]:
    """The channels that the resnets of the way up's level i take: the features so far, and a skip of the way down."""
    widths, count = config.block_out_channels, config.layers_per_block
    skips = [widths[0]]
    for level, width in enumerate(widths):
        skips += [width] * (count + (level < len(widths) - 1))
    own = skips[::-1][i * (count + 1) : (i + 1) * (count + 1)]
    width = widths[::-1][i]
    return [before + skip for before, skip in zip([widths[::-1][max(i - 1, 0)], *[width] * count], own, strict=True)]
