"""Published layouts of the weights: recognised by their content, renamed to ours.

Recognised are Stable Diffusion 1.x checkpoints (CompVis' names), UNets in diffusers' names, and the networks that
Animate Anyone's and AnimateDiff's public implementations save. Renaming copies no tensor.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from .checkpoint import CONFIG_KEY
from .weight_files import Weights

Layout = Literal[
    "Stable Diffusion checkpoint", "UNet", "ReferenceNet", "motion modules", "pose guider", "Inhabit checkpoint"
]
Role = Literal[
    "denoiser",
    "environment input",
    "motion modules",
    "ReferenceNet",
    "reference lookups",
    "motion guider",
    "object guider",
]

ROLES: dict[str, Role] = {  # by the prefix of our keys
    "denoiser": "denoiser",
    "environment": "environment input",
    "reference": "ReferenceNet",
    "motion": "motion guider",
    "objects": "object guider",
}
ENTRY = "denoiser.conv_in.weight"
ENVIRONMENT_INPUT = "environment.conv_in.weight"  # of a part: what ENTRY has behind the latents' channels
ORIGINAL_UNET = "model.diffusion_model."
ORIGINAL_VAE = "first_stage_model."
XL_MARKS = ("conditioner.", f"{ORIGINAL_UNET}label_emb.", "add_embedding.")
LORA = re.compile(r"lora[._]?(up|down|A|B)\b")
MOTION_NAMES = {  # AnimateDiff's → diffusers', in this order
    ".temporal_transformer.": ".",
    ".attention_blocks.0.pos_encoder.": ".pos_embed.",
    ".attention_blocks.0.": ".attn1.",
    ".attention_blocks.1.": ".attn2.",
    ".norms.0.": ".norm1.",
    ".norms.1.": ".norm2.",
    ".ff_norm.": ".norm3.",
}
SECOND_TABLE, FIRST_TABLE = ".attention_blocks.1.pos_encoder.pe", ".attention_blocks.0.pos_encoder.pe"


@dataclass(frozen=True)
class Part:
    """One file's contribution to a model.

    source: where it is from, for messages.
    layout: what it was recognised as.
    roles: the networks that it gives.
    tensors: by our names (`denoiser.…`, `reference.…`, `motion.…`), keys that nobody knows included.
    ignored: reason → the file's own names of what is left out.
    settings: what the file says beside its tensors, see `Weights`.
    """

    source: str
    layout: Layout
    roles: tuple[Role, ...]
    tensors: dict[str, Tensor]
    ignored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


def role_of(name: str) -> Role:
    """The network that a key of ours belongs to."""
    if ".motion_modules." in name:
        return "motion modules"
    return "reference lookups" if ".lookups." in name else ROLES[name.split(".")[0]]


def recognise(weights: Weights) -> Part:
    """Say what a file of weights is, by its keys and shapes, and give its tensors our names.

    Raises:
        InputError: it is a known kind that has no place here (a LoRA, SDXL, …), or of no known kind.
    """
    source = weights.source
    tensors = {name.removeprefix("module."): tensor for name, tensor in weights.tensors.items()}
    _refuse_known_others(source, tensors)
    if any(name.startswith(ORIGINAL_UNET) for name in tensors):
        part = _original_checkpoint(source, tensors)
    elif {"conv_in.weight", "blocks.0.weight", "conv_out.weight"} <= tensors.keys():
        renamed = {f"motion.skeleton.{name}": tensor for name, tensor in tensors.items()}
        part = Part(source, "pose guider", ("motion guider",), renamed)
    elif _has(tensors, "down_blocks.") and _has(tensors, "up_blocks.") and any(".resnets." in name for name in tensors):
        part = _unet(source, tensors)
    elif any(".motion_modules." in name for name in tensors):
        part = _motion_modules(source, tensors)
    else:
        raise InputError(
            f"{source} holds no network that can be converted (its first keys: {', '.join([*tensors][:3]) or 'none'}): "
            "give a Stable Diffusion 1.5 checkpoint or UNet, AnimateDiff motion modules, or Animate Anyone's files"
        )
    others = {"no tensors": weights.others} if weights.others else {}
    return dataclasses.replace(part, ignored=part.ignored | others, settings=weights.settings)


def _refuse_known_others(source: str, tensors: dict[str, Tensor]) -> None:
    if any(LORA.search(name) for name in tensors):
        raise InputError(f"{source} is a LoRA, which changes a model and is none: give the model's own checkpoint")
    if CONFIG_KEY in tensors or _has(tensors, "reference.") or _has(tensors, f"{ORIGINAL_UNET}reference."):
        raise InputError(f"{source} is an Inhabit checkpoint already: use it as it is")
    if "conv_in.weight" in tensors and (_has(tensors, "attentions.") or _has(tensors, "guidance_attention.")):
        raise InputError(
            f"{source} is a guidance encoder of Champ, whose attention layers Inhabit's motion guider does not have: "
            "Champ's weights cannot be converted, give Animate Anyone's"
        )
    spatial = {name: tensor for name, tensor in tensors.items() if ".motion_modules." not in name}
    widths = {tensor.shape[-1] for name, tensor in spatial.items() if name.endswith("attn2.to_k.weight")}
    if 2048 in widths or any(_has(tensors, mark) for mark in XL_MARKS):
        raise InputError(f"{source} is a Stable Diffusion XL model: Stable Diffusion 1.5 is needed, give one")
    linear = any(name.endswith("proj_in.weight") and tensor.dim() == 2 for name, tensor in spatial.items())
    if 1024 in widths or (widths and linear):
        raise InputError(f"{source} is a Stable Diffusion 2 model: Stable Diffusion 1.5 is needed, give one")


def _has(tensors: dict[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def _original_checkpoint(source: str, tensors: dict[str, Tensor]) -> Part:
    """CompVis' names → diffusers', by diffusers' own converter, which is handed names in place of tensors."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint  # slow to import

    theirs = {name: name for name in tensors if name.startswith(ORIGINAL_UNET)}
    try:
        ours = convert_ldm_unet_checkpoint(theirs, {"layers_per_block": _layers_per_block(theirs)})
    except KeyError as error:
        raise InputError(
            f"{source} is no complete Stable Diffusion checkpoint ({error} is missing): copy or download it again"
        ) from error
    renamed = {f"denoiser.{name}": tensors[their] for name, their in ours.items() if their is not None}
    unknown = theirs.keys() - ours.values()
    renamed |= {f"denoiser.{name}": tensors[name] for name in unknown}
    others = tuple(name for name in tensors if name not in theirs)
    ignored = {"not of the UNet": others} if others else {}
    return Part(source, "Stable Diffusion checkpoint", ("denoiser",), renamed, ignored)


