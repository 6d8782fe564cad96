"""ReferenceNet: a UNet of the denoiser's shape that reads the character's picture (Animate Anyone §3.2; AA2 §3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .shortcuts import PatchKeys, PooledEmbedding, coordinates, patch_attentions, patch_colours, patches
from .unet import Injections, KeysValues, UNet

POOLED, PATCHES = "pooled", "patches"  # features beside the attentions'


class ReferenceNet(UNet):
    """Features for the denoiser's spatial self-attentions, paired by name.

    `midup` (AA2) hands over the mid and up blocks' features, `full` (v1 weights) the down blocks' as well.
    """

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        reference = config.reference
        in_channels = config.unet.in_channels + 2 * reference.coordinates
        super().__init__(config.unet, in_channels=in_channels, temporal=False, head=False, operations=operations)
        self.settings = reference
        self.appearance = None  # the pooled embedding; the name is that of the checkpoints
        if reference.pooled_grid is not None:
            embedding = 4 * config.unet.block_out_channels[0]
            self.appearance = PooledEmbedding(reference.pooled_grid, config.latent.channels, embedding, operations)

    def forward(self, latents_BCHW: Tensor, context: Tensor | None = None) -> dict[str, Tensor]:
        """Read the character's picture once, at timestep 0.

        Args:
            latents_BCHW: (B, 4, h, w) clean latents of the picture.
            context: (B, L, D) image embedding for cross-attention, when the model has it.
        Returns:
            attention name → (B, tokens, C), the normalised tokens of the spatial self-attentions; and, where the model
            has these shortcuts, POOLED → (B, 1, 4·C0) and PATCHES → (B, r, C_p).
        """
        features: dict[str, Tensor] = {}

        def keep(name: str, tokens: Tensor) -> None:
            if self.settings.mode == "full" or not name.startswith("down_blocks"):
                features[name] = tokens

        x = latents_BCHW
        if self.settings.coordinates:  # Not in paper: attention finds body parts by their place in the picture
            x = torch.cat([x, coordinates(x)], dim=1)
        super().forward(x[:, None], torch.zeros(len(x), device=x.device), Injections(context, keep, temporal=False))
        if self.appearance is not None:
            features[POOLED] = self.appearance(latents_BCHW)
        if self.settings.patch_attention:
            features[PATCHES] = patches(latents_BCHW)
        return features


@dataclass(frozen=True)
class ProjectedReference:
    """What the denoiser needs of the reference at every step, made of `ReferenceNet`'s features once a run.

    attention: attention name → keys and values (B, tokens, C).
    patches: layer → keys and values (B, r, C) of its patch attention, and their colours (B, r, c); empty and None
    without. pooled: (B, 1, 4·C0), or None.
    """

    attention: dict[str, KeysValues]
    patches: PatchKeys
    colours: Tensor | None
    pooled: Tensor | None

    @classmethod
    def of(cls, features: dict[str, Tensor], denoiser: UNet) -> ProjectedReference:
        attention = {}
        for name in features.keys() - {POOLED, PATCHES}:
            attn = denoiser.get_submodule(name).transformer_blocks[0].attn1
            attention[name] = attn.to_k(features[name]), attn.to_v(features[name])
        if PATCHES not in features:
            return cls(attention, {}, None, features.get(POOLED))
        layers = patch_attentions(denoiser)
        keys = {name: layer.project(features[PATCHES]) for name, layer in layers.items()}
        return cls(
            attention, keys, patch_colours(features[PATCHES], denoiser.config.out_channels), features.get(POOLED)
        )

    def each(self, function: Callable[[Tensor], Tensor]) -> ProjectedReference:
        """The same with `function` on every tensor (B, …)."""
        attention, patches = (
            {name: (function(key), function(value)) for name, (key, value) in pairs.items()}
            for pairs in (self.attention, self.patches)
        )
        colours, pooled = (None if x is None else function(x) for x in (self.colours, self.pooled))
        return ProjectedReference(attention, patches, colours, pooled)
