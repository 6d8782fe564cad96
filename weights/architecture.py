"""A model's configuration, read off the shapes of its weights.

What shapes cannot tell (`Numbers`) is given by the user, stated beside the weights, or assumed as in Stable Diffusion
1.5's family; `settle` says which.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..models.config import MotionModuleConfig, PoseGuiderConfig, UNetConfig
from .layouts import Part


@dataclass(frozen=True)
class Numbers:
    """What shapes cannot tell: heads and norm groups of the UNets and of the motion modules; None: not known."""

    heads: int | None = None
    norm_groups: int | None = None
    motion_heads: int | None = None
    motion_norm_groups: int | None = None


NOT_GIVEN = Numbers()
USUAL = Numbers(heads=8, norm_groups=32, motion_heads=8, motion_norm_groups=32)
STATED_AS = {  # in diffusers' config.json, the first that is not null
    "heads": ("num_attention_heads", "attention_head_dim"),  # the second is what diffusers calls SD 1.5's 8 heads
    "norm_groups": ("norm_num_groups",),
    "motion_heads": ("motion_num_attention_heads",),
    "motion_norm_groups": ("motion_norm_num_groups",),
}

NORM_PER_FRAME = "motion_norm_per_frame"  # only Inhabit's own files say so


def settle(given: Numbers, parts: Sequence[Part]) -> tuple[Numbers, dict[str, str]]:
    """Every number, and by its name a line that says where it is from.

    In this order: what the user gave, what a file states, for motion modules what the user gave for the UNets, USUAL.
    Raises:
        InputError: a file states something else than one number.
    """
    values, origins = {}, {}
    for name in (field.name for field in dataclasses.fields(Numbers)):
        option = f"--{name.replace('_', '-')}"
        value, origin = getattr(given, name), f"as given by {option}"
        if value is None:
            value, origin = _stated(name, parts)
        if value is None and name.startswith("motion_"):
            value = getattr(given, name.removeprefix("motion_"))
            origin = f"as given by --{name.removeprefix('motion_').replace('_', '-')}; {option} changes it"
        if value is None:
            value, origin = getattr(USUAL, name), f"assumed, shapes do not tell; {option} changes it"
        values[name] = value
        origins[name] = f"{name.replace('_', ' ')} {value} ({origin})"
    return Numbers(**values), origins


def _stated(name: str, parts: Sequence[Part]) -> tuple[int | None, str]:
    for part in parts:
        for key in STATED_AS[name]:
            value = part.settings.get(key)
            if isinstance(value, list | tuple) and len(set(value)) == 1:
                value = value[0]
            if isinstance(value, int):
                return value, f"{key} stated with {part.source}"
            if value is not None:
                raise InputError(f"{part.source} states {key} {value}: one number for all levels is needed")
    return None, ""


def unet_config(part: Part, motion: Part | None, numbers: Numbers) -> UNetConfig:
    """Widths, levels, attention and channels of the UNet that `part` gives as denoiser, with `motion`'s modules in it.

    Raises:
        InputError: see `motion_config`; or it is an inpainting model, or has no spatial attention.
    """
    widths, layers = level_widths(part, "resnets", "conv1.weight")
    attention = tuple(f"denoiser.down_blocks.{i}.attentions.0.norm.weight" in part.tensors for i in range(len(widths)))
    if not any(attention):
        raise InputError(f"{part.source} has no spatial attention, where a reference would enter: give another")
    channels, returned = _size(part, "denoiser.conv_in.weight", 1), _size(part, "denoiser.conv_out.weight", 0)
    if channels != returned:
        raise InputError(
            f"{part.source} takes {channels} channels and returns {returned}, as inpainting models do: "
            "give an ordinary Stable Diffusion 1.5 model"
        )
    cross = f"denoiser.down_blocks.{attention.index(True)}.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    _check_divides(numbers.heads, "heads", widths)
    _check_divides(numbers.norm_groups, "norm groups", widths)
    return UNetConfig(
        in_channels=channels,
        out_channels=returned,
        block_out_channels=widths,
        attention=attention,
        layers_per_block=layers,
        heads=numbers.heads,
        cross_attention_dim=_size(part, cross, 1) if cross in part.tensors else None,
        norm_groups=numbers.norm_groups,
        motion_modules=motion_config(motion, widths, numbers),
    )


def motion_config(part: Part | None, widths: tuple[int, ...], numbers: Numbers) -> MotionModuleConfig:
    """Motion modules as `part` gives them for levels of these widths; without a part, as new ones are built.

    Raises:
        InputError: they are of other widths, a key is missing that a size is read from, or a number does not divide.
    """
    _check_divides(numbers.motion_heads, "motion heads", widths)
    _check_divides(numbers.motion_norm_groups, "motion norm groups", widths)
    config = MotionModuleConfig(heads=numbers.motion_heads, norm_groups=numbers.motion_norm_groups)
    if part is None:
        return config
    config = config.model_copy(update={"norm_per_frame": part.settings.get(NORM_PER_FRAME, True)})
    own, _ = level_widths(part, "motion_modules", "norm.weight")
    if own != widths:
        raise InputError(
            f"{part.source} holds motion modules for levels of {_list(own)} channels, the UNet has {_list(widths)}: "
            "give the motion modules that belong to it (those of Stable Diffusion 1.5)"
        )
    table = "denoiser.down_blocks.0.motion_modules.0.transformer_blocks.0.pos_embed.pe"
    middle = any(name.startswith("denoiser.mid_block.motion_modules.") for name in part.tensors)
    return config.model_copy(update={"max_frames": _size(part, table, 1), "mid_block": middle})


def level_widths(part: Part, layers: str, weight: str) -> tuple[tuple[int, ...], int]:
    """(Channels of every level, layers a level) of the denoiser's `layers`, read off each one's `weight`.

    Raises:
        InputError: the first level's is missing.
    """
    widths = _outputs(part, f"denoiser.down_blocks.{{}}.{layers}.0.{weight}")
    count = len(_outputs(part, f"denoiser.down_blocks.0.{layers}.{{}}.{weight}"))
    if not widths:
        _size(part, f"denoiser.down_blocks.0.{layers}.0.{weight}", 0)  # raises
    return tuple(widths), count


def guider_config(part: Part, start: PoseGuiderConfig) -> PoseGuiderConfig:
    """`start` with the widths of the pose guider that `part` holds: of its first convolution and every strided one."""
    first = _size(part, "pose.skeleton.conv_in.weight", 0)
    strided = _outputs(part, "pose.skeleton.blocks.{}.weight")[1::2]
    return start.model_copy(update={"channels": (first, *strided)})


def _outputs(part: Part, pattern: str) -> list[int]:
    """Output channels of the weights that `pattern` names with 0, 1, 2, … until one is missing."""
    names = itertools.takewhile(part.tensors.__contains__, (pattern.format(i) for i in itertools.count()))
    return [_size(part, name, 0) for name in names]


def _size(part: Part, name: str, axis: int) -> int:
    if name not in part.tensors or part.tensors[name].dim() <= axis:
        shown = name.removeprefix("denoiser.").removeprefix("pose.skeleton.")
        raise InputError(f"{part.source} lacks {shown} or has it in another shape: give a file with all of it")
    return part.tensors[name].shape[axis]


def _check_divides(number: int, what: str, widths: tuple[int, ...]) -> None:
    wrong = [width for width in widths if number < 1 or width % number]
    if wrong:
        option = f"--{what.replace(' ', '-')}"
        raise InputError(f"{number} {what} do not divide the {wrong[0]} channels of a level: give {option}")


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
