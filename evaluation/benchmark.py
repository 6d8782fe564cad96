"""Speed and memory of one denoising step, next to diffusers' `UNetMotionModel` of the same widths, weights and inputs.

Three steps are timed in turn, forwards and backwards, and compared round by round, so that a machine that slows down
slows all three:

    diffusers       `UNetMotionModel` of diffusers
    plain           our denoiser, every condition off
    all_conditions  our denoiser with reference, environment, motion (with depth) and objects; the guiders of motion
                    and objects run inside the step, as they do whenever a video is longer than one window

The ReferenceNet runs once per run and stays outside. Memory is taken in processes of their own, one per step.
"""

from __future__ import annotations

import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import InputError
from ..models.config import PRESETS, ModelConfig
from ..models.layers import for_inference
from ..models.model import AnimationModel

logger = logging.getLogger(__name__)

STEPS = ("diffusers", "plain", "all_conditions")
CONTEXT_TOKENS = 77
MIB = 2**20


@dataclass(frozen=True)
class Shapes:
    """What is benchmarked: a preset's networks on a clip of `frames` square frames of `size` pixels."""

    preset: str
    size: int = 256
    frames: int = 8
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @property
    def config(self) -> ModelConfig:
        return PRESETS[self.preset]


@torch.inference_mode()
def benchmark(
    preset: str,
    device: str = "cpu",
    *,
    size: int = 256,
    frames: int = 8,
    rounds: int = 3,
    dtype: torch.dtype = torch.float32,
    progress: bool = True,
) -> dict:
    """Time one step of a preset with random weights and return the numbers (seconds, MiB, ratios to diffusers).

    Args:
        preset: a name in `PRESETS`.
        device: "cpu", "cuda", "cuda:1", …
        size, frames: the clip; `size` in pixels, a multiple of the preset's `size_multiple`.
        rounds: timed repetitions after one that warms up; medians are reported.
    Raises:
        InputError: unknown preset, device that is not there, unusable size.
    """
    shapes = Shapes(preset, size, frames, device, dtype)
    _check(shapes, rounds)
    bar = tqdm(total=len(STEPS) * (rounds + 2), desc=f"bench {preset}", unit="step", disable=not progress)
    with bar:
        memory = {name: _memory_elsewhere(shapes, name, bar) for name in STEPS}
        model = build(shapes)
        inputs = Inputs.random(shapes)
        once = _seconds_outside_the_step(shapes, model, inputs)
        steps = {name: make_step(name, model, inputs, shapes) for name in STEPS}
        seconds = _rounds(steps, rounds, device, bar)
    return _result(shapes, rounds, seconds, memory, once)


def summary(result: dict) -> str:
    """Return a benchmark's result as the lines that the command prints."""
    lines = [
        f"{result['preset']}, {result['frames']} frames of {result['size']} px, {result['device']}, {result['dtype']}, "
        f"{result['threads']} threads, median of {result['rounds']}",
        f"{'':16}{'s/frame/step':>14}{'peak MiB':>10}{'ratio':>8}",
    ]
    for name in STEPS:
        memory = result["peak_memory_mib"][name]
        peak = "" if memory is None else f"{memory:.0f}"
        seconds, ratio = result["seconds_per_frame_and_step"][name], result["ratio"][name]
        lines.append(f"{name:16}{seconds:14.4f}{peak:>10}{ratio:8.2f}")
    once = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in result["seconds_per_call"].items())
    return "\n".join([*lines, f"once: {once}"])


