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
from .files import Weights
from .kinds import MARKS, of_attention, what_it_is
from .wrapped_names import COMPILED, EMA, networks

Layout = Literal[
    "Stable Diffusion checkpoint", "UNet", "ReferenceNet", "motion modules", "pose guider", "Inhabit checkpoint"
]
Role = Literal[
    "denoiser",
    "environment input",
    "motion modules",
    "ReferenceNet",
    "patch attention",
    "pose guider",
    "object guider",
]

ROLES: dict[str, Role] = {  # by the prefix of our keys
    "denoiser": "denoiser",
    "environment": "environment input",
    "reference": "ReferenceNet",
    "pose": "pose guider",
    "objects": "object guider",
}
ENTRY = "denoiser.conv_in.weight"
ENVIRONMENT_INPUT = "environment.conv_in.weight"  # of a part: what ENTRY has behind the latents' channels
ORIGINAL_UNET = "model.diffusion_model."
ORIGINAL_VAE = "first_stage_model."
XL_MARKS = ("conditioner.", f"{ORIGINAL_UNET}label_emb.", "add_embedding.")
OTHERS = (*(what for what, _ in MARKS), "a text encoder", "a CLIP vision model", "a VAE")
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
    tensors: by our names (`denoiser.…`, `reference.…`, `pose.…`), keys that nobody knows included.
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
    return "patch attention" if ".lookups." in name else ROLES[name.split(".")[0]]


def recognise(weights: Weights) -> Part:
    """Say what the one network in a file is, by its keys and shapes, and give its tensors our names.

    Raises:
        InputError: see `recognise_all`; or there are several.
    """
    parts = recognise_all(weights)
    if len(parts) > 1:
        raise InputError(f"{weights.source} holds {len(parts)} networks, {', '.join(part.layout for part in parts)}")
    return parts[0]


def recognise_all(weights: Weights) -> list[Part]:
    """The networks in a file: one, or all that a trainer saved together (`reference_unet.…`, `denoising_unet.…`).

    Raises:
        InputError: it is a known kind that has no place here (a LoRA, SDXL, …), or of no known kind.
    """
    source = weights.source
    _refuse_known_others(source, weights.tensors)
    found = networks(weights.tensors)
    parts = [_part(source, prefix, tensors) for prefix, tensors in found.items()]
    apart = tuple(name for name in weights.tensors if not _belongs(name, found))
    others = {"not of the UNet": apart} if apart else {}
    others |= {"no tensors": weights.others} if weights.others else {}
    parts[0] = dataclasses.replace(parts[0], ignored=parts[0].ignored | others)
    return [dataclasses.replace(part, settings=weights.settings) for part in parts]


def _belongs(name: str, found: Mapping[str, dict[str, Tensor]]) -> bool:
    """Whether a file's own name is one of a network's; those of a moving average have lost their dots."""
    name = name.replace(COMPILED, "")
    averaged = any(prefix.startswith(EMA) for prefix in found) and name.startswith(EMA)
    return averaged or any(name.startswith(prefix) for prefix in found)


def _part(source: str, prefix: str, tensors: dict[str, Tensor]) -> Part:
    _refuse_other_sizes(source, tensors)
    if any(_has(tensors, blocks) for blocks in ("input_blocks.", "middle_block.", "output_blocks.")):
        return _original_unet(source, tensors)
    if {"conv_in.weight", "blocks.0.weight", "conv_out.weight"} <= tensors.keys():
        renamed = {f"pose.skeleton.{name}": tensor for name, tensor in tensors.items()}
        return Part(source, "pose guider", ("pose guider",), renamed)
    if _has(tensors, "down_blocks.") and _has(tensors, "up_blocks.") and any(".resnets." in name for name in tensors):
        return _unet(source, tensors)
    if any(".motion_modules." in name for name in tensors):
        return _motion_modules(source, tensors)
    what = what_it_is({name: tensor.shape for name, tensor in tensors.items()})
    first = f"its first keys: {', '.join([*tensors][:3]) or 'none'}"
    raise InputError(
        f"{source} {f'is {what}' if what else f'holds no network that can be converted ({first})'}: "
        "give a Stable Diffusion 1.5 checkpoint or UNet, AnimateDiff motion modules, or Animate Anyone's files"
    )


def _refuse_known_others(source: str, tensors: Mapping[str, Tensor]) -> None:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    what = what_it_is(shapes)
    if what == "a LoRA":
        raise InputError(f"{source} is a LoRA, which changes a model and is none: give the model's own checkpoint")
    if what == "an Inhabit checkpoint" or CONFIG_KEY in tensors:
        raise InputError(f"{source} is an Inhabit checkpoint already: use it as it is")
    if "conv_in.weight" in tensors and (_has(tensors, "attentions.") or _has(tensors, "guidance_attention.")):
        raise InputError(
            f"{source} is a guidance encoder of Champ, whose attention layers Inhabit's pose guider does not have: "
            "Champ's weights cannot be converted, give Animate Anyone's"
        )
    if what in OTHERS:
        raise InputError(f"{source} is {what}: give a Stable Diffusion 1.5 checkpoint or UNet")
    if any(_has(tensors, mark) for mark in XL_MARKS):
        raise InputError(f"{source} is a Stable Diffusion XL model: Stable Diffusion 1.5 is needed, give one")


def _refuse_other_sizes(source: str, tensors: dict[str, Tensor]) -> None:
    other = of_attention({name: tensor.shape for name, tensor in tensors.items()})
    if other is not None:
        raise InputError(f"{source} is a {other} model: Stable Diffusion 1.5 is needed, give one")


def _has(tensors: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def _original_unet(source: str, tensors: dict[str, Tensor]) -> Part:
    """CompVis' names → diffusers', by diffusers' own converter, which is handed names in place of tensors."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint  # slow to import

    theirs = {f"{ORIGINAL_UNET}{name}": name for name in tensors}
    try:
        ours = convert_ldm_unet_checkpoint(dict(theirs), {"layers_per_block": _layers_per_block(theirs)})
    except KeyError as error:
        raise InputError(
            f"{source} is no complete Stable Diffusion UNet ({error} is missing): give a file with all of it"
        ) from error
    renamed = {f"denoiser.{name}": tensors[their] for name, their in ours.items() if their is not None}
    unknown = tensors.keys() - ours.values()
    renamed |= {f"denoiser.{name}": tensors[name] for name in unknown}
    return Part(source, "Stable Diffusion checkpoint", ("denoiser",), renamed)


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
