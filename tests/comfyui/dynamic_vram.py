"""Runs in a process of its own, with ComfyUI on the path: everything of ours that loads weights, without and with the
dynamic VRAM of today's ComfyUI. Prints what `test_dynamic_vram.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/dynamic_vram.py MODELS LORA
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from inhabit.nodes import conditions
from inhabit.nodes.assemble import InhabitAssembleModel
from inhabit.nodes.folders import register_model_folders
from inhabit.nodes.host.lora import with_lora
from inhabit.nodes.host.model import load_model
from primitives import Tiny

# isort: split
import comfy.memory_management
import comfy.model_patcher
import comfy.ops
import folder_paths

CFG, STEPS = 2.0, 2
PARTS = {  # a Stable Diffusion checkpoint, motion modules, a checkpoint of ours
    "assembled": ("sd.safetensors", "none", "none"),
    "assembled with motion modules": ("sd.safetensors", "v2.safetensors", "none"),
    "assembled with a trained checkpoint": ("sd.safetensors", "v2.safetensors", "trained.safetensors"),
}


def made(models: Path, lora: Path) -> dict[str, torch.Tensor]:
    """Load all anew and return what each draws."""
    tiny = Tiny(models / "inhabit" / "tiny.safetensors")
    adapted = with_lora(tiny.model, lora, 1.0)
    latent = tiny.vae.encode(tiny.given.driving)
    found = {
        "VAE, encoded": latent,
        "VAE, decoded": tiny.vae.decode(latent),
        "model": run.windowed(tiny.model, *tiny.inputs, CFG, steps=STEPS),
        "model with a LoRA": run.windowed(adapted, *tiny.inputs, CFG, steps=STEPS),
        "custom sampler": run.custom(tiny.model, *tiny.inputs, CFG),
    }
    for name, files in PARTS.items():
        found |= {f"{name}, {what}": tensor for what, tensor in assembled(*files).items()}
    return found


def assembled(*files: str) -> dict[str, torch.Tensor]:
    model, vae = InhabitAssembleModel.execute(*files).args
    reference, given = run.scene()
    positive, negative = conditions.InhabitReference.execute(vae, reference, model=model).args
    depth = given.depth.unsqueeze(-1).expand(-1, -1, -1, 3)
    positive, negative = conditions.InhabitMotion.execute(positive, negative, given.skeleton, depth, given.blur).args
    *sides, latent = conditions.InhabitEnvironment.execute(positive, negative, vae, given.driving, given.mask).args
    return {
        "VAE": vae.decode(latent["samples"]),
        "drawn": run.windowed(model, *sides, latent, CFG, steps=STEPS),
    }


def switch_on() -> None:
    """What `main.py` does on a machine with an NVIDIA GPU."""
    comfy.memory_management.aimdo_enabled = True
    comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic


def waits() -> bool:
    """Whether core's layers are built without weights, as they are with dynamic VRAM alone."""
    return comfy.ops.disable_weight_init.Linear(2, 2).weight is None


@torch.inference_mode()
def main(models: Path, lora: Path) -> dict[str, object]:
    for folder in ("checkpoints", "inhabit"):
        folder_paths.add_model_folder_path(folder, str(models / folder), is_default=True)
    folder_paths.models_dir = str(models)
    register_model_folders()
    plain = made(models, lora)
    before = waits()
    switch_on()
    dynamic = made(models, lora)
    return {
        "layers wait for their weights": [before, waits()],
        "gaps": {name: run.gap(tensor, dynamic[name]) for name, tensor in plain.items()},
        "spread": {name: float(tensor.std()) for name, tensor in plain.items()},
        "the LoRA changes": run.gap(plain["model"], plain["model with a LoRA"]),
        "plain patcher": not load_model(models / "inhabit" / "tiny.safetensors").is_dynamic(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(*map(Path, sys.argv[1:])), sys.stdout)
