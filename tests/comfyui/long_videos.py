"""Runs in a process of its own, with ComfyUI on the path: what stays of an interrupted run, and how much memory a
long video needs beside a short one. Prints what `test_long_videos.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/long_videos.py FOLDER
"""

from __future__ import annotations

import gc
import json
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import torch
from latents import conditioning, core, tiny_checkpoint  # the first of all: it sets ComfyUI to the CPU
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import comfy.model_management  # isort: skip
import comfy.utils  # isort: skip
from comfy.patcher_extension import WrappersMP  # isort: skip
from comfy_extras.nodes_custom_sampler import KSamplerSelect, RandomNoise, SamplerCustomAdvanced  # isort: skip
from inhabit.nodes.guider import InhabitAnimationGuider
from inhabit.nodes.host.model import load_model, load_vae
from inhabit.nodes.host.run import RUN
from inhabit.nodes.host.sampling import TRAILING, sigmas_for
from inhabit.nodes.sampler import InhabitContextWindows, InhabitWindowedSampler
from inhabit.pipeline import DrivingConditions

import nodes  # isort: skip

SIZE, LENGTH, OVERLAP, STEPS, SHORT, LONG = 32, 16, 2, 1, 64, 320
PASSES = 3  # of the denoiser, two a window, before the interrupt: in the second window, or in the second clip


class Scene:
    """A video of `frames` frames of noise, as conditions of a tiny model."""

    def __init__(self, path: Path, frames: int) -> None:
        self.model, vae = load_model(path), load_vae(path)
        pictures = [torch.rand(frames, SIZE, SIZE, 3, generator=torch.manual_seed(number)) for number in range(4)]
        driving, skeleton, depth, blur = pictures
        mask = torch.zeros(frames, SIZE, SIZE)
        mask[:, 8:24, 8:24] = 1
        given = DrivingConditions(driving, mask, skeleton, depth[..., 0], mask, blur)
        self.inputs = conditioning(vae, torch.rand(1, 32, 32, 3), given, skeleton)

    def windowed(self, model, long_video: str) -> Tensor:
        settings = (1, STEPS, 2.0, "euler", "trailing", LENGTH, OVERLAP, long_video)
        return InhabitWindowedSampler.execute(model, *self.inputs, *settings).args[0]["samples"]

    def ksampler(self, model) -> Tensor:
        model = InhabitContextWindows.execute(model, LENGTH, OVERLAP, False).args[0]
        return nodes.common_ksampler(model, 1, STEPS, 2.0, "euler", "simple", *self.inputs)[0]["samples"]

    def custom(self, model, kept: list) -> Tensor:
        """SamplerCustomAdvanced; its GUIDER goes to `kept`, as ComfyUI keeps the outputs of nodes that ran."""
        model = InhabitContextWindows.execute(model, LENGTH, OVERLAP, False).args[0]
        kept.append(InhabitAnimationGuider.execute(model, *self.inputs[:2], 2.0).args[0])
        noise, sampler = core(RandomNoise, 1), core(KSamplerSelect, "euler")
        sigmas = sigmas_for(model, TRAILING, STEPS)
        return core(SamplerCustomAdvanced, noise, kept[-1], sampler, sigmas, self.inputs[2])


def left_by_an_interrupt(scene: Scene, sample: Callable) -> dict[str, object]:
    """Interrupt `sample(model)` in the middle; return the names of what was made and is still there."""
    made: dict[str, weakref.ref] = {}
    model = scene.model.clone()
    model.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "watch", lambda *args, **kw: _watch(made, *args, **kw))
    network, passes = model.model.diffusion_model, []

    def interrupt(*_) -> None:
        passes.append(1)
        if len(passes) == PASSES:
            run = [thing() for name, thing in made.items() if name.startswith("run")][-1]
            made["motion"] = weakref.ref(next(iter(run._features.values()))[1]["pose"])
            comfy.model_management.interrupt_current_processing()

    hook = network.register_forward_hook(interrupt)
    interrupted = False
    try:
        sample(model)
    except comfy.model_management.InterruptProcessingException:
        interrupted = True
    finally:
        hook.remove()
    gc.collect()
    options = model.model_options["transformer_options"]
    return {
        "interrupted": interrupted,
        "passes": len(passes),
        "runs": sum(name.startswith("run") for name in made),
        "made": sorted(made),
        "left": sorted(name for name, thing in made.items() if thing() is not None),
        "options": sorted(key for key in options if key.startswith("inhabit")),
    }


def _watch(made: dict, executor, guider, sigmas, extra_args: dict, callback, noise, *args, **kwargs):
    """SAMPLER_SAMPLE wrapper, behind our own: notes what the run has made."""
    run = extra_args["model_options"]["transformer_options"][RUN]
    things = {"run": run, "noise": noise, "callback": callback, **guider.conds["positive"][0]["model_conds"]}
    things["reference"] = tree_leaves(run.references)[0]
    clip = sum(name.startswith("run") for name in made)
    made |= {f"{name} {clip}": weakref.ref(thing) for name, thing in things.items()}
    return executor(guider, sigmas, extra_args, callback, noise, *args, **kwargs)


class Peak(TorchDispatchMode):
    """Counts the bytes of all tensors made inside, as long as they live; `most` is the largest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self._note((args, kwargs), counts=False)  # weights and conditions were there before
        result = function(*args, **(kwargs or {}))
        self._note(result, counts=True)
        return result

    def _note(self, tensors, counts: bool) -> None:
        for storage in (each.untyped_storage() for each in tree_leaves(tensors) if isinstance(each, Tensor)):
            if id(storage) not in self._known:
                size = storage.nbytes() if counts else 0
                self._known.add(id(storage))
                self.now += size
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._forget, id(storage), size)

    def _forget(self, number: int, size: int) -> None:
        self._known.discard(number)
        self.now -= size


def memory(scene: Scene, sample: Callable) -> tuple[int, list[int]]:
    """Return the peak of bytes in tensors while sampling, and the numbers of frames that the denoiser was given."""
    lengths = set()
    hook = scene.model.model.diffusion_model.register_forward_pre_hook(lambda _, args: lengths.add(len(args[0])))
    with Peak() as peak:
        sampled = sample(scene.model)
    hook.remove()
    assert sampled.isfinite().all()
    return peak.most, sorted(lengths)


def ways(scene: Scene, kept: list) -> dict[str, Callable]:
    return {
        "windows": lambda model: scene.windowed(model, "windows"),
        "clips": lambda model: scene.windowed(model, "clips"),
        "KSampler": scene.ksampler,
        "SamplerCustomAdvanced": lambda model: scene.custom(model, kept),
    }


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    path, kept = folder / "tiny.safetensors", []
    tiny_checkpoint(path)
    comfy.utils.set_progress_bar_global_hook(  # where ComfyUI's server looks for interrupts
        lambda *_, **__: comfy.model_management.throw_exception_if_processing_interrupted()
    )
    short, long = Scene(path, SHORT), Scene(path, LONG)
    report = {"interrupts": {name: left_by_an_interrupt(short, way) for name, way in ways(short, kept).items()}}
    for name in ("windows", "clips"):
        (few, first), (many, second) = (memory(each, ways(each, kept)[name]) for each in (short, long))
        latents = (LONG - SHORT) * long.inputs[2]["samples"][0].nbytes
        report[f"memory, {name}"] = {"short": few, "long": many, "latents": latents, "lengths": [first, second]}
    return report


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
