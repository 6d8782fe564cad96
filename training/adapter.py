"""Low-rank adapters on the denoiser (LoRA, Hu et al. 2021), by peft: the model stays as it is, a small file is trained.

# Not in paper.
"""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import Tensor, nn

from ..errors import InputError
from .recipe import AdapterRecipe

PREFIX = "diffusion_model."  # ComfyUI's own name of the denoiser, which its LoRA nodes know


def add_adapter(denoiser: nn.Module, recipe: AdapterRecipe) -> None:
    """Put an adapter, without effect at first, around every layer whose name ends in one of `recipe.layers`.

    Raises InputError where one of them names no layer.
    """
    names = [name for name, _ in denoiser.named_modules()]
    for layer in recipe.layers:
        if not any(name == layer or name.endswith(f".{layer}") for name in names):
            raise InputError(
                f"adapter.layers has {layer!r}, which the denoiser has not; give e.g. to_q, to_out.0, conv_out"
            )
    config = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(recipe.layers))
    inject_adapter_in_model(config, denoiser)


def adapter_tensors(denoiser: nn.Module, recipe: AdapterRecipe) -> dict[str, Tensor]:
    """Return the adapter: `diffusion_model.<layer>.lora_A.weight`, `.lora_B.weight` and `.alpha` of each layer."""
    pairs = {PREFIX + name: tensor for name, tensor in get_peft_model_state_dict(denoiser).items()}
    layers = {name.rpartition(".lora_A.")[0] for name in pairs if ".lora_A." in name}
    return pairs | {f"{layer}.alpha": torch.tensor(float(recipe.alpha)) for layer in layers}
