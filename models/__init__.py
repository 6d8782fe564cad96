"""The networks of the three papers, and their configuration. Files of weights are the matter of `weights`."""

from .autoencoder import LatentCodec, PatchAutoencoder
from .config import PRESETS, ModelConfig
from .model import AnimationModel

__all__ = ["PRESETS", "AnimationModel", "LatentCodec", "ModelConfig", "PatchAutoencoder"]
