"""What core's ModelSave and Save Checkpoint write of a MODEL of ours: all its networks with their patches."""

from __future__ import annotations

import inspect
import weakref

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
from torch import Tensor

from ...weights.checkpoint import apart

KEY = "inhabit"  # of our additional models and wrappers
DENOISER, REFERENCE = "denoiser.", "reference."


class HostedPatcher(comfy.model_patcher.ModelPatcher):
    """Core's ModelPatcher; its model knows who loaded it last, since ComfyUI 0.3.64 saves by asking the model alone.

    Not core's dynamic patcher of 2026: a plain one lives beside those, and needs layers that have their weights.
    """

    def patch_model(self, *args, **kwargs):
        self.model.loaded_by = weakref.ref(self)
        return super().patch_model(*args, **kwargs)


def given_for_saving(args: tuple, kwargs: dict) -> tuple[dict[str, Tensor] | None, dict[str, Tensor]]:
    """Return the denoiser's weights and the VAE's among the arguments of `BaseModel.state_dict_for_saving`.

    None for the denoiser's: ComfyUI 0.3.64 passes no such argument, and has patched the model's own weights instead.
    """
    names = list(inspect.signature(comfy.model_base.BaseModel.state_dict_for_saving).parameters)[1:]  # without self
    given = dict(zip(names, args, strict=False)) | kwargs
    return given.get("unet_state_dict"), given.get("vae_state_dict") or {}


def tensors_for_saving(model, denoiser: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """Return all weights of a HostedModel by a checkpoint's names, with the patches of who loaded it last.

    Weights that core did not load have their patches in `denoiser` alone: such a tensor's `to` adds them.
    """
    hosted = model.diffusion_model
    own = dict(hosted.animation.state_dict())
    for name, tensor in (hosted.state_dict() if denoiser is None else denoiser).items():
        name = name if name in own else DENOISER + name
        own[name] = tensor if tensor.is_contiguous() else tensor.to("cpu").contiguous()
    for name, tensor in _reference(model).items():
        own[REFERENCE + name] = tensor
    first = sorted(own, key=lambda name: not name.startswith(DENOISER))  # shared tensors are copied but for the first
    return apart({name: own[name] for name in first})


def _reference(model) -> dict[str, Tensor]:
    """Return the ReferenceNet's weights with its patches, for which core loads it; none where nobody has the MODEL."""
    patcher = model.loaded_by() if hasattr(model, "loaded_by") else None
    found = {}
    for reference in patcher.get_additional_models_with_key(KEY) if patcher is not None else ():
        comfy.model_management.load_models_gpu([reference], force_patch_weights=True)
        found |= reference.model.state_dict()
    return found
