"""Writes a LoRA of a tiny model as peft makes it, under every naming, with the networks that peft merged; and unusable
ones. For `loras.py`, whose Python is ComfyUI's and has no peft.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from inhabit.weights import load, load_codec, save
from safetensors.torch import load_file, save_file

RANK, ALPHA = 4, 10  # not equal: without the settings the scale would be wrong
DENOISER_ALONE = "kohya-alone.safetensors", "comfyui-alone.safetensors"  # what core's own loader takes
FORMS = ("bare", "unet", "comfyui", "kohya")  # how an adapter's layers are named
MADE = "peft/adapter_model.safetensors"
TARGETS = r"(denoiser|reference)\..*(to_q|to_v|conv1|linear_1)|motion\.project.*|denoiser\.conv_in"


def write_loras(checkpoint: Path, folder: Path) -> None:
    """Write all files into `folder`, and merged.safetensors and half.safetensors beside the checkpoint."""
    _adapter(checkpoint, folder / "peft")
    _in_every_naming(folder / MADE, folder)
    _unusable(folder / MADE, folder)


def _adapter(checkpoint: Path, folder: Path) -> None:
    """Save a random adapter of every network by peft, and what peft merges, at full and at half strength."""
    from peft import LoraConfig, get_peft_model

    plain, codec = load(checkpoint), load_codec(checkpoint)
    model = copy.deepcopy(plain)
    model.config = {}  # peft looks for a language model's settings there
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS))
    generator = torch.manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
    adapted.save_pretrained(folder)
    merged = adapted.merge_and_unload()
    half = copy.deepcopy(merged)
    for ours, theirs in zip(half.parameters(), plain.parameters(), strict=True):
        ours.data = (ours.data + theirs.data) / 2
    for name, network in (("merged", merged), ("half", half)):
        network.config = plain.config
        save(checkpoint.with_name(f"{name}.safetensors"), network, codec.vae)


def _in_every_naming(made: Path, folder: Path) -> None:
    """Write the adapter as peft, diffusers, kohya's scripts and ComfyUI would."""
    tensors = {name.removeprefix("base_model.model."): tensor for name, tensor in load_file(made).items()}
    beside = {name.replace("lora_A", "lora_down").replace("lora_B", "lora_up"): t for name, t in tensors.items()}
    layers = {name.partition(".lora_")[0] for name in beside}
    alphas = {f"{layer}.alpha": torch.tensor(float(ALPHA)) for layer in layers}
    settings = {"r": RANK, "lora_alpha": ALPHA}
    header = {"lora_adapter_metadata": json.dumps(settings)}
    prefixed = {"lora_adapter_metadata": json.dumps({f"unet.{name}": value for name, value in settings.items()})}

    def kohya(name: str) -> str:
        layer, dot, end = name.partition(".lora_" if ".lora_" in name else ".alpha")
        return "lora_unet_" + layer.removeprefix("denoiser.").replace(".", "_") + dot + end

    whole = beside | alphas
    reference = {name: tensor for name, tensor in whole.items() if name.startswith("reference.")}
    own = {name: tensor for name, tensor in whole.items() if name not in reference}
    forms = [
        (tensors, header),
        ({f"unet.{name}": tensor for name, tensor in tensors.items()}, prefixed),
        ({"diffusion_model." + name.removeprefix("denoiser."): t for name, t in whole.items()}, None),
        ({kohya(name): t for name, t in own.items()} | reference, None),
    ]
    alone = {name: tensor for name, tensor in forms[2][0].items() if ".reference." not in name}
    contents = {kohya(name.removeprefix("diffusion_model.")): tensor for name, tensor in alone.items()}, alone
    for name, content in zip(DENOISER_ALONE, contents, strict=True):
        save_file({key: tensor.clone() for key, tensor in content.items()}, folder / name)
    for name, (content, metadata) in zip(FORMS, forms, strict=True):
        save_file(content, folder / f"{name}.safetensors", metadata=metadata)


def _unusable(made: Path, folder: Path) -> None:
    """Files that fit nowhere, or in part."""
    tensors = load_file(made)
    first, two = sorted(tensors)[:2], torch.zeros(2, 2)
    wide = {name: tensor.repeat(2, 2, *[1] * (tensor.ndim - 2)) for name, tensor in tensors.items()}
    save_file(wide, folder / "wide.safetensors")
    text = {f"lora_te_text_model_encoder.lora_{way}.weight": two.clone() for way in ("down", "up")}
    save_file(text, folder / "text.safetensors")
    part = {name: tensors[name] for name in first} | {f"elsewhere.{end}": two.clone() for end in ("diff", "alpha")}
    save_file(part, folder / "part.safetensors")
    (folder / "broken.safetensors").write_bytes(made.read_bytes()[:500])
