"""Runs in a process of its own, with ComfyUI on the path: the tiny model of `latents.py`, its weights stored as core's
options ask, sampled beside float32. Prints what `test_precision.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/precision.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from comfy.cli_args import args

args.cpu = True  # before anything of ComfyUI asks for a device

import comfy.sd  # noqa: E402
import latents  # noqa: E402
from inhabit.nodes.host.model import as_model, load_model, load_vae  # noqa: E402
from inhabit.nodes.host.saving import KEY  # noqa: E402
from inhabit.nodes.host.settings import model_config  # noqa: E402
from inhabit.weights import load, load_codec  # noqa: E402
from inhabit.weights.checkpoint import build, read_as_stored  # noqa: E402

OPTIONS = ("fp8_e4m3fn_unet", "fp8_e5m2_unet", "fp16_unet", "bf16_unet")
CFG, STRENGTH = 1.5, 2.0


def share(one: torch.Tensor, other: torch.Tensor) -> float:
    """The root mean square difference, as a share of the second's."""
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())


def stored_types(model) -> list[str]:
    networks = (model, *model.get_additional_models_with_key(KEY))
    return sorted({str(tensor.dtype) for patcher in networks for tensor in patcher.model.parameters()})


def lora() -> dict[str, torch.Tensor]:
    generator = torch.manual_seed(7)
    return latents.lora(torch.randn(2, 32, generator=generator), torch.randn(32, 2, generator=generator))


@torch.inference_mode()
def compare(path: Path, option: str, expected: dict[str, torch.Tensor], inputs: tuple) -> dict[str, object]:
    setattr(args, option, True)
    model = load_model(path)
    config = model_config(model)
    tensors = read_as_stored(path, lambda name: not name.startswith("vae."))
    assembled = as_model(config, lambda **how: build(config, tensors, **how))
    setattr(args, option, False)
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora(), STRENGTH, 0)
    plain = latents.windowed(model, *inputs, CFG)
    return {
        "types": stored_types(model),
        "compute": str(model.model.manual_cast_dtype),
        "plain": share(plain, expected["plain"]),
        "assembled": share(latents.windowed(assembled, *inputs, CFG), plain),
        "lora": share(latents.windowed(patched, *inputs, CFG) - plain, expected["lora"] - expected["plain"]),
    }


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    path = folder / "tiny.safetensors"
    latents.tiny_checkpoint(path)
    model, vae, ours, codec = load_model(path), load_vae(path), load(path), load_codec(path)
    reference, given = latents.scene()
    inputs = latents.conditioning(vae, reference, given, given.skeleton)
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora(), STRENGTH, 0)
    expected = {
        "plain": latents.command_line(ours, codec, reference, given, CFG),
        "lora": latents.windowed(patched, *inputs, CFG),
    }
    report = {option: compare(path, option, expected, inputs) for option in OPTIONS}
    return report


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
