"""Networks of the three papers, their configuration, and the checkpoint file.

`load(path)` returns an `AnimationModel`; `load_codec(path)` the bundled autoencoder.
"""

from .autoencoder import LatentCodec, PatchAutoencoder
from .checkpoint import BUNDLED, checkpoint_file, load, load_codec, read_config, save
from .config import PRESETS, ModelConfig
from .model import AnimationModel

__all__ = [
    "BUNDLED", "PRESETS", "AnimationModel", "LatentCodec", "ModelConfig", "PatchAutoencoder",
    "checkpoint_file", "load", "load_codec", "read_config", "save",
]
