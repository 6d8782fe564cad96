"""Weights that are no numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import InputError


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Name of the first tensor with a NaN or an infinite value, or None. 8-bit floats are read as float32."""
    for name, tensor in tensors:
        if tensor.is_floating_point():
            values = tensor.float() if tensor.element_size() == 1 else tensor
            if not torch.isfinite(values).all():
                return name
    return None


def require_finite(tensors: Iterable[tuple[str, Tensor]], source: str) -> None:
    """Raise InputError, naming the tensor, where one of them has a NaN or an infinite value."""
    name = first_not_finite(tensors)
    if name is not None:
        raise InputError(
            f"{source}: {name} has NaN or infinite values: its training went wrong, or it was damaged; give an earlier "
            "one or a fresh copy"
        )
