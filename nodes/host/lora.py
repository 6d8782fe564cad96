"""A LoRA as patches of core's on a MODEL of ours."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import comfy.lora
import comfy.model_patcher
from comfy.weight_adapter import LoRAAdapter
from torch import Tensor

from ...errors import InputError
from ...weights.lora import layer_of, read_lora
from .saving import KEY
from .settings import model_config

logger = logging.getLogger(__name__)

REFERENCE = "diffusion_model.reference."  # what a LoRA calls the ReferenceNet's layers


def with_lora(patcher: comfy.model_patcher.ModelPatcher, path: Path, strength: float):
    """Return a copy of a MODEL of ours with a LoRA on it, `strength` times what it changes; 0 changes nothing.

    Raises InputError for another MODEL, a file that is no LoRA, and one that fits nowhere; warns of one that does not
    fit everywhere.
    """
    config = model_config(patcher)
    lora = read_lora(path)
    patcher = patcher.clone()
    fitting = _add(patcher, lora, comfy.lora.model_lora_keys_unet(patcher.model, {}), strength)
    for reference in patcher.get_additional_models_with_key(KEY):
        weights = reference.model.state_dict()
        names = {REFERENCE + name.removesuffix(".weight"): name for name in weights if name.endswith(".weight")}
        fitting |= _add(reference, lora, names, strength)
    layers = {layer_of(name) for name in lora}
    if not fitting:
        raise InputError(
            f"{path} fits no layer of model {config.name}: it has {len(layers)} layers as "
            f"{', '.join(_told(name, lora[name]) for name in sorted(lora)[:1])}; choose a LoRA trained on such a model"
        )
    logger.info("LoRA %s: %d of %d layers applied", path.name, len(fitting), len(layers))
    if len(fitting) < len(layers):
        others = sorted(layers - fitting)
        logger.warning("LoRA %s: %d of %d layers fit nowhere, as %s", path.name, len(others), len(layers), others[0])
    return patcher


def _add(patcher: comfy.model_patcher.ModelPatcher, lora: dict, names: dict[str, str], strength: float) -> set[str]:
    """Add what fits to the patcher's patches; return its layers. `names`: a LoRA's layers → the network's weights."""
    weights = patcher.model.state_dict()
    layers = {layer_of(name) for name in lora} & names.keys()
    patches = comfy.lora.load_lora(lora, {layer: names[layer] for layer in layers}, log_missing=False)
    patches = {name: patch for name, patch in patches.items() if name in weights and _fits(patch, weights[name])}
    if strength != 0:
        patcher.add_patches(patches, strength)
    touched = {name.rpartition(".")[0] for name in patches}
    return {layer for layer in layers if names[layer].rpartition(".")[0] in touched}


def _fits(patch, weight: Tensor) -> bool:
    """Core applies a patch of another shape to nothing, and goes on."""
    if isinstance(patch, LoRAAdapter):
        up, down, _, middle = patch.weights[:4]
        inner = up.shape[1] == len(down) and down[0].numel() == math.prod(weight.shape[1:])
        return middle is not None or (inner and len(up) == len(weight))
    if isinstance(patch, tuple) and patch[0] == "diff":
        return patch[1][0].shape == weight.shape
    return True


def _told(name: str, tensor: Tensor) -> str:
    return f"{name} {tuple(tensor.shape)}"
