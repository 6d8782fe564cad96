"""The networks of the three papers, and their configuration. Files of weights are the matter of `weights`."""

from ..former import found_in
from .autoencoder import LatentCodec, PatchAutoencoder
from .config import PRESETS, ModelConfig
from .model import AnimationModel

__all__ = ["PRESETS", "AnimationModel", "LatentCodec", "ModelConfig", "PatchAutoencoder"]

MOVED = {"BUNDLED", "checkpoint_file", "load", "load_codec", "read_config", "save"}
__getattr__ = found_in("weights", MOVED)
