"""Weights stored in 8 bits: floats alone, and floats or whole numbers with a scale beside them, as ComfyUI writes them.

They are read as float16, which holds what 8 bits and a scale can say to one part in two thousand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import InputError

STORED = torch.float16
SCALES = (".scale_weight", ".weight_scale")  # ComfyUI's first name, and the one of today
BESIDE = (".scale_input", ".input_scale", ".comfy_quant")  # of activations, and what says how it is stored
DESCRIBED = "_quantization_metadata"  # in the header, JSON: layers → format
MARK = "scaled_fp8"  # a tensor that says no more than that the others are
FORMATS = ("float8_e4m3fn", "float8_e5m2", "int8_tensorwise")


def in_full(tensors: Mapping[str, Tensor], source: str, header: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the tensors in full: those of 8 bits times their scales, which are left out; others as they are.

    source: for messages. header: the file's, where newer ones describe how they are stored.
    Raises:
        InputError: they are stored in a way that is not read, by its name.
    """
    _check_header(header, source)
    dropped = (*SCALES, *BESIDE)
    found = {}
    for name, tensor in tensors.items():
        if name.split(".")[-1] == MARK or name.endswith(dropped):
            _check_format(name, tensor, source)
            continue
        scale = _scale(tensors, name)
        if scale is not None:
            found[name] = _multiplied(tensor, scale, name, source)
        elif tensor.is_floating_point() and tensor.dtype.itemsize == 1:
            found[name] = tensor.to(STORED)
        else:
            found[name] = tensor
    return found


def _scale(tensors: Mapping[str, Tensor], name: str) -> Tensor | None:
    layer = name.removesuffix(".weight")
    scales = (tensors.get(layer + ending) for ending in SCALES) if layer != name else ()
    return next((scale for scale in scales if scale is not None), None)


def _multiplied(tensor: Tensor, scale: Tensor, name: str, source: str) -> Tensor:
    """weight · scale; the scale is one number, one a row, or of a shape that goes into the weight's."""
    scale = scale.float()
    if scale.dim() == 1 and len(scale) == len(tensor) > 1:
        scale = scale.view(-1, *[1] * (tensor.dim() - 1))
    try:
        if tensor.dtype == torch.uint8 or torch.broadcast_shapes(scale.shape, tensor.shape) != tensor.shape:
            raise RuntimeError
    except RuntimeError:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise InputError(
            f"{source} is quantised in blocks ({name}: {kind} {tuple(tensor.shape)}, scale {tuple(scale.shape)}): "
            "give the weights in 16 or 32 bits"
        ) from None
    return (tensor.float() * (scale if scale.dim() else scale.item())).to(STORED)


def _check_header(header: Mapping[str, str], source: str) -> None:
    try:
        layers = json.loads(header.get(DESCRIBED, "{}")).get("layers", {}).values()
        formats = {layer.get("format") for layer in layers}
    except (ValueError, AttributeError):
        raise InputError(f"{source} describes how it is quantised in a way that is not read: give 16 bits") from None
    others = sorted(str(stored) for stored in formats if stored not in FORMATS)
    if others:
        raise InputError(f"{source} is quantised as {others[0]}: give the weights in 16 or 32 bits")


def _check_format(name: str, tensor: Tensor, source: str) -> None:
    if not name.endswith(".comfy_quant"):
        return
    try:
        stored = json.loads(bytes(tensor.tolist()).decode()).get("format")
    except (ValueError, TypeError, AttributeError):
        stored = None
    if stored not in FORMATS:
        raise InputError(f"{source} is quantised as {stored} ({name}): give the weights in 16 or 32 bits")
