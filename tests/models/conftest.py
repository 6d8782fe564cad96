"""Tiny configurations of the real classes, every parameter random."""

import pytest
import torch
from inhabit.models.config import (
    LatentConfig,
    ModelConfig,
    MotionModuleConfig,
    PoseGuiderConfig,
    ReferenceConfig,
    UNetConfig,
)

TINY_UNET = UNetConfig(
    block_out_channels=(32, 64, 64),
    attention=(True, True, False),
    layers_per_block=2,
    heads=4,
    cross_attention_dim=24,
    norm_groups=8,
    motion_modules=MotionModuleConfig(heads=4, max_frames=8, norm_groups=8, norm_per_frame=False),
)


def tiny_config(**changes) -> ModelConfig:
    return ModelConfig(
        name="tiny",
        unet=TINY_UNET,
        pose=PoseGuiderConfig(channels=(8, 16, 16, 32), heads=4),
        latent=LatentConfig(downscale=8),
        **changes,
    )


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter a random value, zero-initialised ones included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            centre = 1.0 if name.endswith("weight") and parameter.dim() == 1 else 0.0
            fan_in = max(parameter[0].numel(), 1) if parameter.dim() > 1 else 25
            parameter.copy_(centre + noise / fan_in**0.5)
    return module.eval()


@pytest.fixture
def full_reference() -> ReferenceConfig:
    return ReferenceConfig(mode="full")
