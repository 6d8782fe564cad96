"""Making scenes and animations: `scene`, `animate`, `demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import cli_values as values
from .shared import add_dtype, add_person, add_scene_shape, command

DEMO_SEED = 900_012


def add_scene(commands) -> None:
    parser = command(
        commands,
        "scene",
        "render a puppet scene with its exact ground truth",
        "Render a puppet scene: character A moves in driving.mp4, reference.png shows another character B, and "
        "target.mp4 is the truth, B doing A's motion in A's place. Beside them: pose.json, depth.mkv, "
        "mask.mkv, object.mkv, hands.mkv, face.mkv, meta.json.",
        "inhabit scene --out scene --seed 900001 --kind reach --frames 48 --size 128x128",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same seed gives the same scene; 900000 and above are never trained on (default 0)",
    )
    add_scene_shape(parser, frames=48)


def add_animate(commands) -> None:
    parser = command(
        commands,
        "animate",
        "animate a character into a driving video",
        "Animate the character of a reference picture into a driving video. --pose, --depth, --mask and --object-mask "
        "may be left out when pose.json, depth.mkv, mask.mkv and object.mkv lie beside the driving video, as "
        "`inhabit scene` writes them. Where there is no pose, the person in the driving video is found, and, "
        "without a mask, that person's mask; see `inhabit fetch-weights` and `inhabit perceive`. Without --driving, "
        "--pose alone drives the character in an empty studio.",
        "inhabit animate --reference scene/reference.png --driving scene/driving.mp4 --out result.mp4\n"
        "  inhabit animate --reference scene/reference.png --pose skeletons.mp4 --out result.mp4",
    )
    _add_inputs(parser)
    _add_model(parser)
    _add_sampling(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    inputs = parser.add_argument_group("inputs (videos, folders of pictures, or single pictures)")
    inputs.add_argument("--reference", type=Path, required=True, metavar="IMG", help="picture of the character")
    inputs.add_argument("--driving", type=Path, metavar="VIDEO", help="video whose motion and surroundings are used")
    inputs.add_argument("--out", type=Path, required=True, metavar="OUT.mp4", help="result; .mkv writes it lossless")
    inputs.add_argument(
        "--pose",
        type=Path,
        metavar="FILE",
        help="OpenPose JSON, a folder of its *_keypoints.json, or a video of skeletons drawn on black",
    )
    inputs.add_argument(
        "--depth", type=Path, metavar="V", help="depth, white or 1 = near; also a .npy array (optional)"
    )
    inputs.add_argument(
        "--mask",
        type=Path,
        metavar="V",
        help="white on the character that is to be replaced; one picture may hold for all frames",
    )
    inputs.add_argument("--object-mask", type=Path, metavar="V", help="white on objects it touches (optional)")
    add_person(inputs)
    inputs.add_argument(
        "--crop-to-person",
        action=argparse.BooleanOptionalAction,
        help="work on a steady window around the person, brought to --size, and put the result back at full size "
        "(default: where the person is small in the picture)",
    )
    inputs.add_argument(
        "--retarget",
        action="store_true",
        help="give the poses the reference's own bones, head and hands; feet, seat and hands that hold objects stay",
    )
    inputs.add_argument(
        "--reference-pose",
        type=Path,
        metavar="FILE.json",
        help="OpenPose JSON of the reference picture for --retarget (default: reference_pose.json beside "
        "reference.png, else found in the picture)",
    )
    inputs.add_argument(
        "--hand-sharpness",
        metavar="TEXT",
        help='"measured" in the driving video, or what is asked for: "both sharp; left 0-24 blurred; right 30- 0.3" '
        "(default: the model is not told)",
    )
    inputs.add_argument(
        "--size",
        type=values.size,
        metavar="WxH",
        help="bring all inputs to this size, sides divisible by 8 (default: the driving video's)",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model", default="puppets", metavar="FILE", help="checkpoint (default: puppets, the bundled one)"
    )
    model.add_argument("--vae", type=Path, metavar="FILE", help="Stable Diffusion VAE, for models that bundle none")
    model.add_argument(
        "--clip-vision", type=Path, metavar="FILE", help="CLIP ViT-L/14 vision model, for models of SD 1.5's size"
    )
    model.add_argument(
        "--lora",
        dest="loras",
        type=values.lora,
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help="a LoRA to merge into the model, at a strength of 1 if none is given; may be repeated",
    )
    model.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    add_dtype(model)
    model.add_argument(
        "--compile", action="store_true", help="run the denoiser through torch.compile: slow start, faster steps"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    sampling = parser.add_argument_group("sampling (defaults: the model's own)")
    sampling.add_argument("--steps", type=int, metavar="N", help="denoising steps")
    sampling.add_argument(
        "--guidance", type=float, metavar="X", help="how hard to push towards reference and motion; 1 is off"
    )
    sampling.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default 0)")
    sampling.add_argument(
        "--gamma",
        type=values.gamma,
        metavar="X|auto",
        help="more noise at every step than in training, for large pictures: factor on the signal-to-noise ratio of "
        "the model's own schedule, up to 1. The network is told step t and given the noise of a later one. auto: by "
        "the size and the model's own gamma (default: as trained)",
    )
    sampling.add_argument(
        "--reference-noise",
        action="store_true",
        help="start from the reference under noise; almost no change with models of zero terminal SNR, as puppets",
    )
    sampling.add_argument("--window", type=int, metavar="L", help="frames denoised together")
    sampling.add_argument("--overlap", type=int, metavar="O", help="frames that neighbouring windows share")
    sampling.add_argument(
        "--long-video",
        choices=("windows", "clips"),
        default="windows",
        help="average overlapping windows, or continue clip by clip (default windows)",
    )
    sampling.add_argument(
        "--no-prompt-travel",
        dest="prompt_travel",
        action="store_false",
        help="leave the windows where they are, in place of moving all of them by a random offset at every step",
    )
    sampling.add_argument(
        "--resume",
        action="store_true",
        help="go on where a run with the same inputs and options was cut off; it left OUT.resume.safetensors",
    )
    sampling.add_argument(
        "--no-paste-back",
        dest="paste_back",
        action="store_false",
        help="show what the model drew everywhere, also around the character",
    )
    sampling.add_argument(
        "--plate",
        choices=("auto", "off"),
        default="auto",
        help="auto: around the new character show the place as other frames of the driving video do, where they do; "
        "off: what the model drew there (default auto)",
    )


def add_demo(commands) -> None:
    parser = command(
        commands,
        "demo",
        "render a scene, animate another character into it, compare",
        "Render a held-out puppet scene, animate a different character into it, and compare with the truth: "
        "reference.png, driving.mp4, result.mp4, target.mp4, sheet.png (look at this first) and metrics.json.",
        "inhabit demo --out demo",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=DEMO_SEED, metavar="N", help=f"of the scene (default {DEMO_SEED})")
    parser.add_argument(
        "--model", default="puppets", metavar="FILE", help="checkpoint (default: puppets, the bundled one)"
    )
    add_scene_shape(parser, frames=24)