@dataclass(frozen=True)
class Inputs:
    """Random inputs in the model's layouts; the skeleton is a stick figure's share of the picture."""

    latents: Tensor  # (1, F, 4, h, w)
    timestep: Tensor  # (1,)
    context: Tensor | None  # (1, 77, D)
    reference: Tensor  # (1, 4, h, w)
    environment: Tensor  # (1, F, 4, h, w)
    mask: Tensor  # (1, F, 1, h, w)
    skeleton: Tensor  # (1, F, 3, H, W)
    depth: Tensor  # (1, F, 1, H, W)
    objects: Tensor  # (1, F, 4, h, w)

    @classmethod
    def random(cls, shapes: Shapes) -> Inputs:
        config, frames, size = shapes.config, shapes.frames, shapes.size
        generator = torch.Generator().manual_seed(0)
        side = size // config.latent.downscale
        latent = (1, frames, config.latent.channels, side, side)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(shapes.device, shapes.dtype)

        width = config.unet.cross_attention_dim
        skeleton = _stick_figure(size).to(shapes.device, shapes.dtype).expand(1, frames, 3, size, size)
        return cls(
            latents=draw(*latent),
            timestep=torch.tensor([500], device=shapes.device),
            context=None if width is None else draw(1, CONTEXT_TOKENS, width),
            reference=draw(1, *latent[2:]),
            environment=draw(*latent),
            mask=torch.ones_like(draw(1, frames, 1, side, side)),
            skeleton=skeleton,
            depth=skeleton[:, :, :1] * 0.5,
            objects=draw(*latent),
        )


def build(shapes: Shapes) -> AnimationModel:
    """Return the preset's model with random weights, laid out in memory as `models.load` does."""
    torch.manual_seed(0)
    with torch.device(shapes.device):
        model = AnimationModel(shapes.config).to(shapes.dtype)
    return for_inference(model)


def diffusers_twin(shapes: Shapes, model: AnimationModel | None = None) -> diffusers.UNetMotionModel:
    """Return diffusers' own model of the same widths, with a copy of the denoiser's weights where a model is given."""
    config, motion = shapes.config.unet, shapes.config.unet.motion_modules
    levels = [("CrossAttn" if attention else "") for attention in config.attention]
    with torch.device(shapes.device):
        twin = diffusers.UNetMotionModel(
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            down_block_types=tuple(f"{kind}DownBlockMotion" for kind in levels),
            up_block_types=tuple(f"{kind}UpBlockMotion" for kind in reversed(levels)),
            block_out_channels=config.block_out_channels,
            layers_per_block=config.layers_per_block,
            norm_num_groups=config.norm_groups,
            cross_attention_dim=config.cross_attention_dim or (None,) * len(levels),
            num_attention_heads=config.heads,
            motion_num_attention_heads=motion.heads,
            motion_max_seq_length=motion.max_frames,
            use_motion_mid_block=motion.mid_block,
        ).to(shapes.dtype)
    if model is not None:
        weights = model.denoiser.state_dict()
        weights["conv_in.weight"] = weights["conv_in.weight"][:, : config.in_channels]
        twin.load_state_dict({name: tensor for name, tensor in weights.items() if ".lookups." not in name})
    return twin.train(False).requires_grad_(False)


def make_step(name: str, model: AnimationModel | None, inputs: Inputs, shapes: Shapes) -> Callable[[], Tensor]:
    """Return one of `STEPS` as a function without arguments; it returns (1, F, 4, h, w). diffusers' needs no model."""
    if name == "diffusers":
        twin = diffusers_twin(shapes, model)
        context = torch.zeros(1, 1, 1).to(inputs.latents) if inputs.context is None else inputs.context
        context = context.repeat_interleave(shapes.frames, dim=0)  # as diffusers' AnimateDiff pipeline does
        sample = inputs.latents.transpose(1, 2).contiguous()
        return lambda: twin(sample, inputs.timestep, context).sample.transpose(1, 2)
    if name == "plain":
        return lambda: model.denoise(inputs.latents, inputs.timestep, inputs.context)
    keys_values = model.project_reference(model.reference(inputs.reference, inputs.context))

    def with_all_conditions() -> Tensor:
        return model.denoise(
            inputs.latents,
            inputs.timestep,
            inputs.context,
            reference=keys_values,
            environment=inputs.environment,
            mask=inputs.mask,
            motion=model.motion(inputs.skeleton, inputs.depth),
            objects=model.objects(inputs.objects),
        )

    return with_all_conditions


