"""The denoising steps that the benchmark compares, and the files their weights come from.

    diffusers       `UNetMotionModel` of diffusers
    plain           our denoiser, every condition off
    reference       with the reference for the conditional pass, in all blocks as in Animate Anyone v1, the most work
    all_conditions  and with environment, motion (with depth) and objects; the guiders of motion and objects run inside
                    the step, as they do whenever a video is longer than one window

Each is one step of guidance: both passes as one batch, with one token of an image embedding each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from torch import Tensor

from ..models.config import PRESETS, ModelConfig
from ..models.model import AnimationModel
from ..weights import load, save

STEPS = ("diffusers", "plain", "reference", "all_conditions")
OURS, THEIRS = "inhabit.safetensors", "diffusers"  # names in the folder of weights


@dataclass(frozen=True)
class Shapes:
    """What is benchmarked: a preset's networks on a clip of `frames` frames of `size` (width, height) pixels."""

    preset: str
    size: tuple[int, int] = (256, 256)
    frames: int = 8
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    compiled: bool = False

    @property
    def config(self) -> ModelConfig:
        preset = PRESETS[self.preset]
        return preset.model_copy(update={"reference": preset.reference.model_copy(update={"mode": "full"})})


@dataclass(frozen=True)
class Inputs:
    """Random inputs in the model's layouts; the skeleton is a stick figure's share of the picture."""

    latents: Tensor  # (2, F, 4, h, w), the same for both passes
    timestep: Tensor  # (1,)
    context: Tensor | None  # (2, 1, D), the unconditional pass' first
    reference: Tensor  # (1, 4, h, w)
    environment: Tensor  # (1, F, 4, h, w)
    mask: Tensor  # (1, F, 1, h, w)
    skeleton: Tensor  # (1, F, 3, H, W)
    depth: Tensor  # (1, F, 1, H, W)
    objects: Tensor  # (1, F, 4, h, w)

    @classmethod
    def random(cls, shapes: Shapes) -> Inputs:
        config, frames, (width, height) = shapes.config, shapes.frames, shapes.size
        generator = torch.Generator().manual_seed(0)
        scale = config.latent.downscale
        latent = (1, frames, config.latent.channels, height // scale, width // scale)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(shapes.device, shapes.dtype)

        embedding = config.unet.cross_attention_dim
        skeleton = _stick_figure(width, height).to(shapes.device, shapes.dtype)
        skeleton = skeleton.expand(1, frames, 3, height, width)
        return cls(
            latents=draw(*latent).expand(2, -1, -1, -1, -1),
            timestep=torch.tensor([500], device=shapes.device),
            context=None if embedding is None else draw(2, 1, embedding),
            reference=draw(1, *latent[2:]),
            environment=draw(*latent),
            mask=torch.ones_like(draw(1, frames, 1, *latent[3:])),
            skeleton=skeleton,
            depth=skeleton[:, :, :1] * 0.5,
            objects=draw(*latent),
        )


def write_weights(shapes: Shapes, folder: Path) -> None:
    """Write random weights of the preset into `folder`: our checkpoint, and diffusers' own of the same denoiser."""
    torch.manual_seed(0)
    model = AnimationModel(shapes.config).to(shapes.dtype)
    save(folder / OURS, model)
    with torch.device("meta"):
        twin = diffusers_twin(shapes)
    weights = model.denoiser.state_dict()
    weights["conv_in.weight"] = weights["conv_in.weight"][:, : shapes.config.unet.in_channels].contiguous()
    twin.load_state_dict({name: tensor for name, tensor in weights.items() if ".lookups." not in name}, assign=True)
    twin.save_pretrained(folder / THEIRS)


def diffusers_twin(shapes: Shapes) -> diffusers.UNetMotionModel:
    """Return diffusers' own model of the same widths."""
    config, motion = shapes.config.unet, shapes.config.unet.motion_modules
    levels = [("CrossAttn" if attention else "") for attention in config.attention]
    return diffusers.UNetMotionModel(
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        down_block_types=tuple(f"{kind}DownBlockMotion" for kind in levels),
        up_block_types=tuple(f"{kind}UpBlockMotion" for kind in reversed(levels)),
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block,
        norm_num_groups=config.norm_groups,
        cross_attention_dim=config.cross_attention_dim or (None,) * len(levels),
        num_attention_heads=config.heads,
        motion_num_attention_heads=motion.heads,
        motion_max_seq_length=motion.max_frames,
        use_motion_mid_block=motion.mid_block,
    )


def load_ours(shapes: Shapes, folder: Path) -> AnimationModel:
    """Load what `write_weights` wrote, as every user of a checkpoint does."""
    model = load(folder / OURS, shapes.device, shapes.dtype)
    if shapes.compiled:
        model.denoiser.compile()
    return model


def load_theirs(shapes: Shapes, folder: Path) -> diffusers.UNetMotionModel:
    """Load diffusers' own model of the same weights."""
    twin = diffusers.UNetMotionModel.from_pretrained(
        folder / THEIRS, torch_dtype=shapes.dtype, local_files_only=True, use_safetensors=True
    )
    twin = twin.to(shapes.device).train(False).requires_grad_(False)
    if shapes.compiled:
        twin.compile()
    return twin


def their_step(twin: diffusers.UNetMotionModel, inputs: Inputs) -> Callable[[], Tensor]:
    """Return diffusers' step as a function without arguments; it returns (2, F, 4, h, w)."""
    frames = inputs.latents.shape[1]
    context = torch.zeros(2, 1, 1).to(inputs.latents) if inputs.context is None else inputs.context
    context = context.repeat_interleave(frames, dim=0)  # as diffusers' AnimateDiff pipeline does
    sample = inputs.latents.transpose(1, 2).contiguous()
    return lambda: twin(sample, inputs.timestep, context).sample.transpose(1, 2)


def our_step(name: str, model: AnimationModel, inputs: Inputs, *, release: bool = False) -> Callable[[], Tensor]:
    """Return one of our `STEPS` as a function without arguments; it returns (2, F, 4, h, w).

    release: let go of the ReferenceNet as soon as it has read the picture, as `inhabit animate` does.
    """
    given: dict = {}
    if name != "plain":
        context = None if inputs.context is None else inputs.context[1:]
        given = {
            "reference": model.project_reference(model.reference(inputs.reference, context)),
            "unconditional": 1,
        }
    if release:
        model.reference = None
    if name == "all_conditions":
        given |= {"environment": inputs.environment, "mask": inputs.mask}

    def step() -> Tensor:
        guided = {}
        if name == "all_conditions":
            pose = model.pose(inputs.skeleton, inputs.depth)
            guided["pose"] = torch.cat([torch.zeros_like(pose), pose])
            guided["objects"] = model.objects(inputs.objects)
        return model.denoise(inputs.latents, inputs.timestep, inputs.context, **given, **guided)

    return step


def _stick_figure(width: int, height: int) -> Tensor:
    """Return a (height, width) mask with the share of a drawn skeleton: trunk, arms and two legs."""
    figure = torch.zeros(height, width)
    for top, bottom, left, right in ((4, 18, 15, 17), (8, 10, 8, 24), (18, 30, 13, 15), (18, 30, 17, 19)):
        figure[top * height // 32 : bottom * height // 32, left * width // 32 : right * width // 32] = 1
    return figure
