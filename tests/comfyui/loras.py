"""Runs in a process of its own, with ComfyUI on the path: a LoRA of peft through Inhabit LoRA Loader, and through
`pipeline.animate` on the network that peft merged, both as `lora_files.py` wrote them. Prints what `test_loras.py`
checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/loras.py FOLDER
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from inhabit.nodes import folders
from inhabit.nodes.lora import InhabitLoRALoader
from inhabit.weights import load
from inhabit.weights.checkpoint import BUNDLED
from lora_files import DENOISER_ALONE, FORMS, MADE
from primitives import Tiny, flow, said_to
from safetensors.torch import load_file, save_file

# isort: split
import folder_paths

import nodes

CFG, STEPS = 2.5, 2


def prepare(folder: Path) -> Path:
    """Register the folder of LoRAs, and bundled ones; return the first."""
    loras, bundled = folder / "loras", folder / "assets" / "loras"
    bundled.mkdir(parents=True)
    folders.BUNDLED_LORAS = bundled
    folder_paths.folder_names_and_paths[folders.LORAS][0][:] = [str(loras)]
    folders.register_model_folders()
    folder_paths.folder_names_and_paths[folders.FOLDER][0].append(str(bundled.parent))
    return loras


def refusals(tiny: Tiny) -> dict[str, str]:
    def attempt(name: str, strength: float = 1.0, model=tiny.model):
        return lambda: InhabitLoRALoader.execute(model, name, strength)

    attempts = {
        "fits no layer of model": attempt("wide.safetensors"),
        "lora_te_text_model_encoder": attempt("text.safetensors"),
        "not a complete .safetensors file": attempt("broken.safetensors"),
        "lora is 'gone.safetensors'; choose one of pack.safetensors": attempt("gone.safetensors"),
        "strength is nan; give a number": attempt("bare.safetensors", float("nan")),
        "connect the MODEL of Inhabit Model Loader": attempt("bare.safetensors", model=flow()),
    }
    return {expected: said_to(each) for expected, each in attempts.items()}


def logged(model, name: str) -> list[str]:
    handler, messages = logging.Handler(logging.INFO), []
    handler.emit = lambda record: messages.append(f"{record.levelname} {record.getMessage()}")
    logger = logging.getLogger("inhabit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    InhabitLoRALoader.execute(model, name, 1.0)
    logger.removeHandler(handler)
    return messages


@torch.inference_mode()
def compare(tiny: Tiny, names: list[str], merged, half) -> dict[str, object]:
    def command_line(network) -> torch.Tensor:
        return run.command_line(network, tiny.codec, tiny.reference, tiny.given, CFG, steps=STEPS)

    def with_lora(name: str, strength: float) -> torch.Tensor:
        model = InhabitLoRALoader.execute(tiny.model, name, strength).args[0]
        return run.windowed(model, *tiny.inputs, CFG, steps=STEPS)

    plain = run.windowed(tiny.model, *tiny.inputs, CFG, steps=STEPS)
    whole = with_lora(names[0], 1.0)
    twice = InhabitLoRALoader.execute(tiny.model, names[0], 0.5).args[0]
    twice = InhabitLoRALoader.execute(twice, names[1], 0.5).args[0]
    core = nodes.LoraLoaderModelOnly()
    own = {}
    for name in DENOISER_ALONE:
        model = core.load_lora_model_only(tiny.model, name, 1.0)[0]
        own[name] = run.gap(run.windowed(model, *tiny.inputs, CFG, steps=STEPS), with_lora(name, 1.0))
    return {
        "core's loader": own,
        "merged by peft": run.gap(whole, command_line(merged)),
        "half merged": run.gap(with_lora(names[0], 0.5), command_line(half)),
        "changes": run.gap(whole, plain),
        "other namings": {name: run.gap(with_lora(name, 1.0), whole) for name in names},
        "two halves": run.gap(run.windowed(twice, *tiny.inputs, CFG, steps=STEPS), whole),
        "strength 0": run.gap(with_lora(names[0], 0.0), plain),
        "plain again": run.gap(run.windowed(tiny.model, *tiny.inputs, CFG, steps=STEPS), plain),
    }


def main(folder: Path) -> dict[str, object]:
    loras = prepare(folder)
    tiny = Tiny(folder / "tiny.safetensors")
    merged, half = (load(folder / f"{name}.safetensors") for name in ("merged", "half"))
    made, names = loras / MADE, [MADE, *(f"{name}.safetensors" for name in FORMS)]
    save_file(load_file(made), folders.BUNDLED_LORAS / "pack.safetensors")
    return {
        **compare(tiny, names, merged, half),
        "layers": len(load_file(made)) // 2,
        "logged": {name: logged(tiny.model, name) for name in (names[0], "part.safetensors")},
        "refusals": refusals(tiny),
        "first": folders.lora_names()[0],
        "checkpoints": [name for name in folders.checkpoint_names() if "pack" in name or name == BUNDLED.name],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
