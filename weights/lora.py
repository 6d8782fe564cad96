"""LoRA files of any common naming → ComfyUI's: `diffusion_model.<layer>.lora_down.weight`, `.lora_up.weight`, `.alpha`.

kohya's `lora_unet_<layer with underscores>` stay as they are: ComfyUI resolves them. peft and diffusers write the same
pairs of matrices under other names, and their scale elsewhere: as JSON in the header, or in adapter_config.json beside
the file.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError
from .files import read_safetensors
from .kinds import what_it_is

logger = logging.getLogger(__name__)

PREFIX = "diffusion_model."
HEADER_KEY = "lora_adapter_metadata"  # diffusers' LORA_ADAPTER_METADATA_KEY
NEIGHBOUR = "adapter_config.json"  # peft's, in the folder of the file
OTHER_NAMING = ("lora_unet_", "lycoris_", "lora_te", "text_encoder")  # kohya's, LyCORIS', networks that we have not
OUTER = ("base_model.model.", "model.", "unet.", PREFIX, "denoiser.")  # what wraps a layer's name, in any order
DOWN, UP = ".lora_down.weight", ".lora_up.weight"
ENDINGS = {
    ending: ours
    for ours, theirs in {DOWN: ("A", "down"), UP: ("B", "up")}.items()
    for ending in (
        f".lora_{theirs[0]}.weight",
        f".lora_{theirs[0]}.default.weight",  # the adapter's name, where peft's state dict is saved as it is
        f".lora_{theirs[0]}",
        f".lora.{theirs[1]}.weight",
        f"_lora.{theirs[1]}.weight",  # of attention processors, as diffusers once had them
        f".lora_linear_layer.{theirs[1]}.weight",
        ours,
    )
} | {".alpha": ".alpha"}


def read_lora(path: str | Path) -> dict[str, Tensor]:
    """Return a .safetensors LoRA under ComfyUI's names, its scales as `.alpha`.

    Raises:
        InputError: the file cannot be read, or is no LoRA that ComfyUI can apply; see `rewritten`.
    """
    weights = read_safetensors(path)
    what = what_it_is({name: tensor.shape for name, tensor in weights.tensors.items()})
    if what not in (None, "a LoRA"):
        raise InputError(f"{path} is {what}, not a LoRA: choose a LoRA, which changes a model")
    return rewritten(weights.tensors, adapter_settings(Path(path), weights.header), str(path))


def merge_lora(model: nn.Module, path: str | Path, strength: float) -> None:
    """Add a LoRA to the weights of an `AnimationModel`, in place: W + strength · alpha / r · up · down.

    Raises:
        InputError: see `read_lora`; or it fits no layer, or holds something else than pairs of low rank.
    """
    lora = read_lora(path)
    if others := sorted(name for name in lora if not name.endswith((DOWN, UP, ".alpha"))):
        raise InputError(f"{path} holds {others[0]}, which is no pair of low rank: use it in ComfyUI")
    weights = {name.removesuffix(".weight"): tensor for name, tensor in model.named_parameters()}
    known = {_file_name(name): name for name in weights} | {_kohya_name(name): name for name in weights}
    layers = sorted({layer_of(name) for name in lora})
    fitting = [layer for layer in layers if layer in known and _fits(lora, layer, weights[known[layer]])]
    if not fitting:
        raise InputError(f"{path} fits no layer of the model, as {layers[0]}: give a LoRA trained on such a model")
    if len(fitting) < len(layers):
        strange = next(layer for layer in layers if layer not in fitting)
        logger.warning(
            "LoRA %s: %d of %d layers fit nowhere, as %s", path, len(layers) - len(fitting), len(layers), strange
        )
    with torch.no_grad():
        for layer in fitting:
            weight, down, up = weights[known[layer]], lora[layer + DOWN].float(), lora[layer + UP].float()
            scale = strength * float(lora.get(f"{layer}.alpha", torch.tensor(len(down)))) / len(down)
            change = scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
            weight.copy_((weight.float() + change.to(weight.device)).to(weight.dtype))


def _fits(lora: Mapping[str, Tensor], layer: str, weight: Tensor) -> bool:
    down, up = lora[layer + DOWN], lora[layer + UP]
    return len(up) == len(weight) and down[0].numel() == weight[0].numel() and up.shape[1] == len(down)


def _file_name(name: str) -> str:
    """A layer of ours, `denoiser.…` or `reference.…`, as LoRA files name it once they are read."""
    return PREFIX + name.removeprefix("denoiser.")


def _kohya_name(name: str) -> str:
    return OTHER_NAMING[0] + name.removeprefix("denoiser.").replace(".", "_")


def adapter_settings(path: Path, header: Mapping[str, str]) -> dict[str, object]:
    """Return peft's LoraConfig as the file's header or adapter_config.json beside it has it; else an empty one.

    Raises InputError for JSON that is none.
    """
    source, text = f"{path}'s header", header.get(HEADER_KEY)
    neighbour = path.with_name(NEIGHBOUR)
    if text is None and neighbour.is_file():
        source, text = str(neighbour), neighbour.read_text(encoding="utf-8", errors="replace")
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(f"{source} is not JSON: save the LoRA again") from error
    if not isinstance(settings, dict):
        raise InputError(f"{source} holds {type(settings).__name__}, not a LoRA's settings: save the LoRA again")
    named = {name.removeprefix("unet."): value for name, value in settings.items()}
    for patterns in ("rank_pattern", "alpha_pattern"):
        if not isinstance(named.get(patterns) or {}, dict):
            raise InputError(f"{source} has {patterns} {named[patterns]!r}, not a value a layer: save the LoRA again")
    return {name: value for name, value in named.items() if "." not in name}  # the others are of a text encoder


def rewritten(tensors: Mapping[str, Tensor], settings: Mapping[str, object], source: str) -> dict[str, Tensor]:
    """Return a LoRA's tensors under ComfyUI's names. A pair without `alpha` gets that of `settings`, if any.

    Args:
        tensors: by the file's names; (r, in, …) and (out, r, …) of a layer.
        settings: peft's LoraConfig: r, lora_alpha, rank_pattern, alpha_pattern, use_rslora; empty where unknown.
        source: the file, for messages.
    Raises:
        InputError: half of a pair is missing, the settings are those of another file, or it is a DoRA of peft.
    """
    renamed = {our_name(name): tensor for name, tensor in tensors.items()}
    if any("lora_magnitude_vector" in name for name in renamed):
        raise InputError(f"{source} is a DoRA of peft, which ComfyUI computes differently: train it without use_dora")
    for name in [name for name in renamed if name.endswith((DOWN, UP))]:
        layer = layer_of(name)
        if layer + DOWN not in renamed or layer + UP not in renamed:
            raise InputError(f"{source} has only one matrix of the pair of {layer}: save the LoRA again")
        if settings and f"{layer}.alpha" not in renamed:
            rank = renamed[layer + DOWN].shape[0]
            renamed[f"{layer}.alpha"] = torch.tensor(_scale(settings, layer, rank, source) * rank)
    return renamed


def our_name(name: str) -> str:
    """Return a tensor's name as ComfyUI knows it, `diffusion_model.<layer>.<what it is>`; kohya's stay."""
    if name.startswith(OTHER_NAMING):
        return name
    name = _inner(name)
    ending = next((ending for ending in ENDINGS if name.endswith(ending)), None)
    if ending is None:
        return PREFIX + name
    layer = name.removesuffix(ending).replace(".processor.", ".")
    return PREFIX + re.sub(r"\.to_out$", ".to_out.0", layer) + ENDINGS[ending]


def _inner(name: str) -> str:
    """Return a layer's name, or a pattern of it, without what wraps it."""
    while name.startswith(OUTER):
        name = name[len(next(outer for outer in OUTER if name.startswith(outer))) :]
    return re.sub(r"^motion\.", "pose.", name)  # as the pose guider was named in earlier versions


