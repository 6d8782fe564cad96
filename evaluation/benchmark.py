"""Speed and memory of one denoising step, next to diffusers' `UNetMotionModel` of the same widths, weights and inputs.

The steps of `steps.py` are timed in turn, forwards and backwards, and compared round by round, so that a machine that
slows down slows all of them. The ReferenceNet runs once per run and stays outside.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from ..errors import InputError
from ..models.config import PRESETS
from ..models.model import AnimationModel
from .memory import elsewhere, peak_memory
from .steps import STEPS, Inputs, Shapes, load_ours, load_theirs, our_step, their_step, write_weights

MATRIX = {"cuda": 8192, "cpu": 2048}  # sides of the product that tells how fast the device multiplies


@torch.inference_mode()
def benchmark(
    preset: str,
    device: str = "cpu",
    *,
    size: tuple[int, int] = (256, 256),
    frames: int = 8,
    rounds: int = 3,
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
    progress: bool = True,
) -> dict:
    """Time one step of a preset with random weights and return the numbers (seconds, MiB, ratios to diffusers).

    The weights are written to a temporary folder and loaded from there, by either library in its own way.

    Args:
        preset: a name in `PRESETS`.
        device: "cpu", "cuda", "cuda:1", …
        size, frames: the clip; `size` is (width, height) in pixels, multiples of the preset's `size_multiple`.
        rounds: timed repetitions after one that warms up; medians are reported.
        compiled: run both denoisers through `torch.compile`.
    Raises:
        InputError: unknown preset, device that is not there, unusable size.
    """
    shapes = Shapes(preset, size, frames, device, dtype, compiled)
    _check(shapes, rounds)
    bar = tqdm(total=len(STEPS) * (rounds + 2) + 1, desc=f"bench {preset}", unit="step", disable=not progress)
    with bar, tempfile.TemporaryDirectory(prefix="inhabit-bench-") as name:
        folder = Path(name)
        elsewhere(write_weights, shapes, folder)
        bar.update()
        memory = {}
        for step in STEPS:
            memory[step] = elsewhere(peak_memory, shapes, step, folder)
            bar.update()
        model, inputs = load_ours(shapes, folder), Inputs.random(shapes)
        steps: dict[str, Callable] = {"diffusers": their_step(load_theirs(shapes, folder), inputs)}
        steps |= {name: our_step(name, model, inputs) for name in STEPS[1:]}
        once = _seconds_outside_the_step(shapes, model, inputs)
        operations = {name: _operations(step) for name, step in steps.items()}
        seconds = _rounds(steps, rounds, device, bar)
    return _result(shapes, rounds, seconds, memory, once, operations)


def summary(result: dict) -> str:
    """Return a benchmark's result as the lines that the command prints."""
    size, compiled = "x".join(map(str, result["size"])), ", compiled" if result["compiled"] else ""
    lines = [
        f"{result['preset']}, {result['frames']} frames of {size} px, {result['device']}, {result['dtype']}{compiled}, "
        f"{result['threads']} threads, median of {result['rounds']}; a step of guidance, both passes",
        f"{'':16}{'s/step':>9}{'ratio':>7}{'peak MiB':>10}{'TFLOP':>8}{'of peak':>9}",
    ]
    for name in STEPS:
        memory = result["peak_memory_mib"][name]
        peak = "" if memory is None else f"{memory:.0f}"
        lines.append(
            f"{name:16}{result['seconds_per_step'][name]:9.3f}{result['ratio'][name]:7.2f}{peak:>10}"
            f"{result['tflop_per_step'][name]:8.2f}{result['share_of_matmul_peak'][name]:9.0%}"
        )
    once = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in result["seconds_per_call"].items())
    peak = f"peak: {result['matmul_tflop_per_second']:.2f} TFLOP/s in a large product"
    return "\n".join([*lines, peak, f"once: {once}"])


def _rounds(steps: dict[str, Callable], rounds: int, device: str, bar: tqdm) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name in list(steps) if number % 2 else reversed(steps):
            taken = _seconds(steps[name], device)
            bar.update()
            if number > 0:  # the first round warms up
                seconds[name].append(taken)
    return seconds


def _operations(step: Callable) -> int:
    """Floating-point operations of a step's products and convolutions, by PyTorch's own count."""
    with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def _matmul_speed(shapes: Shapes) -> float:
    """Operations a second of the fastest of ten large products: what the device can do at most in this type."""
    side = MATRIX[torch.device(shapes.device).type]
    matrix = torch.randn(side, side, device=shapes.device).to(shapes.dtype)
    return 2 * side**3 / min(_seconds(lambda: matrix @ matrix, shapes.device) for _ in range(10))


def _seconds_outside_the_step(shapes: Shapes, model: AnimationModel, inputs: Inputs) -> dict[str, float]:
    context = None if inputs.context is None else inputs.context[1:]
    calls = {
        "reference": lambda: model.project_reference(model.reference(inputs.reference, context)),
        "motion": lambda: model.pose(inputs.skeleton, inputs.depth),
        "objects": lambda: model.objects(inputs.objects),
    }
    return {name: min(_seconds(call, shapes.device) for _ in range(2)) for name, call in calls.items()}


def _seconds(call: Callable, device: str) -> float:
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else (lambda: None)
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def _result(shapes: Shapes, rounds: int, seconds: dict, memory: dict, once: dict, operations: dict) -> dict:
    ratios = {
        name: statistics.median(own / theirs for own, theirs in zip(taken, seconds["diffusers"], strict=True))
        for name, taken in seconds.items()
    }
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    speed = _matmul_speed(shapes)
    return {
        "preset": shapes.preset,
        "device": torch.cuda.get_device_name(shapes.device) if shapes.device.startswith("cuda") else shapes.device,
        "dtype": str(shapes.dtype).removeprefix("torch."),
        "compiled": shapes.compiled,
        "size": list(shapes.size),
        "frames": shapes.frames,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
        "seconds_per_step": medians,
        "seconds_per_frame_and_step": {name: median / shapes.frames for name, median in medians.items()},
        "ratio": ratios,
        "peak_memory_mib": memory,
        "tflop_per_step": {name: count / 1e12 for name, count in operations.items()},
        "matmul_tflop_per_second": speed / 1e12,
        "share_of_matmul_peak": {name: operations[name] / medians[name] / speed for name in medians},
        "seconds_per_call": once,
    }


def _check(shapes: Shapes, rounds: int) -> None:
    if shapes.preset not in PRESETS:
        raise InputError(f"no preset {shapes.preset!r}: choose one of {', '.join(PRESETS)}")
    multiple = shapes.config.size_multiple
    if any(side < multiple or side % multiple for side in shapes.size):
        size = "x".join(map(str, shapes.size))
        raise InputError(f"size {size} px does not fit the preset: give multiples of {multiple}")
    longest = shapes.config.unet.motion_modules.max_frames
    if not 1 <= shapes.frames <= longest:
        raise InputError(f"{shapes.frames} frames do not fit the preset: give 1…{longest}")
    if rounds < 1:
        raise InputError(f"{rounds} rounds measure nothing: give 1 or more")
    try:
        torch.empty(1, device=shapes.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {shapes.device!r} cannot be used here ({reason}): try --device cpu") from error
