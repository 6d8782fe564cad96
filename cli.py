"""The command line: every command reads its arguments and makes one call down.

Errors are one line on standard error, `inhabit: error: …`, with exit status 2. What the commands need is imported
inside them, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

BAD_INPUT, INTERRUPTED, TERMINATED = 2, 130, 143
PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}  # modules of another name
DEMO_SEED = 900_012
SMALLER = {  # what takes less of a GPU's memory, by command
    "animate": "give a smaller --window or --size",
    "demo": "give a smaller --size",
    "train": "lower clips or frames of the recipe's stages",
}


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text."""

    def error(self, message: str) -> None:
        raise InputError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 for input that cannot be used, 130 or 143 when stopped."""
    _start_logging()
    try:
        with _orderly_termination():
            options = build_parser().parse_args(arguments)
            return _run(options)
    except SystemExit as leaving:  # argparse, after --help, or SIGTERM
        return leaving.code or 0
    except InputError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(__package__):
            raise
        package = PACKAGES.get(error.name, error.name)
        return _fail(f"this command needs {package}, which is not installed: python -m pip install {package}")
    except KeyboardInterrupt:
        print("inhabit: interrupted, nothing half-written is left", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    try:
        return options.command(options) or 0
    except RuntimeError as error:
        torch = sys.modules.get("torch")  # not imported for this
        if torch is None or not isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        fix = SMALLER.get(options.command.__name__, "use --device cpu")
        return _fail(f"the GPU's memory does not suffice: {fix}")


@contextmanager
def _orderly_termination() -> Iterator[None]:
    """Let SIGTERM leave as Ctrl-C does, so that no half-written file stays; a handler that is there stays, too."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(*_) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would disturb the tidying up
    print("inhabit: terminated, nothing half-written is left", file=sys.stderr)
    raise SystemExit(TERMINATED)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; the chosen one's function is in `command`."""
    parser = Parser(
        prog="inhabit",
        description="Put a character from one picture into a video, where it performs the video's motion.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for add in (_add_scene, _add_animate, _add_demo, _add_train, _add_bench, _add_card, _add_sheet):
        add(commands)
    return parser


def scene(options: argparse.Namespace) -> None:
    """Render a puppet scene into a folder."""
    from .scenes import render_scene, write_scene

    write_scene(render_scene(options.seed, options.kind, options.frames, *options.size), options.out)
    print(f"wrote {options.out}")


def animate(options: argparse.Namespace) -> None:
    """Animate a character into a driving video."""
    from .sampling.request import InputFiles, RunSettings, animate_files

    files, settings = (kind(**_fields(options, kind)) for kind in (InputFiles, RunSettings))
    frames = animate_files(files, options.out, settings).frames
    print(f"wrote {options.out}: {frames.shape[0]} frames of {frames.shape[2]}x{frames.shape[1]}")


def demo(options: argparse.Namespace) -> None:
    """Render, animate and compare."""
    from .evaluation.demo import make_demo, summary

    metrics = make_demo(options.out, options.seed, options.kind, options.frames, options.size, options.model)
    print(f"wrote {options.out}; look at {options.out / 'sheet.png'}\n{summary(metrics)}")


def train(options: argparse.Namespace) -> int:
    """Train what a recipe says; 130 when it was stopped before its end."""
    from .sampling.request import choose_device
    from .training import Trainer, load_recipe

    device = choose_device(options.device)
    written = Trainer(load_recipe(options.recipe, options.set), options.out, device).run(options.resume)
    print(f"wrote {written}" if written else f"stopped; the same command with --resume goes on from {options.out}")
    return 0 if written else INTERRUPTED


def bench(options: argparse.Namespace) -> None:
    """Time one denoising step, and write the numbers where asked."""
    from .evaluation.benchmark import benchmark, summary
    from .evaluation.report import write_json
    from .sampling.request import choose_device

    result = benchmark(options.preset, choose_device(options.device))
    if options.out is not None:
        write_json(options.out, result)
    print(summary(result))


def card(options: argparse.Namespace) -> None:
    """Measure a model over held-out scenes."""
    from .evaluation.card import CardSettings, make_card, markdown
    from .models import checkpoint_file

    settings = CardSettings(**_fields(options, CardSettings))
    print(markdown(make_card(checkpoint_file(options.model), options.out, settings, options.device)))


def sheet(options: argparse.Namespace) -> None:
    """Draw videos into one contact sheet."""
    from .evaluation.sheet import video_sheet

    named = {name or path: Path(path) for name, _, path in (clip.rpartition("=") for clip in options.clips)}
    print(video_sheet(named, options.out, options.columns, options.reference))


def _add_scene(commands) -> None:
    parser = _command(
        commands,
        scene,
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
        animate,
        "animate a character into a driving video",
        "Animate the character of a reference picture into a driving video. --pose, --depth, --mask and --object-mask "
        "may be left out when pose.json, depth.mkv, mask.mkv and object.mkv lie beside the driving video, as "
        "`inhabit scene` writes them. Without --driving, --pose alone drives the character in an empty studio.",
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
        "--pose", type=Path, metavar="FILE", help="OpenPose JSON, or a video of skeletons drawn on black"
    )
    inputs.add_argument(
        "--depth", type=Path, metavar="V", help="depth, white or 1 = near; also a .npy array (optional)"
    )
    inputs.add_argument("--mask", type=Path, metavar="V", help="white on the character that is to be replaced")
    inputs.add_argument("--object-mask", type=Path, metavar="V", help="white on objects it touches (optional)")
    inputs.add_argument(
        "--size",
        type=_size,
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
    model.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    model.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32, on cuda bfloat16")


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    sampling = parser.add_argument_group("sampling (defaults: the model's own)")
    sampling.add_argument("--steps", type=int, metavar="N", help="denoising steps")
    sampling.add_argument(
        "--guidance", type=float, metavar="X", help="how hard to push towards reference and motion; 1 is off"
    )
    sampling.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default 0)")
    sampling.add_argument("--window", type=int, metavar="L", help="frames denoised together")
    sampling.add_argument("--overlap", type=int, metavar="O", help="frames that neighbouring windows share")
    sampling.add_argument(
        "--long-video",
        choices=("windows", "clips"),
        default="windows",
        help="average overlapping windows, or continue clip by clip (default windows)",
    )
    sampling.add_argument(
        "--no-paste-back",
        dest="paste_back",
        action="store_false",
        help="show what the model drew everywhere, also around the character",
    )


def _add_demo(commands) -> None:
    parser = _command(
        commands,
        demo,
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
        train,
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


def _add_bench(commands) -> None:
    parser = _command(
        commands,
        bench,
        "time and memory next to diffusers' own network",
        "Time one denoising step of a preset with random weights (8 frames of 256 px), plain and with all conditions, "
        "next to diffusers' UNetMotionModel on the same shapes: seconds a frame and step, peak memory, ratio.",
        "inhabit bench --preset sd15 --out bench.json",
    )
    parser.add_argument("--preset", choices=("puppets", "sd15"), default="puppets", help="default puppets")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the numbers there, too")


def _add_card(commands) -> None:
    parser = _command(
        commands,
        card,
        "measure a model over held-out scenes",
        "Measure a model over held-out puppet scenes, another character in each, against the exact truth, three "
        "baselines, and itself with conditions removed: card.json, card.md and a contact sheet a scene.",
        "inhabit card --out card",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--model", default="puppets", metavar="FILE", help="checkpoint (default: the bundled one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    for name, default in (("scenes", 16), ("frames", 24), ("size", 128), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default}")
    parser.add_argument("--steps", type=int, metavar="N", help="default: the model's own")
    parser.add_argument("--guidance", type=float, metavar="X", help="default: the model's own")
    parser.add_argument("--no-switches", dest="switches", action="store_false", help="leave out removed conditions")


def _add_sheet(commands) -> None:
    parser = _command(
        commands,
        sheet,
        "draw videos into one contact sheet",
        "Draw videos as rows of one contact sheet, and tell how much each changes from frame to frame.",
        "inhabit sheet --out sheet.png --reference scene/reference.png driving=scene/driving.mp4 result=result.mp4",
    )
    parser.add_argument("clips", nargs="+", metavar="NAME=VIDEO", help="label and video of each row")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the sheet")
    parser.add_argument("--reference", type=Path, metavar="IMG", help="picture to show large on the left")
    parser.add_argument("--columns", type=int, default=8, metavar="N", help="frames a row (default 8)")


def _command(commands, function, summary: str, description: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        function.__name__,
        help=summary,
        description=textwrap.fill(description, 100),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def _add_scene_shape(parser: argparse.ArgumentParser, frames: int) -> None:
    parser.add_argument(
        "--kind", default="walk", help="walk, reach, object, handface, dance, pass or fasthands (default walk)"
    )
    parser.add_argument("--frames", type=int, default=frames, metavar="N", help=f"length (default {frames})")
    parser.add_argument(
        "--size", type=_size, default=(128, 128), metavar="WxH", help="96 to 512 pixels a side (default 128x128)"
    )


def _fields(options: argparse.Namespace, kind: type) -> dict:
    """The options that a dataclass has fields for."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(kind)}


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give WIDTHxHEIGHT in pixels, e.g. 128x192")
    return int(width), int(height)


def _start_logging() -> None:
    """Warnings of everything and news of this package, on standard error."""
    logging.basicConfig(format="inhabit: %(message)s", level=logging.WARNING)
    logging.getLogger(__package__).setLevel(logging.INFO)


def _fail(message: str) -> int:
    print(f"inhabit: error: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT
