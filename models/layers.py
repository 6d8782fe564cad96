"""Layers of the UNets. Parameter names are diffusers', so public weights and LoRAs map without tables.

`operations` is the namespace layers are taken from: `torch.nn`, or ComfyUI's `comfy.ops` (casting, offload, LoRA).
Spatial layers work on (N, C, h, w) with N = clips × frames; channels-last memory makes the token views free.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .config import MotionModuleConfig


def to_channels_last(module: nn.Module) -> nn.Module:
    """Put 2-D convolution weights into channels-last memory, in place: faster for small networks and half precision."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def for_inference(module: nn.Module) -> nn.Module:
    """Evaluation mode, no gradients; in place. The weights stay where they are, in a mapped file for instance."""
    return module.train(False).requires_grad_(False)


def timestep_embedding(timesteps: Tensor, channels: int) -> Tensor:
    """Sinusoidal embedding (B,) → (B, channels): cosines first, then sines, frequencies 10000^(-i/half)."""
    half = channels // 2
    steps = torch.arange(half, device=timesteps.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10000.0) / half * steps)
    angles = timesteps.float()[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def laid_out(x: Tensor) -> Tensor:
    """x (N, C, h, w) as it is convolved fastest: channels-last, or on a CPU contiguous where 3×3 weights outweigh x."""
    outweighed = x.device.type == "cpu" and 9 * x.shape[1] ** 2 > 8 * x.numel()
    return x.contiguous(memory_format=torch.contiguous_format if outweighed else torch.channels_last)


CHUNK_BYTES = 2**24  # of the widest intermediate: stays near the caches, and below what the C library maps anew


def in_chunks(function: Callable[[Tensor], Tensor], x: Tensor, widening: int) -> Tensor:
    """function(x) on a CPU in parts of the first axis, so that its intermediates, `widening` times x, stay small.

    About twice as fast for the transformers' feed-forwards there; a GPU takes x whole.
    """
    rows = max(1, CHUNK_BYTES // (widening * x[0].numel() * x.element_size()))
    if x.device.type != "cpu" or rows >= len(x):
        return function(x)
    return torch.cat([function(part) for part in x.split(rows)])


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention on (B, tokens, C) tensors; `mask` (B, 1, 1 or queries, keys), True = visible."""
    query, key, value = (rearrange(x, "b n (h d) -> b h n d", h=heads) for x in (query, key, value))
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return rearrange(attended, "b h n d -> b n (h d)")


class TimestepEmbedding(nn.Module):
    def __init__(self, channels: int, embedding: int, operations) -> None:
        super().__init__()
        self.linear_1 = operations.Linear(channels, embedding)
        self.linear_2 = operations.Linear(embedding, embedding)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(functional.silu(self.linear_1(x)))


class ResnetBlock(nn.Module):
    """Two 3×3 convolutions with the time embedding added between them."""

    def __init__(self, in_channels: int, out_channels: int, embedding: int, groups: int, operations) -> None:
        super().__init__()
        self.norm1 = operations.GroupNorm(groups, in_channels, eps=1e-5)
        self.conv1 = operations.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time_emb_proj = operations.Linear(embedding, out_channels)
        self.norm2 = operations.GroupNorm(groups, out_channels, eps=1e-5)
        self.conv2 = operations.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = operations.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (N, C, h, w); embedding (N, E) after its SiLU."""
        x = laid_out(x)
        h = self.conv1(functional.silu(self.norm1(x)))
        h = h + self.time_emb_proj(embedding)[:, :, None, None]
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    """Attention of queries x over a context; further keys/values may be joined to the context's."""

    def __init__(self, channels: int, context_channels: int, heads: int, operations) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = operations.Linear(channels, channels, bias=False)
        self.to_k = operations.Linear(context_channels, channels, bias=False)
        self.to_v = operations.Linear(context_channels, channels, bias=False)
        self.to_out = nn.ModuleList([operations.Linear(channels, channels)])

    def forward(
        self,
        x: Tensor | None,
        context: Tensor,
        joined: tuple[Tensor, Tensor] | None = None,
        conditional: slice = slice(None),
    ) -> Tensor:
        """x (N, n, C), context (N, m, D) → (N, n, C).

        x may be None where the context is one token: a softmax over one key is 1 whatever asks, → (N, 1, C).
        joined: keys and values (R, r, C) each that the `conditional` rows of the N, the last ones, see besides the
        context's: those of R clips, each of as many frames.
        """
        if x is None:
            return self.to_out[0](self.to_v(context))
        query, key, value = self.to_q(x), self.to_k(context), self.to_v(context)
        if joined is None:
            return self.to_out[0](attention(query, key, value, self.heads))
        told = (key[conditional], value[conditional])
        attended = attention(query[conditional], *map(_join, told, joined), self.heads)
        untold = slice(0, conditional.start or 0)
        if untold.stop:
            attended = torch.cat([attention(query[untold], key[untold], value[untold], self.heads), attended])
        return self.to_out[0](attended)


def _join(own: Tensor, more: Tensor) -> Tensor:
    """Every frame's tokens (B·F, m, C), and behind them its clip's (B, r, C) → (B·F, m + r, C)."""
    clips = own.unflatten(0, (len(more), -1))
    return torch.cat([clips, more.unsqueeze(1).expand(-1, clips.shape[1], -1, -1)], dim=2).flatten(0, 1)


class GEGLU(nn.Module):
    def __init__(self, channels: int, inner: int, operations) -> None:
        super().__init__()
        self.proj = operations.Linear(channels, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * functional.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, channels: int, operations) -> None:
        super().__init__()
        # index 1 is a dropout in diffusers: kept as an empty place so that the names agree
        self.net = nn.ModuleList(
            [GEGLU(channels, 4 * channels, operations), nn.Identity(), operations.Linear(4 * channels, channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return in_chunks(lambda part: self.net[2](self.net[0](part)), x, widening=8)


class SpatialTransformerBlock(nn.Module):
    """Self-attention that may also look at reference tokens, cross-attention to the context, feed-forward."""

    def __init__(self, channels: int, context_channels: int | None, heads: int, operations) -> None:
        super().__init__()
        self.norm1 = operations.LayerNorm(channels)
        self.attn1 = Attention(channels, channels, heads, operations)
        if context_channels is not None:
            self.norm2 = operations.LayerNorm(channels)
            self.attn2 = Attention(channels, context_channels, heads, operations)
        else:
            self.attn2 = None
        self.norm3 = operations.LayerNorm(channels)
        self.ff = FeedForward(channels, operations)

    def forward(self, x: Tensor, context: Tensor | None, joined: Callable | None, conditional: slice) -> Tensor:
        """x (B·F, tokens, C), context (B, L, D) → x. `joined` and `conditional` as `SpatialTransformer` takes them."""
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed, None if joined is None else joined(normed), conditional)
        if self.attn2 is not None:
            x = x + self._cross_attention(x, context)
        return x + self.ff(self.norm3(x))

    def _cross_attention(self, x: Tensor, context: Tensor) -> Tensor:
        """(B·F, tokens, C), or for a context of one token, which gives every pixel the same, (B·F, 1, C)."""
        frames = len(x) // len(context)
        if context.shape[1] == 1:
            return self.attn2(None, context).repeat_interleave(frames, dim=0)
        return self.attn2(self.norm2(x), context.repeat_interleave(frames, dim=0))


class SpatialTransformer(nn.Module):
    """One transformer block over the pixels of each frame (diffusers `Transformer2DModel`)."""

    def __init__(self, channels: int, context_channels: int | None, heads: int, groups: int, operations) -> None:
        super().__init__()
        self.norm = operations.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = operations.Conv2d(channels, channels, 1)
        block = SpatialTransformerBlock(channels, context_channels, heads, operations)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Conv2d(channels, channels, 1)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        joined: Callable[[Tensor], tuple[Tensor, Tensor] | None] | None = None,
        conditional: slice = slice(None),
    ) -> Tensor:
        """x (B·F, C, h, w), context (B, L, D) → x.

        joined: given the normalised tokens (B·F, h·w, C), what the self-attention of the `conditional` frames sees
        besides them, keys and values (R, r, C) of R clips, or None.
        """
        height, width = x.shape[-2:]
        tokens = rearrange(self.proj_in(self.norm(x)), "n c h w -> n (h w) c")
        tokens = self.transformer_blocks[0](tokens, context, joined, conditional)
        return x + self.proj_out(rearrange(tokens, "n (h w) c -> n c h w", h=height, w=width))


def sinusoids(channels: int, length: int) -> Tensor:
    """Frame positions (1, length, channels): sines at even, cosines at odd channels."""
    position = torch.arange(length)[:, None]
    rates = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    return torch.stack([torch.sin(position * rates), torch.cos(position * rates)], dim=-1).reshape(1, length, channels)


class PositionTable(nn.Module):
    """Sinusoidal frame positions; part of the weights, as published."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.register_buffer("pe", sinusoids(channels, length))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[:, : x.shape[1]].to(x)


class TemporalTransformerBlock(nn.Module):
    """Two self-attentions over the frames and a feed-forward (AnimateDiff)."""

    def __init__(self, channels: int, heads: int, max_frames: int, operations) -> None:
        super().__init__()
        self.pos_embed = PositionTable(channels, max_frames)
        self.norm1 = operations.LayerNorm(channels)
        self.attn1 = Attention(channels, channels, heads, operations)
        self.norm2 = operations.LayerNorm(channels)
        self.attn2 = Attention(channels, channels, heads, operations)
        self.norm3 = operations.LayerNorm(channels)
        self.ff = FeedForward(channels, operations)

    def forward(self, x: Tensor) -> Tensor:
        """x (pixels, frames, C)."""
        for norm, attn in ((self.norm1, self.attn1), (self.norm2, self.attn2)):
            positioned = self.pos_embed(norm(x))
            x = x + attn(positioned, positioned)
        return x + self.ff(self.norm3(x))


class MotionModule(nn.Module):
    """AnimateDiff motion module: every pixel attends over the frames of its clip; starts as the identity."""

    def __init__(self, channels: int, config: MotionModuleConfig, operations) -> None:
        super().__init__()
        self.norm_per_frame = config.norm_per_frame
        self.norm = operations.GroupNorm(config.norm_groups, channels, eps=1e-6)
        self.proj_in = operations.Linear(channels, channels)
        block = TemporalTransformerBlock(channels, config.heads, config.max_frames, operations)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """x (B·F, C, h, w) with F = `frames` at most the position table's length."""
        height, width = x.shape[-2:]
        tokens = rearrange(self._normalise(x, frames), "(b f) c h w -> (b h w) f c", f=frames)
        tokens = in_chunks(lambda part: self.proj_out(self.transformer_blocks[0](self.proj_in(part))), tokens, 8)
        return x + rearrange(tokens, "(b h w) f c -> (b f) c h w", h=height, w=width)

    def _normalise(self, x: Tensor, frames: int) -> Tensor:
        if self.norm_per_frame:
            return self.norm(x)
        over_clip = self.norm(rearrange(x, "(b f) c h w -> b c f h w", f=frames))
        return rearrange(over_clip, "b c f h w -> (b f) c h w")


class Downsample(nn.Module):
    def __init__(self, channels: int, operations) -> None:
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    def __init__(self, channels: int, operations) -> None:
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Nearest-neighbour to `size`, the skip connection's (so that odd latent sizes work), then a convolution."""
        return self.conv(functional.interpolate(x, size=size, mode="nearest"))
