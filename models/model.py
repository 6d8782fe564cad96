"""The whole animation model: denoiser, ReferenceNet, motion guider, object guider."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .config import ModelConfig
from .motion import MotionGuider
from .objects import ObjectFeatures, ObjectGuider
from .reference import APPEARANCE, PATCHES, ReferenceNet, patch_channels, patch_colours
from .unet import Injections, KeysValues, UNet


class AnimationModel(nn.Module):
    """Animate Anyone 2's networks. Attribute names are the checkpoint's prefixes.

    Use: `features = model.reference(latents, context)` and `keys_values = model.project_reference(features)` once per
    run, `model.motion(…)` and `model.objects(…)` once per window, `model.denoise(…)` every step.
    """

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        super().__init__()
        self.config = config
        environment_channels = (config.latent.channels + 1) if config.environment else 0
        self.denoiser = UNet(
            config.unet,
            in_channels=config.unet.in_channels + environment_channels,
            temporal=True,
            lookup=patch_channels(config),
            operations=operations,
        )
        self.reference = ReferenceNet(config, operations)
        self.motion = MotionGuider(config, operations)
        self.objects = ObjectGuider(config, operations) if config.objects is not None else None
        self._share_start()
        # Not in paper: environment and mask enter through further input channels whose weights start at zero
        self.denoiser.conv_in.weight.data[:, config.unet.in_channels :] = 0

    def _share_start(self) -> None:
        """Both UNets start from the same weights, as both start from Stable Diffusion in Animate Anyone (§3.3)."""
        theirs = dict(self.denoiser.named_parameters())
        for name, parameter in self.reference.named_parameters():
            if name in theirs and theirs[name].shape == parameter.shape:
                parameter.data.copy_(theirs[name].data)

    def project_reference(self, features: dict[str, Tensor]) -> KeysValues:
        """ReferenceNet features → keys and values of the denoiser's self-attentions, (B, tokens, C) each.

        The embedding of the whole picture, where there is one, is handed on as it is.
        """
        projected = {}
        for name, feature in features.items():
            if name == APPEARANCE:
                projected[name] = (feature,)
            elif name == PATCHES:
                projected[name] = (patch_colours(feature, self.config.latent.channels),)
                for level in (self.denoiser.mid_block, *self.denoiser.up_blocks):
                    for i, lookup in enumerate(level.lookups):
                        projected[f"{level.name}.{i}"] = lookup.project(feature)
            else:
                attn = self.denoiser.get_submodule(name).transformer_blocks[0].attn1
                projected[name] = (attn.to_k(feature), attn.to_v(feature))
        return projected

    def denoise(
        self,
        latents_BFCHW: Tensor,
        timesteps_B: Tensor,
        context: Tensor | None = None,
        *,
        reference: KeysValues | dict[str, Tensor] | None = None,
        environment: Tensor | None = None,
        mask: Tensor | None = None,
        motion: Tensor | None = None,
        objects: ObjectFeatures | None = None,
        temporal: bool = True,
        unconditional: int = 0,
        seen: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Predict noise or velocity (`config.schedule.prediction`). A keyword left None is a mechanism switched off.

        Args:
            latents_BFCHW: (B, F, 4, h, w) noisy latents.
            timesteps_B: (B,) 0 … `config.schedule.train_steps` - 1.
            context: (B, L, D) image embedding for cross-attention, for models that have it.
            reference: from `project_reference`; or what `model.reference` returned, which is then projected here.
            environment: (B, F, 4, h, w) latents of the driving frames with the character region blanked.
            mask: (B, F, 1, h, w) formulated mask, 1 = generate here; given with `environment`.
            motion: (B, F, C0, h, w) from `model.motion`.
            objects: from `model.objects`, features of B·F frames.
            temporal: False for independent frames: motion modules are skipped.
            unconditional: how many clips at the front of the batch see no reference (guidance's unconditional half).
            seen: a dictionary to fill, layer name → (B·F, 4, h, w): the reference's colours where each layer looks.
        Every condition may also be of one clip that serves all.
        Returns:
            (B, F, 4, h, w).
        Raises:
            InputError: an environment or objects for a model without; more frames than the motion modules take.
        """
        batch, frames = latents_BFCHW.shape[:2]
        if objects is not None and self.objects is None:
            raise InputError(f"model {self.config.name} has no object guider: leave the objects out")
        if context is not None:
            context = context.expand(batch, -1, -1)
        blend = functools.partial(self.objects.blend, features=objects) if objects is not None else None
        injections = Injections(context=context, blend=blend, temporal=temporal)
        if reference is not None:
            if not all(isinstance(value, tuple) for value in reference.values()):
                reference = self.project_reference(reference)
            _refer(injections, reference, (unconditional, batch), frames, seen)
        added = motion.expand(batch, -1, -1, -1, -1).flatten(0, 1) if motion is not None else None
        x = self._with_environment(latents_BFCHW, environment, mask)
        return self.denoiser(x, timesteps_B.expand(batch), injections, added)

    def _with_environment(self, latents: Tensor, environment: Tensor | None, mask: Tensor | None) -> Tensor:
        if not self.config.environment:
            if environment is not None:
                raise InputError(f"model {self.config.name} has no environment input: leave the environment out")
            return latents
        if environment is None:
            extra = latents.new_zeros(*latents.shape[:2], self.config.latent.channels + 1, *latents.shape[3:])
        else:
            extra = torch.cat([environment, mask], dim=2).expand(len(latents), -1, -1, -1, -1)
        return torch.cat([latents, extra.to(latents.dtype)], dim=2)


def _refer(
    injections: Injections, reference: KeysValues, clips: tuple[int, int], frames: int, seen: dict[str, Tensor] | None
) -> None:
    """Hand on what `project_reference` made to the clips from the first of `clips` to the second."""
    alone, batch = clips
    reference = {name: tuple(x.expand(batch - alone, -1, -1) for x in kv) for name, kv in reference.items()}
    injections.reference = {name: kv for name, kv in reference.items() if ".attentions." in name}
    injections.lookups = {
        name: kv
        for name, kv in reference.items()
        if name not in injections.reference and name not in (APPEARANCE, PATCHES)
    }
    if APPEARANCE in reference:
        appearance = F.pad(reference[APPEARANCE][0][:, 0], (0, 0, alone, 0))
        injections.appearance = appearance.repeat_interleave(frames, dim=0)
    if seen is not None:
        injections.colours, injections.seen = reference[PATCHES][0], seen
