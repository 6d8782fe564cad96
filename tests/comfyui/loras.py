"""Runs in a process of its own, with ComfyUI on the path: a LoRA of peft through Inhabit LoRA Loader, and through
`sampling.animate` on the network that peft merged. Prints what `test_loras.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/loras.py FOLDER
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from inhabit.models.checkpoint import BUNDLED
from inhabit.nodes import folders
from inhabit.nodes.lora import InhabitLoRALoader
from peft import LoraConfig, get_peft_model
from primitives import Tiny, flow, said_to
from safetensors.torch import load_file, save_file

# isort: split
import folder_paths

import nodes

CFG, STEPS = 2.5, 2
RANK, ALPHA = 4, 10  # not equal: without the settings the scale would be wrong
DENOISER_ALONE = "kohya-alone.safetensors", "comfyui-alone.safetensors"  # what core's own loader takes
TARGETS = r"(denoiser|reference)\..*(to_q|to_v|conv1|linear_1)|motion\.project.*|denoiser\.conv_in"


def adapter(tiny: Tiny, folder: Path):
    """Save a random adapter of every network by peft; return what peft merges, at full and at half strength."""
    model, config = copy.deepcopy(tiny.ours), tiny.ours.config
    model.config = {}  # peft looks for a language model's settings there
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS))
    generator = torch.manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.05
    adapted.save_pretrained(folder)
    merged = adapted.merge_and_unload()
    half = copy.deepcopy(merged)
    for ours, plain in zip(half.parameters(), tiny.ours.parameters(), strict=True):
        ours.data = (ours.data + plain.data) / 2
    merged.config = half.config = config
    return merged, half


def in_every_naming(made: Path, folder: Path) -> list[str]:
    """Write the adapter as peft, diffusers, kohya's scripts and ComfyUI would; return the names of the files."""
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
    forms = {
        "bare": (tensors, header),
        "unet": ({f"unet.{name}": tensor for name, tensor in tensors.items()}, prefixed),
        "comfyui": ({"diffusion_model." + name.removeprefix("denoiser."): t for name, t in whole.items()}, None),
        "kohya": ({kohya(name): t for name, t in own.items()} | reference, None),
    }
    alone = {name: tensor for name, tensor in forms["comfyui"][0].items() if ".reference." not in name}
    contents = {kohya(name.removeprefix("diffusion_model.")): tensor for name, tensor in alone.items()}, alone
    for name, content in zip(DENOISER_ALONE, contents, strict=True):
        save_file({key: tensor.clone() for key, tensor in content.items()}, folder / name)
    for name, (content, metadata) in forms.items():
        save_file(content, folder / f"{name}.safetensors", metadata=metadata)
    return [f"{name}.safetensors" for name in forms]


def unusable(made: Path, folder: Path) -> None:
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


def prepare(folder: Path) -> Path:
    """Register a folder of LoRAs, and bundled ones; return the first."""
    loras, bundled = folder / "loras", folder / "assets" / "loras"
    loras.mkdir()
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
    merged, half = adapter(tiny, loras / "peft")
    made = loras / "peft" / "adapter_model.safetensors"
    names = ["peft/adapter_model.safetensors", *in_every_naming(made, loras)]
    unusable(made, loras)
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