def peak_memory(shapes: Shapes, name: str) -> float | None:
    """Return the MiB that building the model and making one step took at their highest: weights and working memory.

    On CUDA the allocator's own count, on a CPU the process' high-water mark, which needs a process that did nothing
    before and exists on Linux alone; `None` elsewhere.
    """
    cuda = torch.device(shapes.device).type == "cuda"
    before = 0.0 if cuda else _status_mib("VmRSS")
    if before is None:
        return None
    with torch.inference_mode():
        model = None if name == "diffusers" else build(shapes)
        make_step(name, model, Inputs.random(shapes), shapes)()
    if cuda:
        return torch.cuda.max_memory_allocated(shapes.device) / MIB
    return _status_mib("VmHWM") - before


def _memory_elsewhere(shapes: Shapes, name: str, bar: tqdm) -> float | None:
    """`peak_memory` in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        peak = pool.submit(peak_memory, shapes, name).result()
    bar.update()
    return peak


def _rounds(steps: dict[str, Callable], rounds: int, device: str, bar: tqdm) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name in list(steps) if number % 2 else reversed(steps):
            taken = _seconds(steps[name], device)
            bar.update()
            if number > 0:  # the first round warms up
                seconds[name].append(taken)
    return seconds


def _seconds_outside_the_step(shapes: Shapes, model: AnimationModel, inputs: Inputs) -> dict[str, float]:
    calls = {
        "reference": lambda: model.project_reference(model.reference(inputs.reference, inputs.context)),
        "motion": lambda: model.motion(inputs.skeleton, inputs.depth),
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


def _result(shapes: Shapes, rounds: int, seconds: dict, memory: dict, once: dict) -> dict:
    ratios = {
        name: statistics.median(own / theirs for own, theirs in zip(taken, seconds["diffusers"], strict=True))
        for name, taken in seconds.items()
    }
    return {
        "preset": shapes.preset,
        "device": torch.cuda.get_device_name(shapes.device) if shapes.device.startswith("cuda") else shapes.device,
        "dtype": str(shapes.dtype).removeprefix("torch."),
        "size": shapes.size,
        "frames": shapes.frames,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__},
        "seconds_per_frame_and_step": {
            name: statistics.median(taken) / shapes.frames for name, taken in seconds.items()
        },
        "ratio": ratios,
        "peak_memory_mib": memory,
        "seconds_per_call": once,
    }


def _check(shapes: Shapes, rounds: int) -> None:
    if shapes.preset not in PRESETS:
        raise InputError(f"No preset {shapes.preset!r}: choose one of {', '.join(PRESETS)}.")
    multiple = shapes.config.size_multiple
    if shapes.size < multiple or shapes.size % multiple:
        raise InputError(f"Size {shapes.size} px does not fit the preset: give a multiple of {multiple}.")
    longest = shapes.config.unet.motion_modules.max_frames
    if not 1 <= shapes.frames <= longest:
        raise InputError(f"{shapes.frames} frames do not fit the preset: give 1…{longest}.")
    if rounds < 1:
        raise InputError(f"{rounds} rounds measure nothing: give 1 or more.")
    try:
        torch.empty(1, device=shapes.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"Device {shapes.device!r} cannot be used here ({reason}): try --device cpu.") from error


def _status_mib(field: str) -> float | None:
    """A memory field of this process in Linux' /proc, in MiB; `None` on other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def _stick_figure(size: int) -> Tensor:
    """Return a (size, size) mask with the share of a drawn skeleton: trunk, arms and two legs."""
    figure, unit = torch.zeros(size, size), max(1, size // 32)
    figure[4 * unit : 18 * unit, 15 * unit : 17 * unit] = 1
    figure[8 * unit : 10 * unit, 8 * unit : 24 * unit] = 1
    figure[18 * unit : 30 * unit, 13 * unit : 15 * unit] = 1
    figure[18 * unit : 30 * unit, 17 * unit : 19 * unit] = 1
    return figure
