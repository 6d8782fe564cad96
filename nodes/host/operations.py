"""Core's layers for our networks."""

from __future__ import annotations

import comfy.ops
import torch
from torch import nn


def operations_for(dtype: torch.dtype, cast_to: torch.dtype | None):
    """Return the layers that core picks for weights of `dtype`, cast to `cast_to` as they are used, if that is given.

    With dynamic VRAM, what ComfyUI does by default on NVIDIA since 2026, core's layers have no weights until they are
    loaded, unless their class loads them by a method of its own. Ours do: they are laid out first, then filled, checked
    and counted, the same on every ComfyUI. A plain ModelPatcher (`HostedPatcher`) then moves them.
    """
    picked = comfy.ops.pick_operations(dtype, cast_to)
    found = {name: getattr(picked, name) for name in dir(picked)}
    layers = {name: layer for name, layer in found.items() if isinstance(layer, type) and issubclass(layer, nn.Module)}
    return type(picked.__name__, (picked,), {name: _with_weights(layer) for name, layer in layers.items()})


def _with_weights(layer: type[nn.Module]) -> type[nn.Module]:
    class Loaded(layer):
        def _load_from_state_dict(self, *args, **kwargs):
            return super()._load_from_state_dict(*args, **kwargs)

    Loaded.__name__ = Loaded.__qualname__ = layer.__name__
    return Loaded
