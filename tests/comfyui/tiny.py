"""A checkpoint of a tiny model, for scripts that run beside ComfyUI and for tests that do not."""

from __future__ import annotations

from pathlib import Path

import torch
from inhabit.models import PRESETS, AnimationModel, ModelConfig, PatchAutoencoder
from inhabit.weights import save

VERSION_1 = {  # what Animate Anyone's first version lacks
    "environment": False,
    "objects": None,
    "pose": {"channels": (16, 32, 64), "heads": 2, "depth": False, "temporal": False},
}
EPSILON = {"betas": "scaled_linear", "zero_terminal_snr": False, "prediction": "epsilon"}


def tiny_checkpoint(path: Path, **changes) -> None:
    """Save a small model in which no branch is at its zero start."""
    config = PRESETS["puppets"].model_dump()
    config["pose"]["blur"] = (8, 8, 16)
    config |= changes
    config["unet"] |= {"block_out_channels": (32, 32, 48), "heads": 2}
    config["autoencoder"] |= {"encoder_channels": 16, "decoder_channels": 16, "blocks": 1}
    config = ModelConfig.model_validate(config)
    generator = torch.manual_seed(0)
    model, vae = AnimationModel(config), PatchAutoencoder(config.autoencoder)
    for parameter in [*model.parameters(), *vae.parameters()]:
        if not parameter.any():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
    save(path, model, vae)
