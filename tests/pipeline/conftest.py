"""A model whose exact answer is known, a tiny real model, and small driving conditions."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from inhabit.models.autoencoder import LatentCodec, PatchAutoencoder
from inhabit.models.config import (
    AutoencoderConfig,
    LatentConfig,
    ModelConfig,
    MotionModuleConfig,
    PoseGuiderConfig,
    ReferenceConfig,
    ScheduleConfig,
    UNetConfig,
)
from inhabit.models.model import AnimationModel
from inhabit.pipeline import DrivingConditions, Settings, animate
from torch import nn

TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_out_channels=(16, 32),
        attention=(False, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=None,
        norm_groups=8,
        motion_modules=MotionModuleConfig(heads=2, max_frames=32, mid_block=False, norm_groups=8),
    ),
    reference=ReferenceConfig(coordinates=True),
    pose=PoseGuiderConfig(channels=(8, 8, 16), heads=2),
    latent=LatentConfig(downscale=4, scale=1.0),
    autoencoder=AutoencoderConfig(encoder_channels=16, decoder_channels=16, blocks=1),
)


def alpha_bar(schedule: ScheduleConfig) -> torch.Tensor:
    """α-bar of a schedule in float64 by Lin et al.'s formula in √ᾱ, not by the code under test."""
    ends = (schedule.beta_start, schedule.beta_end)
    if schedule.betas == "scaled_linear":
        beta = torch.linspace(ends[0] ** 0.5, ends[1] ** 0.5, schedule.train_steps, dtype=torch.float64).square()
    else:
        beta = torch.linspace(*ends, schedule.train_steps, dtype=torch.float64)
    root = torch.exp(torch.log1p(-beta).cumsum(0)).sqrt()
    if schedule.zero_terminal_snr:
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return root.square()


class KnownAnswer(nn.Module):
    """Predicts exactly for x0 = the environment's latents plus `strength` times its own motion; counts its calls.

    Frame by frame, so windows must not matter. `calls` holds the name, frames and timestep of every call, `seen` the
    latents of every prediction when `keep` is set.
    """

    def __init__(self, config: ModelConfig = TINY, strength: float = 0.0, keep: bool = False) -> None:
        super().__init__()
        self.config, self.strength, self.keep = config, strength, keep
        self.anchor = nn.Parameter(torch.zeros(()))
        self.alpha_bar = alpha_bar(config.schedule)
        self.scene: torch.Tensor | None = None  # x0 (F, C, h, w) of a model that is shown no environment
        self.calls: list[tuple[str, int, int | None]] = []
        self.seen: list[torch.Tensor] = []

    def reference(self, latents, context=None):
        self.calls.append(("reference", len(latents), None))
        return {"features": latents}

    def project_reference(self, features):
        self.calls.append(("project", 1, None))
        return {"keys": (features["features"], features["features"])}

    def pose(self, skeleton, depth=None, blur=None, *, temporal=True):
        self.calls.append(("motion", skeleton.shape[1], None))
        return nn.functional.avg_pool2d(skeleton.mean(dim=2), 4).unsqueeze(2)

    def objects(self, latents):
        self.calls.append(("objects", latents.shape[1], None))
        return [latents]

    def features(self, given, *, temporal=True):
        found = {name: given[name] for name in ("environment", "mask") if name in given}
        if "skeleton" in given:
            found["pose"] = self.pose(given["skeleton"], given.get("depth"), given.get("blur"), temporal=temporal)
        return found | ({"objects": self.objects(given["objects"])} if "objects" in given else {})

    def denoise(
        self,
        latents,
        timesteps,
        context=None,
        *,
        reference=None,
        environment=None,
        pose=None,
        unconditional=0,
        **_,
    ):
        for clip in range(len(latents)):
            kind = "conditional" if reference is not None and clip >= unconditional else "unconditional"
            self.calls.append((kind, latents.shape[1], int(timesteps[0])))
        if self.keep:
            self.seen.append(latents[-1].clone())
        if environment is None:
            environment = self.scene
        clean = environment + (0 if pose is None else self.strength * pose)
        a = self.alpha_bar[timesteps[0]]
        noise = (latents - a.sqrt() * clean) / (1 - a).sqrt()
        if self.config.schedule.prediction == "epsilon":
            return noise.float()
        return (a.sqrt() * noise - (1 - a).sqrt() * clean).float()

    def count(self, name: str) -> int:
        return sum(call[0] == name for call in self.calls)


def drive(frames: int, size: int = 16, *, objects: bool = False, seed: int = 0) -> DrivingConditions:
    """Random driving conditions with a masked square in the middle."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(frames, size, size)
    mask[:, size // 4 : size // 2, size // 4 : size // 2] = 1
    return DrivingConditions(
        driving=torch.rand((frames, size, size, 3), generator=generator),
        mask=mask,
        skeleton=torch.rand((frames, size, size, 3), generator=generator),
        depth=torch.rand((frames, size, size), generator=generator),
        object_mask=mask.roll(2, dims=1) if objects else None,
        blur=torch.rand((frames, size, size, 3), generator=generator),
    )


@pytest.fixture
def codec() -> LatentCodec:
    """The bundled autoencoder's layout with random weights."""
    torch.manual_seed(1)
    return LatentCodec(PatchAutoencoder(TINY.autoencoder).eval(), scale=1.0, downscale=4)


@pytest.fixture
def tiny_model() -> AnimationModel:
    """A real model with every weight random, zero-initialised ones too: each mechanism has an effect."""
    torch.manual_seed(2)
    model = AnimationModel(TINY).eval()
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    nn.init.normal_(model.denoiser.conv_in.weight, std=0.1)  # environment and mask channels start at zero
    return model


@pytest.fixture
def reference_image() -> torch.Tensor:
    return torch.rand((1, 16, 16, 3), generator=torch.Generator().manual_seed(3))


def animated(model, codec, reference_image, conditions, **options) -> torch.Tensor:
    """`animate` with the fields of its settings among the other options."""
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in options.items() if name in names})
    others = {name: value for name, value in options.items() if name not in names}
    return animate(model, codec, reference_image, conditions, settings, **others)
