"""Runs in a process of its own, with ComfyUI on the path: models put together from the files of `parts.py`, and LoRAs.
Prints what `test_assembled.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/assembled.py MODELS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from comfy.cli_args import args

args.cpu = True  # before anything of ComfyUI asks for a device

import comfy.sd  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
from comfy_extras.nodes_model_merging import save_checkpoint  # noqa: E402
from diffusers import UNet2DConditionModel  # noqa: E402
from inhabit.errors import InputError  # noqa: E402
from inhabit.models import PRESETS, AnimationModel  # noqa: E402
from inhabit.nodes.assemble import InhabitAssembleModel  # noqa: E402
from inhabit.nodes.folders import names_in, register_model_folders  # noqa: E402
from inhabit.nodes.host.model import as_model, load_model  # noqa: E402
from inhabit.nodes.host.settings import model_config  # noqa: E402
from inhabit.weights.conversion import convert  # noqa: E402
from torch import nn  # noqa: E402

REFUSED = {  # what the message says → checkpoint, motion module, Inhabit file
    "xl.safetensors is a Stable Diffusion XL model": ("xl.safetensors",),
    "lora.safetensors is a LoRA": ("lora.safetensors",),
    "levels of 32, 64 channels, the UNet has 32, 64, 64, 64": ("sd.safetensors", "wide.safetensors"),
    "truncated.safetensors (": ("truncated.safetensors",),
    "pickle.safetensors is pickled by PyTorch": ("pickle.safetensors",),
    "'pickle.ckpt' is no .safetensors file": ("pickle.ckpt",),
    "'gone.safetensors' is not in": ("gone.safetensors",),
    "'none.safetensors' is not in": ("sd.safetensors", "none.safetensors"),
    "another VAE than Stable Diffusion's": ("sd.safetensors", "none", "inhabit-puppets.safetensors"),
    "v2.safetensors' is not in": ("v2.safetensors",),
}


def assemble(checkpoint: str, motion_module: str = "none", inhabit: str = "none"):
    return InhabitAssembleModel.execute(checkpoint, motion_module, inhabit).args


def tensors_of(model) -> dict[str, torch.Tensor]:
    return model.model.diffusion_model.animation.state_dict()


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def equal_to_convert(models: Path) -> dict[str, bool]:
    checkpoint, modules = models / "checkpoints/sd.safetensors", models / "animatediff_models/v2.safetensors"
    report = {}
    for kind, files in (("sd15", [checkpoint]), ("animatediff", [checkpoint, modules])):
        convert(kind, files, models.parent / f"{kind}.safetensors")
        converted = load_model(models.parent / f"{kind}.safetensors")
        assembled = assemble(*(file.name for file in files))[0]
        report[kind] = same(tensors_of(assembled), tensors_of(converted))
        report[f"{kind}, configuration"] = model_config(assembled) == model_config(converted)
    return report


def vaes(models: Path) -> dict[str, object]:
    picture = torch.rand(1, 32, 32, 3)
    alone = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(models / "vae/tiny.safetensors")))
    gap = (assemble("sd.safetensors")[1].encode(picture) - alone.encode(picture)).abs().max()
    return {"vae": float(gap), "no vae": assemble("without-vae.safetensors")[1].message}


def saved_by_core(models: Path) -> bool:
    """Whether a model in which the ReferenceNet shares the denoiser's memory comes back from core's ModelSave."""
    model = assemble("sd.safetensors")[0]
    save_checkpoint(model, filename_prefix="kept", output_dir=str(models.parent))
    [kept] = models.parent.glob("kept*.safetensors")
    return same(tensors_of(model), tensors_of(load_model(kept)))


def refusals() -> dict[str, str]:
    said = {}
    for expected, names in REFUSED.items():
        try:
            assemble(*names)
            said[expected] = "nothing"
        except InputError as error:
            said[expected] = str(error)
    return said


def fingerprints(models: Path) -> list[str]:
    """Before and after a file is touched."""
    names = ("sd.safetensors", "v2.safetensors", "trained.safetensors")
    before = InhabitAssembleModel.fingerprint_inputs(*names)
    (models / "inhabit/trained.safetensors").touch()
    return [before, InhabitAssembleModel.fingerprint_inputs(*names)]


def lora_on_every_layer() -> dict[str, object]:
    """A LoRA of rank 1 on all linear layers and convolutions of Stable Diffusion 1.5, and what core patches of ours."""
    with torch.device("meta"):
        theirs = UNet2DConditionModel(cross_attention_dim=768)
    layers = {name: layer for name, layer in theirs.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    tensors = {}
    for name, layer in layers.items():
        out, into, *kernel = layer.weight.shape
        kohya = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{kohya}.lora_down.weight"] = torch.zeros(1).expand(1, into, *kernel)
        tensors[f"{kohya}.lora_up.weight"] = torch.zeros(1).expand(out, 1, *[1 for _ in kernel])
        tensors[f"{kohya}.alpha"] = torch.tensor(1.0)
    patched, _ = comfy.sd.load_lora_for_models(as_model(PRESETS["sd15"], without_memory), None, tensors, 1.0, 0)
    expected = {f"diffusion_model.{name}.weight" for name in layers}
    return {"layers": len(layers), "patched": len(patched.patches), "missed": sorted(expected ^ patched.patches.keys())}


def without_memory(device: torch.device, dtype: torch.dtype, operations) -> AnimationModel:
    with torch.device("meta"):
        return AnimationModel(PRESETS["sd15"], operations)


@torch.inference_mode()
def main(models: Path) -> dict[str, object]:
    folder_paths.models_dir = str(models)
    for folder in ("checkpoints", "inhabit"):
        folder_paths.add_model_folder_path(folder, str(models / folder), is_default=True)
    register_model_folders()
    return {
        "convert": equal_to_convert(models),
        **vaes(models),
        "saved by core": saved_by_core(models),
        "refusals": refusals(),
        "fingerprints": fingerprints(models),
        "lora": lora_on_every_layer(),
        "listed": names_in("checkpoints"),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
