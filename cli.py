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
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .cli_arguments import parse
from .errors import InputError

BAD_INPUT, INTERRUPTED, TERMINATED = 2, 130, 143
PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml"}  # modules of another name
SMALLER = {  # what takes less of a GPU's memory, by command
    "animate": "give a smaller --window or --size",
    "demo": "give a smaller --size",
    "train": "lower clips or frames of the recipe's stages",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 for input that cannot be used, 130 or 143 when stopped."""
    _start_logging()
    try:
        with _orderly_termination():
            return _run(parse(arguments))
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
        return COMMANDS[options.command](options) or 0
    except RuntimeError as error:
        torch = sys.modules.get("torch")  # not imported for this
        if torch is None or not isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        fix = SMALLER.get(options.command, "use --device cpu")
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


def scene(options: argparse.Namespace) -> None:
    """Render a puppet scene into a folder."""
    from .media.outputs import check_folder
    from .scenes import render_scene, write_scene
    from .scenes.files import FILES

    check_folder(options.out, FILES, "meta.json")
    write_scene(render_scene(options.seed, options.kind, options.frames, *options.size), options.out)
    print(f"wrote {options.out}")


def animate(options: argparse.Namespace) -> None:
    """Animate a character into a driving video."""
    from .pipeline.request import InputFiles, RunSettings, animate_files

    files, settings = (kind(**_fields(options, kind)) for kind in (InputFiles, RunSettings))
    written = animate_files(files, options.out, settings)
    print(f"wrote {options.out}: {written.frames} frames of {written.size[0]}x{written.size[1]}")


def perceive(options: argparse.Namespace) -> None:
    """Find the person of a video, and write poses and mask."""
    from .pipeline.perceived import perceive_files

    print(f"wrote {perceive_files(options.driving, options.out, options.what, options.person, options.backend)}")


def prepare(options: argparse.Namespace) -> None:
    """Make a training set of a folder of videos."""
    from .pipeline.prepare import PrepareSettings, prepare

    given = {name: getattr(options, name) for name in ("size", "min_seconds", "max_seconds", "min_person")}
    told = prepare(options.videos, options.out, PrepareSettings(**given), options.workers, options.shard)
    print(f"wrote {options.out}: {told}; look at {options.out / 'report.html'}")


def demo(options: argparse.Namespace) -> None:
    """Render, animate and compare."""
    from .evaluation.demo import WRITTEN, make_demo, summary
    from .media.outputs import check_folder

    check_folder(options.out, WRITTEN, "metrics.json")
    metrics = make_demo(options.out, options.seed, options.kind, options.frames, options.size, options.model)
    print(f"wrote {options.out}; look at {options.out / 'sheet.png'}\n{summary(metrics)}")


def train(options: argparse.Namespace) -> int:
    """Train what a recipe says; 130 when it was stopped before its end."""
    from .media.outputs import check_output
    from .pipeline.request import choose_device
    from .training import Trainer, load_recipe

    device = choose_device(options.device)
    recipe = load_recipe(options.recipe, options.set)
    check_output(options.out, folder=True)
    for name in ("model.safetensors", "lora.safetensors", "log.jsonl"):
        used = {"--recipe": options.recipe, "init": recipe.init, "codec": recipe.codec}
        check_output(options.out / name, used, option="the training's")
    written = Trainer(recipe, options.out, device).run(options.resume)
    print(f"wrote {written}" if written else f"stopped; the same command with --resume goes on from {options.out}")
    return 0 if written else INTERRUPTED


def convert(options: argparse.Namespace) -> None:
    """Make one checkpoint of public weights, and tell what became of every file."""
    import torch

    from .weights.architecture import Numbers
    from .weights.conversion import convert as convert_files

    dtype = getattr(torch, options.dtype) if options.dtype else None
    numbers = Numbers(**_fields(options, Numbers))
    report = convert_files(options.kind, options.files, options.out, dtype=dtype, numbers=numbers)
    print("\n".join(report.lines()))


def bench(options: argparse.Namespace) -> None:
    """Time one denoising step, and write the numbers where asked."""
    from .evaluation.benchmark import benchmark, summary
    from .evaluation.long_memory import memory_by_length, table
    from .evaluation.report import write_json
    from .media.outputs import check_output
    from .pipeline.request import choose_device, choose_dtype

    if options.out is not None:
        check_output(options.out)
    if options.lengths is not None:
        peaks = memory_by_length(options.lengths)
        if options.out is not None:
            write_json(options.out, {"peak_mib_by_seconds": peaks})
        print(table(peaks))
        return
    device = choose_device(options.device)
    result = benchmark(
        options.preset,
        device,
        size=options.size,
        frames=options.frames,
        rounds=options.rounds,
        dtype=choose_dtype(options.dtype, device),
        compiled=options.compile,
    )
    if options.out is not None:
        write_json(options.out, result)
    print(summary(result))


def report(options: argparse.Namespace) -> None:
    """Measure a model over held-out scenes, over long ones, its hands, or what perception costs."""
    from .evaluation import hands, long_video, perceived
    from .evaluation.held_out import HeldOutSettings, make_report, markdown
    from .media.outputs import check_folder
    from .weights import checkpoint_file

    whole = options.long_videos is None and options.hands is None and options.perceived is None
    check_folder(options.out, ("report.json", "report.md") if whole else (), "report.json")
    model = checkpoint_file(options.model)
    if options.long_videos is not None:
        scenes = options.long_videos, options.size, options.device
        print(long_video.table(long_video.measure_long_videos(model, options.out, *scenes)))
        return
    if options.hands is not None:
        print(hands.table(hands.measure_hands(model, options.out, options.hands, options.size, options.device)))
        return
    if options.perceived is not None:
        scenes = options.perceived, options.size, options.device
        print(perceived.table(perceived.measure_perceived(model, options.out, *scenes)))
        return
    print(
        markdown(make_report(model, options.out, HeldOutSettings(**_fields(options, HeldOutSettings)), options.device))
    )


def sheet(options: argparse.Namespace) -> None:
    """Draw videos into one contact sheet."""
    from .evaluation.sheet import video_sheet
    from .media.outputs import check_output

    named = dict(options.clips)
    if len(named) < len(options.clips):
        labels = [name for name, _ in options.clips]
        twice = next(name for name in labels if labels.count(name) > 1)
        raise InputError(f"{twice} is the label of {labels.count(twice)} rows: give each NAME=VIDEO a name of its own")
    check_output(options.out, {**named, "--reference": options.reference})
    print(video_sheet(named, options.out, options.columns, options.reference))


def fetch_weights(options: argparse.Namespace) -> None:
    """Install files of other people's models, or list what is there of them."""
    from . import fetch

    if options.list:
        lines = fetch.list_weights(options.what)
    else:
        lines = fetch.fetch_weights(options.what, options.sources)
    print("\n".join(lines))


OF_THEIR_NAME = (scene, animate, perceive, prepare, demo, train, convert, bench, report, sheet, fetch_weights)
COMMANDS = {command.__name__.replace("_", "-"): command for command in OF_THEIR_NAME}


def _fields(options: argparse.Namespace, kind: type) -> dict:
    """The options that a dataclass has fields for."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(kind)}


def _start_logging() -> None:
    """Warnings of everything and news of this package, on standard error."""
    logging.basicConfig(format="inhabit: %(message)s", level=logging.WARNING)
    logging.getLogger(__package__).setLevel(logging.INFO)


def _fail(message: str) -> int:
    print(f"inhabit: error: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT
