"""Peak memory of loading a model and making one denoising step, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from .steps import Inputs, Shapes, load_ours, load_theirs, our_step, their_step

MIB = 2**20


def elsewhere(function: Callable, *arguments):
    """function(*arguments) in a fresh process, whose memory is its own and free afterwards."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@torch.inference_mode()
def peak_memory(shapes: Shapes, name: str, folder: Path) -> float | None:
    """Return the MiB that loading the weights in `folder` and making one step took at their highest.

    With the ReferenceNet, where the step has a reference; it is let go when it has read the picture. On CUDA the
    allocator's own count; on a CPU the process' high-water mark, mapped files included, which needs a process that
    did nothing before and exists on Linux alone: `None` elsewhere.
    """
    cuda = torch.device(shapes.device).type == "cuda"
    before = 0.0 if cuda else status_mib("VmRSS")
    if before is None:
        return None
    inputs = Inputs.random(shapes)
    if name == "diffusers":
        their_step(load_theirs(shapes, folder), inputs)()
    else:
        our_step(name, load_ours(shapes, folder), inputs, release=True)()
    if cuda:
        return torch.cuda.max_memory_allocated(shapes.device) / MIB
    return status_mib("VmHWM") - before


def status_mib(field: str) -> float | None:
    """A memory field of this process in Linux' /proc, in MiB; `None` on other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
