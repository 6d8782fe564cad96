"""Pose guider: depth-wise pose modulation (AA2 §3.4) on the pose guider of Animate Anyone (v1, §3.2).

# Not in paper: it also reads HIA's motion-blur condition (§3.2), which goes into a ControlNet there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .config import ModelConfig
from .layers import Attention, attention


class ConvEncoder(nn.Module):
    """v1 pose-guider stack: per pair of widths a 3×3 convolution and a strided one, SiLU after each."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], operations) -> None:
        super().__init__()
        self.conv_in = operations.Conv2d(in_channels, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for width, following in itertools.pairwise(channels):
            self.blocks.append(operations.Conv2d(width, width, 3, padding=1))
            self.blocks.append(operations.Conv2d(width, following, 3, padding=1, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.conv_in(x))
        for block in self.blocks:
            x = functional.silu(block(x))
        return x


class SkeletonEncoder(ConvEncoder):
    """The encoder with v1's zero-initialised output convolution (same 16 keys as `pose_guider.pth`)."""

    def __init__(self, in_channels: int, channels: tuple[int, ...], out_channels: int, operations) -> None:
        super().__init__(in_channels, channels, operations)
        self.conv_out = operations.Conv2d(channels[-1], out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, x: Tensor, merge: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Pictures (N, C, H, W) → (N, C_out, h, w); `merge` changes the features before the output convolution."""
        x = super().forward(x)
        return self.conv_out(x if merge is None else merge(x))


class LimbAttention(Attention):
    """Cross-attention from skeleton features to depth features, over the tokens on the skeleton only.

    # Not in paper: AA2 does not say over which tokens. Depth is known on the binarised skeleton alone (structured
    depth), so other tokens have little to say or ask: attention over all costs far more and differs by about 2 %.
    # Not in paper: the output projection starts at zero, so the guider starts as v1's.
    """

    def __init__(self, channels: int, heads: int, operations) -> None:
        super().__init__(channels, channels, heads, operations)
        nn.init.zeros_(self.to_out[0].weight)
        nn.init.zeros_(self.to_out[0].bias)

    def forward(self, skeleton: Tensor, depth: Tensor, on_limb: Tensor) -> Tensor:
        """skeleton, depth (N, C, h, w); on_limb (N, h·w) bool → skeleton features with depth merged in."""
        height, width = skeleton.shape[-2:]
        queries, keys = (rearrange(x, "n c h w -> n (h w) c") for x in (skeleton, depth))
        count = int(on_limb.sum(dim=1).max())
        if count == 0:
            return skeleton
        order = on_limb.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count, None]
        valid = on_limb.gather(1, order[..., 0])
        q = queries.gather(1, order.expand(-1, -1, queries.shape[2]))
        kv = keys.gather(1, order.expand(-1, -1, keys.shape[2]))
        visible = valid | ~valid.any(dim=1, keepdim=True)  # a frame without a skeleton attends to nothing it keeps
        merged = attention(self.to_q(q), self.to_k(kv), self.to_v(kv), self.heads, visible[:, None, None, :])
        merged = self.to_out[0](merged) * valid[..., None]
        queries = queries.scatter_add(1, order.expand(-1, -1, queries.shape[2]), merged.to(queries.dtype))
        return rearrange(queries, "n (h w) c -> n c h w", h=height, w=width)


class PoseGuider(nn.Module):
    """Skeleton (and structured depth) → features added to the denoiser's first feature map; zero at the start."""

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        super().__init__()
        guider = config.pose
        width = guider.channels[-1]
        self.skeleton = SkeletonEncoder(3, guider.channels, config.unet.block_out_channels[0], operations)
        self.depth = self.temporal = self.blur = None
        if guider.depth:
            self.depth = ConvEncoder(1, guider.channels, operations)
            self.depth_attention = LimbAttention(width, guider.heads, operations)
        if guider.temporal:
            self.temporal = operations.Conv3d(width, width, 3, padding=1)
            nn.init.zeros_(self.temporal.weight)  # Not in paper: a residual that starts at zero
            nn.init.zeros_(self.temporal.bias)
        if guider.blur is not None:  # Not in paper: a branch of its own, whose output starts at zero (HIA §3.2)
            self.blur = SkeletonEncoder(3, guider.blur, config.unet.block_out_channels[0], operations)

    def forward(
        self,
        skeleton_BFCHW: Tensor,
        depth_BFCHW: Tensor | None = None,
        blur_BFCHW: Tensor | None = None,
        *,
        temporal: bool = True,
    ) -> Tensor:
        """Motion features.

        Args:
            skeleton_BFCHW: (B, F, 3, H, W) skeleton pictures, 0…1, black where there is none.
            depth_BFCHW: (B, F, 1, H, W) structured depth, 0…1 with 1 = near, 0 off the skeleton; None: not used.
            blur_BFCHW: (B, F, 3, H, W) hands' movement in x and y, 0.5 = none, and sharpness, 0 off the hands; or None.
            temporal: model time with the 3-D convolution; off when the frames are not consecutive.
        Returns:
            (B, F, C0, h, w), h = H / latent downscale.
        """
        batch = skeleton_BFCHW.shape[0]
        skeleton = rearrange(skeleton_BFCHW, "b f c h w -> (b f) c h w")

        def merge(x: Tensor) -> Tensor:
            if depth_BFCHW is not None:
                x = self._with_depth(x, skeleton, rearrange(depth_BFCHW, "b f c h w -> (b f) c h w"))
            if temporal and self.temporal is not None:
                clips = rearrange(x, "(b f) c h w -> b c f h w", b=batch)
                x = x + rearrange(self.temporal(clips), "b c f h w -> (b f) c h w")
            return x

        features = self.skeleton(skeleton.contiguous(memory_format=torch.channels_last), merge)
        if blur_BFCHW is not None:
            features = features + self._blur_features(blur_BFCHW)
        return rearrange(features, "(b f) c h w -> b f c h w", b=batch)

    def _with_depth(self, x: Tensor, skeleton: Tensor, depth: Tensor) -> Tensor:
        """Skeleton features (N, C, h, w) with those of the depth (N, 1, H, W) merged in where the skeleton is drawn."""
        on_limb = functional.adaptive_max_pool2d(skeleton.amax(dim=1, keepdim=True), x.shape[-2:]).flatten(1) > 0.05
        return self.depth_attention(x, self.depth(depth), on_limb)

    def _blur_features(self, blur: Tensor) -> Tensor:
        """(B·F, C0, h, w), movement as -1…1; exactly 0 off the hands.

        # Not in paper: that they are 0 there, so that the rest of the picture is what it is without the maps.
        """
        movement, sharpness = blur.flatten(0, 1).split([2, 1], dim=1)
        maps = torch.cat([2 * movement - 1, sharpness], dim=1).contiguous(memory_format=torch.channels_last)
        features = self.blur(maps)
        return features * (functional.adaptive_max_pool2d(sharpness, features.shape[-2:]) > 0)
