"""The networks of the three papers, and their configuration. Files of weights are the matter of `weights`."""

import importlib

from .autoencoder import LatentCodec, PatchAutoencoder
from .config import PRESETS, ModelConfig
from .model import AnimationModel

__all__ = ["PRESETS", "AnimationModel", "LatentCodec", "ModelConfig", "PatchAutoencoder"]

FORMER = {"BUNDLED", "checkpoint_file", "load", "load_codec", "read_config", "save"}  # names that `weights` has now


def __getattr__(name: str):
    """Names at the address that they had once, for scripts that know it."""
    if name not in FORMER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("..weights", __name__), name)
