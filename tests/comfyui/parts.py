"""Weight files as people have them, of a tiny size, in ComfyUI's model folders; and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from inhabit.models import AnimationModel
from inhabit.weights import load, save
from inhabit.weights.checkpoint import apart
from inhabit.weights.conversion import convert
from safetensors.torch import save_file
from torch import Tensor

from ..models.conftest import randomise
from ..weights import published
from ..weights.published import GUIDER, TINY

WIDE = dict(block_out_channels=(32, 64), cross_attention_dim=24)


def write_parts(models: Path) -> None:
    """Fill `models` as a user does: checkpoints, animatediff_models, inhabit, vae."""
    for folder in ("checkpoints", "animatediff_models", "inhabit", "vae"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    unet = published.original(randomise(published.spatial(TINY)).half().state_dict(), levels=4)
    vae = tiny_vae()
    save_file(unet | {f"first_stage_model.{key}": t for key, t in vae.items()}, models / "checkpoints/sd.safetensors")
    save_file(unet, models / "checkpoints/without-vae.safetensors")
    save_file(vae, models / "vae/tiny.safetensors")
    save_file(motion_modules(TINY), models / "animatediff_models/v2.safetensors")
    convert("sd15", [models / "checkpoints/sd.safetensors"], models / "inhabit/start.safetensors")
    trained = AnimationModel(load(models / "inhabit/start.safetensors").config)
    save(models / "inhabit/trained.safetensors", randomise(trained, seed=2))
    _version_1(models)
    _unusable(models)


def tiny_vae() -> dict[str, Tensor]:
    """TAESD as ComfyUI names it: a decoder's first layer is a clamp, which diffusers has not."""
    tensors = {}
    for name, tensor in randomise(AutoencoderTiny()).state_dict().items():
        side, _, number, layer = name.split(".", 3)
        tensors[f"taesd_{side}.{int(number) + (side == 'decoder')}.{layer}"] = 0.3 * tensor
    return tensors


def motion_modules(size: dict) -> dict[str, Tensor]:
    return apart(published.animatediff(randomise(published.temporal(size), seed=1).state_dict()))


def _version_1(models: Path) -> None:
    """Animate Anyone's four files, converted."""
    denoiser = randomise(published.temporal(TINY, motion_max_seq_length=24)).state_dict()
    contents = {
        "reference_unet": published.without_head(randomise(published.spatial(TINY), seed=3).state_dict()),
        "denoising_unet": published.without_motion(denoiser),
        "motion_module": published.animatediff(denoiser),
        "pose_guider": published.pose_guider(GUIDER, 32, make=lambda *shape: 0.1 * torch.randn(*shape)),
    }
    files = [models.parent / f"{name}.pth" for name in contents]
    for file, content in zip(files, contents.values(), strict=True):
        torch.save(content, file)
    convert("animate-anyone", files, models / "inhabit/version-1.safetensors")


def _unusable(models: Path) -> None:
    folder = models / "checkpoints"
    good = (folder / "sd.safetensors").read_bytes()
    (folder / "truncated.safetensors").write_bytes(good[: len(good) // 2])
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, folder / "pickle.safetensors")
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, folder / "pickle.ckpt")
    xl = {"model.diffusion_model.label_emb.0.0.weight": torch.zeros(2, 2), "conditioner.a": torch.zeros(2)}
    save_file(xl, folder / "xl.safetensors")
    save_file({"lora_unet_mid_block.lora_up.weight": torch.zeros(2, 2)}, folder / "lora.safetensors")
    save_file(motion_modules(WIDE), models / "animatediff_models/wide.safetensors")
