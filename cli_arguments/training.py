"""Models: `train`, `convert`."""

from __future__ import annotations

from pathlib import Path

from .shared import command


def add_train(commands) -> None:
    parser = command(
        commands,
        "train",
        "train a model",
        "Train what a recipe says, into a folder: checkpoints/, log.jsonl and model.safetensors, which "
        "`animate --model` takes. Stop with Ctrl-C at any time; --resume goes on exactly there.",
        "inhabit train --recipe puppets --out training --set codec=puppets --set stages.spatial.steps=2000",
    )
    parser.add_argument(
        "--recipe", required=True, metavar="FILE.yaml", help="recipe file, or the name of a bundled one"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for checkpoints and the model")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in the folder")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="replace fields of the recipe; may be repeated",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")


def add_convert(commands) -> None:
    parser = command(
        commands,
        "convert",
        "make one checkpoint of public weights",
        "Make one checkpoint of public weights, which are recognised by their content, in any order. animate-anyone: "
        "reference_unet, denoising_unet, motion_module and pose_guider give the model as it was published, without "
        "environment or objects. sd15: a Stable Diffusion 1.5 checkpoint or diffusers folder gives a model to train. "
        "animatediff: the same with AnimateDiff's motion modules; these alone become a file for ComfyUI's "
        "models/animatediff_models. Pickled files are read as weights only: code in them is never run.",
        "inhabit convert --kind animate-anyone reference_unet.pth denoising_unet.pth motion_module.pth pose_guider.pth "
        "--out animate-anyone.safetensors\n"
        "  inhabit convert --kind animatediff v1-5-pruned.safetensors mm_sd_v15_v2.ckpt --out animatediff.safetensors",
    )
    parser.add_argument("--kind", required=True, choices=("animate-anyone", "animatediff", "sd15"))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="weight file, or diffusers folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors", help="the checkpoint")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="stored type (default: as it is)")
    shapeless = parser.add_argument_group(
        "what shapes do not tell (default: as in Stable Diffusion 1.5, or config.json)"
    )
    for name, default in (("heads", 8), ("norm-groups", 32)):
        shapeless.add_argument(f"--{name}", type=int, metavar="N", help=f"of the UNets (default {default})")
        shapeless.add_argument(f"--motion-{name}", type=int, metavar="N", help=f"of motion modules (default: --{name})")