def _layers_per_block(names: Iterable[str]) -> int:
    """CompVis numbers the layers and the downsampler of all levels through: the first downsampler tells."""
    found = [re.match(r"input_blocks\.(\d+)\.(0\.op\.)?", name.removeprefix(ORIGINAL_UNET)) for name in names]
    blocks = [match for match in found if match]
    one_level = max((int(match[1]) for match in blocks), default=1) + 1
    return min((int(match[1]) for match in blocks if match[2]), default=one_level) - 1


def _unet(source: str, tensors: dict[str, Tensor]) -> Part:
    """A UNet in diffusers' names; without an output convolution it is a ReferenceNet, as Animate Anyone saves it."""
    renamed, ignored = _rename_motion(source, tensors)
    if "conv_out.weight" not in tensors:
        return Part(source, "ReferenceNet", ("ReferenceNet",), _prefixed("reference", renamed), ignored)
    temporal = any(".motion_modules." in name for name in renamed)
    roles = ("denoiser", "motion modules") if temporal else ("denoiser",)
    return Part(source, "UNet", roles, _prefixed("denoiser", renamed), ignored)


def _motion_modules(source: str, tensors: dict[str, Tensor]) -> Part:
    """Motion modules alone: AnimateDiff's names, diffusers', or ours (as `conversion` writes them)."""
    renamed, ignored = _rename_motion(source, {name.removeprefix("denoiser."): t for name, t in tensors.items()})
    return Part(source, "motion modules", ("motion modules",), _prefixed("denoiser", renamed), ignored)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _rename_motion(source: str, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """AnimateDiff's names → diffusers', which have one position table for both attentions; and what is ignored."""
    renamed, tables = {}, []
    for name, tensor in tensors.items():
        if name.endswith(SECOND_TABLE):
            first = tensors.get(name.replace(SECOND_TABLE, FIRST_TABLE))
            if first is None or not torch.equal(first, tensor):
                raise InputError(
                    f"{source} has position tables that differ between the attentions of one motion module ({name}), "
                    "and Inhabit's modules have one for both: give another motion module"
                )
            tables.append(name)
            continue
        if ".motion_modules." in name:
            for theirs, ours in MOTION_NAMES.items():
                name = name.replace(theirs, ours)
        renamed[name] = tensor
    return renamed, {"second position tables, equal to the first": tuple(tables)} if tables else {}
