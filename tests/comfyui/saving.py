"""Runs in a process of its own, with ComfyUI on the path: what core's ModelSave writes of a MODEL of ours with a LoRA,
wholly and partly loaded. Prints what `test_saving.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/saving.py FOLDER
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from inhabit.nodes.folders import register_model_folders
from inhabit.nodes.host.lora import with_lora
from inhabit.nodes.host.model import load_model
from inhabit.nodes.host.saving import KEY
from inhabit.weights import load, load_codec
from lora_files import ALPHA, MADE, RANK
from primitives import Tiny
from safetensors.torch import load_file, save_file

# isort: split
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd

CFG, STEPS = 2.5, 2
NETWORKS = ("denoiser.", "reference.")


def drawn(tiny: Tiny, model) -> torch.Tensor:
    return run.windowed(model, *tiny.inputs, CFG, steps=STEPS)


def saved(model, path: Path, vae=None) -> Path:
    comfy.sd.save_checkpoint(str(path), model, vae=vae)
    return path


def halves(whole: Path, folder: Path) -> dict[str, Path]:
    """Write the LoRA's layers of one network alone, by name."""
    tensors, found = load_file(whole), {}
    for network in NETWORKS:
        found[network] = folder / f"{network}safetensors"
        own = {name: tensor for name, tensor in tensors.items() if f"base_model.model.{network}" in name}
        save_file(own, found[network], metadata={"lora_adapter_metadata": json.dumps({"r": RANK, "lora_alpha": ALPHA})})
    return found


def whole_models(tiny: Tiny, folder: Path) -> dict[str, object]:
    """Saved with the LoRA, with parts of it, and without after all that: loaded again they draw what they drew."""
    report, plain = {}, drawn(tiny, tiny.model)
    loras = {"LoRA": folder / "loras" / MADE, **halves(folder / "loras" / MADE, folder)}
    for name, lora in loras.items():
        model = with_lora(tiny.model, lora, 1.0)
        path = saved(model, folder / f"kept-{name}.safetensors", tiny.vae)  # before anything is sampled with it
        report[name] = run.gap(drawn(tiny, load_model(path)), drawn(tiny, model))
        report[f"{name} changes"] = run.gap(drawn(tiny, model), plain)
    merged = run.command_line(load(folder / "merged.safetensors"), tiny.codec, tiny.reference, tiny.given, CFG)
    again = load(folder / "kept-LoRA.safetensors"), load_codec(folder / "kept-LoRA.safetensors")
    report["LoRA, as peft merges it"] = run.gap(run.command_line(*again, tiny.reference, tiny.given, CFG), merged)
    kept = saved(tiny.model, folder / "kept.safetensors")
    report["plain"] = run.gap(drawn(tiny, load_model(kept)), plain)
    report["plain, tensors"] = changed(kept, folder / "tiny.safetensors")
    return report


def changed(kept: Path, original: Path) -> list[str]:
    """Return the names of the networks' tensors that differ; core writes its own prefix before them."""
    found = {name.removeprefix("model.diffusion_model."): tensor for name, tensor in load_file(kept).items()}
    wanted = {name: tensor for name, tensor in load_file(original).items() if not name.startswith("vae.")}
    return [name for name, tensor in wanted.items() if not torch.equal(found[name], tensor)]


def on_a_small_gpu() -> None:
    """Let core take the CPU for a device with no room: every layer that can be cast stays where it is."""
    management = comfy.model_management
    management.vram_state = management.VRAMState.NO_VRAM
    management.is_device_cpu = lambda device: False


def offloaded(tiny: Tiny, folder: Path) -> dict[str, object]:
    """The same with weights that get their patches when they are used."""
    lora = folder / "loras" / MADE
    expected = drawn(tiny, with_lora(tiny.model, lora, 1.0))
    comfy.model_management.unload_all_models()
    on_a_small_gpu()
    fresh = Tiny(folder / "tiny.safetensors")
    for network in (fresh.model, *fresh.model.get_additional_models_with_key(KEY)):
        for parameter in network.model.parameters():
            if parameter.dim() == 4:  # as weights lie that were converted to another type
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    model = with_lora(fresh.model, lora, 1.0)
    found = drawn(fresh, model)
    parts = [model, *model.get_additional_models_with_key(KEY)]
    return {
        "drawn": run.gap(found, expected),
        "layers that wait": [waiting(part.model) for part in parts],
        "saved": run.gap(drawn(fresh, load_model(saved(model, folder / "kept-offloaded.safetensors"))), expected),
    }


def waiting(network: torch.nn.Module) -> int:
    """The number of layers whose patches are added when they are used."""
    return sum(bool(getattr(layer, "weight_function", None)) for layer in network.modules())


def as_core_passes_them(tiny: Tiny) -> dict[str, object]:
    """The weights that come as an argument are the ones written, where this ComfyUI has the argument."""
    hosted, vae = tiny.model.model, {"a": torch.ones(1)}
    names = inspect.signature(comfy.model_base.BaseModel.state_dict_for_saving).parameters
    if "unet_state_dict" not in names:
        written = hosted.state_dict_for_saving(None, vae, None)
        return {"argument": False, "vae": "model.diffusion_model.vae.a" in written}
    given = {name: torch.full_like(tensor, 0.5) for name, tensor in hosted.diffusion_model.state_dict().items()}
    written = hosted.state_dict_for_saving(given, clip_state_dict=None, vae_state_dict=vae, clip_vision_state_dict=None)
    own = [name for name in written if not name.startswith("model.diffusion_model.reference.")]
    taken = [name for name in own if written[name].is_floating_point() and (written[name] == 0.5).all()]
    return {"argument": len(taken) == len(given), "vae": "model.diffusion_model.vae.a" in written}


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    tiny = Tiny(folder / "tiny.safetensors")
    return {
        "as passed": as_core_passes_them(tiny),
        "whole": whole_models(tiny, folder),
        "offloaded": offloaded(tiny, folder),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
