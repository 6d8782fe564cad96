"""The whole animation model: denoiser, ReferenceNet, pose guider, object guider."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from .config import ModelConfig
from .objects import ObjectFeatures, ObjectGuider
from .pose import PoseGuider
from .reference import ProjectedReference, ReferenceNet
from .shortcuts import PatchHook, add_patch_attention
from .unet import Hook, Injections, UNet


class AnimationModel(nn.Module):
    """Animate Anyone 2's networks. Attribute names are the checkpoint's prefixes.

    Use: `reference = model.project_reference(model.reference(latents, context))` once a run, `model.features(…)` once a
    window, `model.denoise(…)` every step.
    """

    def __init__(self, config: ModelConfig, operations=nn) -> None:
        super().__init__()
        self.config = config
        channels, environment = config.unet.in_channels, _environment_channels(config)
        self.denoiser = UNet(config.unet, in_channels=channels + environment, temporal=True, operations=operations)
        if config.reference.patch_attention:
            add_patch_attention(self.denoiser, config, operations)
        self.reference = ReferenceNet(config, operations)
        self.pose = PoseGuider(config, operations)
        self.objects = ObjectGuider(config, operations) if config.objects is not None else None
        self._share_start()
        # Not in paper: environment and mask enter through further input channels whose weights start at zero
        self.denoiser.conv_in.weight.data[:, channels:] = 0

    def _share_start(self) -> None:
        """Both UNets start from the same weights, as both start from Stable Diffusion in Animate Anyone (§3.3)."""
        theirs = dict(self.denoiser.named_parameters())
        for name, parameter in self.reference.named_parameters():
            if name in theirs and theirs[name].shape == parameter.shape:
                parameter.data.copy_(theirs[name].data)

    def project_reference(self, features: dict[str, Tensor]) -> ProjectedReference:
        """ReferenceNet's features → the keys and values of the denoiser's attentions."""
        return ProjectedReference.of(features, self.denoiser)

    def features(self, given: Mapping[str, Tensor], *, temporal: bool = True) -> dict[str, object]:
        """What the conditions of a window become for `denoise`: its keyword arguments, computed once a window.

        given: by the names of `CONDITIONS`, those of one a frame, (B, F, C, …) each; what is left out is switched off.
        temporal: see `PoseGuider.forward`.
        """
        found: dict[str, object] = {name: given[name] for name in ("environment", "mask") if name in given}
        if "skeleton" in given:
            found["pose"] = self.pose(given["skeleton"], given.get("depth"), given.get("blur"), temporal=temporal)
        if "objects" in given:
            found["objects"] = self.objects(given["objects"])
        return found

    def denoise(
        self,
        latents_BFCHW: Tensor,
        timesteps_B: Tensor,
        context: Tensor | None = None,
        *,
        reference: ProjectedReference | dict[str, Tensor] | None = None,
        environment: Tensor | None = None,
        mask: Tensor | None = None,
        pose: Tensor | None = None,
        objects: ObjectFeatures | None = None,
        temporal: bool = True,
        unconditional: int = 0,
        after_spatial: Sequence[Hook] = (),
    ) -> Tensor:
        """Predict noise or velocity (`config.schedule.prediction`). A keyword left None is a mechanism switched off.

        Args:
            latents_BFCHW: (B, F, 4, h, w) noisy latents.
            timesteps_B: (B,) 0 … `config.schedule.train_steps` - 1.
            context: (B, L, D) image embedding for cross-attention, for models that have it.
            reference: from `project_reference`; or what `model.reference` returned, which is then projected here.
            environment: (B, F, 4, h, w) latents of the driving frames with the character region blanked.
            mask: (B, F, 1 or 2, h, w) formulated mask, 1 = generate here, and, for models with `config.plate`, where in
                it the environment shows nothing: all of it, where that is not given; given with `environment`.
            pose: (B, F, C0, h, w) from `model.pose`.
            objects: from `model.objects`, features of B·F frames.
            temporal: False for independent frames: motion modules are skipped.
            unconditional: how many clips at the front of the batch see no reference (guidance's unconditional half).
            after_spatial: further hooks behind the spatial attentions, called before the model's own.
        Every condition may also be of one clip that serves all.
        Returns:
            (B, F, 4, h, w).
        Raises:
            InputError: an environment or objects for a model without; more frames than the motion modules take.
        """
        batch, frames = latents_BFCHW.shape[:2]
        conditional, embedding, joined = slice(unconditional * frames, None), None, None
        hooks = list(after_spatial)
        if reference is not None:
            if isinstance(reference, dict):
                reference = self.project_reference(reference)
            reference = reference.each(lambda x: x.expand(batch - unconditional, -1, -1))
            joined = functools.partial(_known, reference.attention)
            if reference.patches:
                hooks.append(PatchHook(self.denoiser, reference.patches, conditional))
            if reference.pooled is not None:
                pooled = functional.pad(reference.pooled[:, 0], (0, 0, unconditional, 0))
                embedding = pooled.repeat_interleave(frames, dim=0)
        if objects is not None:
            if self.objects is None:
                raise InputError(f"model {self.config.name} has no object guider: leave the objects out")
            hooks.append(functools.partial(self.objects.blend, features=objects))
        return self.denoiser(
            self._with_environment(latents_BFCHW, environment, mask),
            timesteps_B.expand(batch),
            Injections(
                context=None if context is None else context.expand(batch, -1, -1),
                joined=joined,
                conditional=conditional,
                after_spatial=tuple(hooks),
                temporal=temporal,
            ),
            added=None if pose is None else pose.expand(batch, -1, -1, -1, -1).flatten(0, 1),
            added_embedding=embedding,
        )

    def _with_environment(self, latents: Tensor, environment: Tensor | None, mask: Tensor | None) -> Tensor:
        if not self.config.environment:
            if environment is not None:
                raise InputError(f"model {self.config.name} has no environment input: leave the environment out")
            return latents
        if environment is None:
            extra = latents.new_zeros(*latents.shape[:2], _environment_channels(self.config), *latents.shape[3:])
        else:
            masks = [mask[:, :, :1], mask[:, :, -1:]] if self.config.plate else [mask[:, :, :1]]
            extra = torch.cat([environment, *masks], dim=2).expand(len(latents), -1, -1, -1, -1)
        return torch.cat([latents, extra.to(latents.dtype)], dim=2)


def _environment_channels(config: ModelConfig) -> int:
    """Input channels of the environment's latents and the mask."""
    return (config.latent.channels + 1 + config.plate) if config.environment else 0


def _known(attention: dict, name: str, tokens: Tensor):
    return attention.get(name)