def layer_of(name: str) -> str:
    """Return the layer's part of a name of ours: without `.lora_down.weight`, `.alpha`, `.diff` and the like."""
    return re.sub(r"(\.lora_\w+\.weight|\.[^.]+)$", "", name)


def _scale(settings: Mapping[str, object], layer: str, rank: int, source: str) -> float:
    """Return what a pair's product is multiplied with: alpha / r, of rank-stabilised LoRA alpha / √r."""
    layer = layer.removeprefix(PREFIX)
    told, alpha = (
        _of_layer(settings.get(patterns) or {}, layer, settings.get(name))
        for patterns, name in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha"))
    )
    if told != rank or not isinstance(alpha, int | float):
        raise InputError(
            f"{source} has rank {rank} at {layer}, its settings (header or {NEIGHBOUR}) say rank {told}, "
            f"alpha {alpha}: put the {NEIGHBOUR} that belongs to it beside it, or none"
        )
    return alpha / (rank**0.5 if settings.get("use_rslora") else rank)


def _of_layer(patterns: Mapping[str, object], layer: str, default: object) -> object:
    """Return the value of the first pattern that ends the layer's name, as peft matches them."""
    found = (value for key, value in patterns.items() if re.match(rf"(.*\.)?({_inner(key)})$", layer))
    return next(found, default)
