"""Weights that are no numbers: a file that holds NaN or infinity is refused when it is read, by the tensor's name.

Costs one pass over the weights, half a second to a second for every GB on one core.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .file_kinds import open_safetensors

PART = 64  # tensors that share a mapping of their file, whose memory is free again when all are done with


def refuse_not_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise InputError, naming the first such tensor, where one holds NaN or infinity. source: for the message."""
    name = first_not_finite(tensors.items())
    if name is not None:
        wrong, count = int((~torch.isfinite(tensors[name].float())).sum()), tensors[name].numel()
        raise InputError(
            f"{source} holds {wrong} NaN or infinite values in {name} ({count} values): the training that made it went "
            "wrong, or the file is damaged; give an earlier one, or get it anew"
        )


def refuse_not_finite_in(path: str | Path, names: Collection[str] | None = None) -> None:
    """The same for tensors of a .safetensors file, all of them where no names are given, through mappings of its own.

    So what is mapped to be read when it is first used stays unread.
    """
    with open_safetensors(path) as file:
        names = [*(file.keys() if names is None else names)]
    for start in range(0, len(names), PART):
        with open_safetensors(path) as file:
            refuse_not_finite({name: file.get_tensor(name) for name in names[start : start + PART]}, str(path))


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """Name of the first tensor that holds NaN or infinity, or None."""
    return next((name for name, tensor in tensors if not is_finite(tensor)), None)


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are numbers; least and largest tell, since NaN goes through both."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    tensor = tensor.half() if tensor.dtype.itemsize == 1 else tensor
    return all(math.isfinite(value) for value in torch.stack(tensor.aminmax()).tolist())
