"""Part of `core_nodes.py`: core's Context Windows (Manual) on a MODEL of ours, against ours and against its formula."""

from __future__ import annotations

import inspect
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from core_samplers import Small
from latents import core, gap

# isort: split
import comfy.context_windows
import comfy_extras.nodes_context_windows as context_nodes
import comfy_extras.nodes_custom_sampler as custom
from inhabit.errors import InputError
from inhabit.nodes.host.clips import _frames_of
from inhabit.nodes.host.windows import with_windows
from inhabit.sampling.windows import WindowAverage, windows

FRAMES, LENGTH, OVERLAP, CFG, STEPS, SIGMA = 8, 5, 2, 2.5, 3, 3.0


class Fixed:
    """A NOISE of these values."""

    seed = run.SEED

    def __init__(self, noise: torch.Tensor) -> None:
        self.noise = noise

    def generate_noise(self, latent: dict) -> torch.Tensor:
        return self.noise.clone()  # FreeNoise moves it about in place


def core_windows(folder: Path) -> dict[str, object]:
    """Return how far core's windows are from what they should give; what is said where they cannot work."""
    long = Small(folder / "windows-of-core.safetensors")
    run.FRAMES = FRAMES
    long.reference, long.given = run.scene()
    long.inputs = run.conditioning(long.vae, long.reference, long.given, long.given.skeleton)
    cuts = "causal_window_fix" in inspect.signature(context_nodes.ContextWindowsManualNode.execute).parameters
    report = {"cuts conditions": cuts, "said": {}}
    if not cuts:
        report["said"]["use Inhabit Context Windows instead"] = said(lambda: sampled(long, with_core(long)))
        return report
    ours = with_windows(long.model, LENGTH, OVERLAP, random_offset=False)
    plain, shuffled = (with_core(long, causal_window_fix=False, freenoise=freenoise) for freenoise in (False, True))
    noise = torch.randn(long.inputs[2]["samples"].shape, generator=torch.manual_seed(run.SEED))
    moved = comfy.context_windows.apply_freenoise(noise.clone(), 0, LENGTH, OVERLAP, run.SEED)
    default = with_core(long)
    report["gaps"] = {
        "as ours without an offset": gap(sampled(long, plain, noise), sampled(long, ours, noise)),
        "freenoise": gap(sampled(long, shuffled, noise), sampled(long, ours, moved)),
        "with the frame before": gap(predicted(long, default, noise), by_hand(long, noise)),
    }
    report["differ"] = {
        "freenoise": gap(noise, moved),
        "whole": gap(sampled(long, ours, noise), sampled(long, long.model, noise)),
        "with the frame before": gap(predicted(long, default, noise), predicted(long, plain, noise)),
    }
    too_long = {"context windows of 24 frames and the frame before": with_core(long, length=24)}
    too_long["have dim 2; frames are the latent batch here"] = with_core(long, dim=2)
    run.FRAMES = 26
    long.given = run.scene()[1]
    long.inputs = run.conditioning(long.vae, long.reference, long.given, long.given.skeleton)
    report["said"] = {text: said(lambda model=model: sampled(long, model)) for text, model in too_long.items()}
    return report


def with_core(long: Small, length: int = LENGTH, dim: int = 0, **more: bool):
    node, schedule = context_nodes.ContextWindowsManualNode, "standard_static"
    known = inspect.signature(node.execute).parameters
    more = {"freenoise": False} | more if "freenoise" in known else {}
    return node.execute(long.model, length, OVERLAP, schedule, 1, False, "pyramid", dim, **more).args[0]


def sampled(long: Small, model, noise: torch.Tensor | None = None) -> torch.Tensor:
    """All steps with guidance."""
    positive, negative, latent = long.inputs
    noise = torch.randn(latent["samples"].shape) if noise is None else noise
    guider = core(custom.CFGGuider, model, positive, negative, CFG)
    return one_run(guider, core(custom.BasicScheduler, long.model, "normal", STEPS, 1.0), latent, noise)


def predicted(long: Small, model, noise: torch.Tensor, frames: list[int] | None = None) -> torch.Tensor:
    """The prediction of the clean latents of these frames alone, or of all."""
    positive, _, latent = long.inputs
    if frames is not None:
        positive, noise = _frames_of(positive, frames, FRAMES), noise[frames]
        latent = {"samples": latent["samples"][frames]}
    return one_run(core(custom.BasicGuider, model, positive), torch.tensor([SIGMA, 0.0]), latent, noise)


def one_run(guider, sigmas: torch.Tensor, latent: dict, noise: torch.Tensor) -> torch.Tensor:
    euler = core(custom.KSamplerSelect, "euler")
    return core(custom.SamplerCustomAdvanced, Fixed(noise), guider, euler, sigmas, latent)["samples"]


def by_hand(long: Small, noise: torch.Tensor) -> torch.Tensor:
    """Every window but the first with the frame before it, which is dropped again; the mean by a triangle's weights."""
    average = WindowAverage(noise.shape)
    for window in windows(FRAMES, LENGTH, OVERLAP):
        before = [window[0] - 1] if window[0] else []
        average.add(window, predicted(long, long.model, noise, before + window)[len(before) :])
    return average.result()


def said(attempt) -> str:
    try:
        attempt()
        return "nothing"
    except InputError as error:
        return str(error)
