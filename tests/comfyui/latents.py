"""Runs in a process of its own, with ComfyUI on the path: one tiny model through ComfyUI's samplers and through
`pipeline.animate`. Prints what `test_latents.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/latents.py FOLDER
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from comfy.cli_args import args

args.cpu = True  # before anything of ComfyUI asks for a device

import comfy.context_windows  # noqa: E402
import comfy.patcher_extension  # noqa: E402
import comfy.sd  # noqa: E402
from comfy_extras.nodes_custom_sampler import CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced  # noqa: E402
from comfy_extras.nodes_model_merging import save_checkpoint  # noqa: E402
from inhabit.errors import InputError  # noqa: E402
from inhabit.models import PRESETS, LatentCodec  # noqa: E402
from inhabit.nodes import conditions  # noqa: E402
from inhabit.nodes.folders import register_model_folders  # noqa: E402
from inhabit.nodes.host.conds import ENVIRONMENT, MASK  # noqa: E402
from inhabit.nodes.host.model import load_model, load_vae  # noqa: E402
from inhabit.nodes.host.run import Run  # noqa: E402
from inhabit.nodes.host.sampling import TRAILING, sigmas_for  # noqa: E402
from inhabit.nodes.sampler import InhabitContextWindows, InhabitWindowedSampler  # noqa: E402
from inhabit.pipeline import DrivingConditions, Settings, animate  # noqa: E402
from inhabit.weights import load, load_codec  # noqa: E402
from tiny import EPSILON, VERSION_1, tiny_checkpoint  # noqa: E402

import nodes  # noqa: E402

FRAMES, SIZE, LENGTH, OVERLAP, SEED, STEPS = 8, 64, 6, 2, 5, 5
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


def scene() -> tuple[torch.Tensor, DrivingConditions]:
    generator = torch.manual_seed(1)
    driving = torch.rand(FRAMES, SIZE, SIZE, 3, generator=generator)
    mask, objects = torch.zeros(2, FRAMES, SIZE, SIZE)
    mask[:, 8:50, 10:40] = 1
    objects[:, 30:44, 30:50] = 1
    skeleton = (
        torch.rand(driving.shape, generator=generator) * (torch.rand(mask.shape, generator=generator) > 0.7)[..., None]
    )
    depth = torch.rand(mask.shape, generator=generator) * (skeleton.amax(dim=-1) > 0.1)
    reference = torch.rand(1, 48, 56, 3, generator=generator)
    blur = torch.rand(driving.shape, generator=generator)
    return reference, DrivingConditions(driving, mask, skeleton, depth, objects, blur)


def conditioning(vae, reference: torch.Tensor, given: DrivingConditions, skeleton: torch.Tensor):
    positive, negative = conditions.InhabitReference.execute(vae, reference).args
    depth = given.depth.unsqueeze(-1).expand(-1, -1, -1, 3)
    positive, negative = conditions.InhabitMotion.execute(positive, negative, skeleton, depth, given.blur).args
    positive, negative, latent = conditions.InhabitEnvironment.execute(
        positive, negative, vae, given.driving, given.mask
    ).args
    return *conditions.InhabitObjects.execute(positive, negative, vae, given.driving, given.object_mask).args, latent


def command_line(model, codec, reference, given: DrivingConditions, guidance: float, **more) -> torch.Tensor:
    """Return the latents that `pipeline.animate` decodes."""
    seen = []
    recording = LatentCodec(codec.vae, scale=codec.scale, downscale=codec.downscale)
    recording.decode = lambda latents: (seen.append(latents), codec.decode(latents))[1]
    fixed = {"steps": STEPS, "guidance": guidance, "seed": SEED, "window": LENGTH, "overlap": OVERLAP}
    options = {name: more.pop(name) for name in ("context", "without") if name in more}
    animate(model, recording, reference, given, Settings(**fixed | more), **options, progress=False)
    return torch.cat(seen) / model.config.latent.scale


def windowed(
    model, positive, negative, latent, guidance: float, steps: int = STEPS, long_video: str = "windows"
) -> torch.Tensor:
    result = InhabitWindowedSampler.execute(
        model, positive, negative, latent, SEED, steps, guidance, "euler", "trailing", LENGTH, OVERLAP, long_video
    )
    return result.args[0]["samples"]


def custom(model, positive, negative, latent, guidance: float) -> torch.Tensor:
    """The same through core's SamplerCustomAdvanced."""
    model = InhabitContextWindows.execute(model, LENGTH, OVERLAP, True).args[0]
    guider = core(CFGGuider, model, positive, negative, guidance)
    noise, sampler = core(RandomNoise, SEED), core(KSamplerSelect, "euler")
    sigmas = sigmas_for(model, TRAILING, STEPS)
    return core(SamplerCustomAdvanced, noise, guider, sampler, sigmas, latent)["samples"]


def core(node: type, *inputs):
    """Return the first output of one of core's nodes, of the old or the V3 API."""
    return getattr(node(), node.FUNCTION)(*inputs)[0]


def lora(down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    name = "lora_unet_" + LAYER.replace(".", "_")
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(3.0)}


def planned_frames(model, *inputs) -> int:
    """Return the number of frames that core plans memory for."""
    seen = []

    def watch(executor, patcher, noise_shape, *rest, **named):
        seen.append(noise_shape[0])
        return executor(patcher, noise_shape, *rest, **named)

    model = model.clone()
    model.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.PREPARE_SAMPLING, "watch", watch)
    windowed(model, *inputs, 1.0, steps=1)
    return seen[0]


def refusals(vae, reference: torch.Tensor, given: DrivingConditions) -> dict[str, str]:
    """Return what the condition nodes say to inputs that cannot work."""
    depth = given.depth.unsqueeze(-1).expand(-1, -1, -1, 3)
    hole = depth.clone()
    hole[3, 4, 5] = float("nan")
    environment, motion, start = conditions.InhabitEnvironment, conditions.InhabitMotion, conditions.InhabitReference
    attempts = {
        "2 images": lambda: start.execute(vae, reference.repeat(2, 1, 1, 1)),
        "1x1 pixels": lambda: start.execute(vae, reference[:, :1, :1]),
        "3 NaN or infinite values": lambda: motion.execute([], [], given.skeleton, hole),
        "7 frames but skeleton has 8": lambda: motion.execute([], [], given.skeleton, depth[1:]),
        "blur has 6 frames but skeleton has 8": lambda: motion.execute([], [], given.skeleton, depth, given.blur[2:]),
        "mode is 'both'; choose one of model input, noise mask": lambda: environment.execute(
            [], [], vae, given.driving, given.mask, mode="both"
        ),
        'fill is "pink": give one of blank, mean, blurred': lambda: environment.execute(
            [], [], vae, given.driving, given.mask, fill="pink"
        ),
        "62 x 64 pixels": lambda: environment.execute([], [], vae, given.driving[:, :, :62], given.mask[:, :, :62]),
        "7 frames but driving has 8": lambda: environment.execute([], [], vae, given.driving, given.mask[:7]),
        "32x64": lambda: environment.execute([], [], vae, given.driving, given.mask[:, :, :32]),
        "outside of a sampling run": lambda: Run().reference((1, 2)),
        "(8, 64, 64)": lambda: environment.execute([], [], vae, given.driving[..., 0], given.mask),
    }
    said = {}
    for expected, attempt in attempts.items():
        try:
            attempt()
            said[expected] = "nothing"
        except InputError as error:
            said[expected] = str(error)
    return said


def version_1(folder: Path, name: str, **changes) -> dict[str, object]:
    """Return how a model with no inputs for environment, objects and depth compares; `name` goes before the keys."""
    path = folder / f"{name}.safetensors"
    sampling = PRESETS["puppets"].sampling.model_dump() | {"unconditional_without": ("reference",)}
    tiny_checkpoint(path, **VERSION_1, sampling=sampling, **changes)
    model, vae, ours, codec = load_model(path), load_vae(path), load(path), load_codec(path)
    reference, given = scene()
    positive, negative, latent = inputs = conditioning(vae, reference, given, given.skeleton)
    report, scene_latents = {}, positive[0][1][ENVIRONMENT]
    for guidance in (1.0, 2.5):
        expected = command_line(ours, codec, reference, given, guidance)
        with warned() as warnings:
            report[f"{name}, cfg {guidance}"] = gap(windowed(model, *inputs, guidance), expected)
        report[f"{name}, warnings, cfg {guidance}"] = warnings
    by_clips = command_line(ours, codec, reference, given, 2.5, long_video="clips")
    report[f"{name}, clips"] = gap(windowed(model, *inputs, 2.5, long_video="clips"), by_clips)
    windows = InhabitContextWindows.execute(model, LENGTH, OVERLAP, True).args[0]
    [sampled] = nodes.common_ksampler(windows, SEED, STEPS, 2.5, "euler", "simple", *inputs)
    report[f"{name}, ksampler"] = gap(sampled["samples"], expected)
    bare = conditions.InhabitReference.execute(vae, reference).args
    masked = conditions.InhabitEnvironment.execute(*bare, vae, given.driving, given.mask, mode="noise mask").args
    outside = (positive[0][1][MASK] < 0.5).expand_as(scene_latents)
    report[f"{name}, noise mask mode"] = gap(windowed(model, *masked, 1.0)[outside], scene_latents[outside])
    half, own = torch.ones(FRAMES, SIZE, SIZE), torch.full_like(latent["samples"], 0.3)
    half[:, :, : SIZE // 2] = 0
    kept = windowed(model, positive, negative, {"samples": own, "noise_mask": half}, 1.0)
    left, inside = torch.arange(kept.shape[-1]) < kept.shape[-1] // 2, positive[0][1][MASK] > 0.5
    wanted = torch.where(inside, torch.where(left, own, kept), scene_latents)
    report[f"{name}, the user's noise mask"] = gap(kept, wanted)
    report[f"{name}, and is drawn elsewhere"] = gap(kept, own)
    return report


def motion_under_one_uuid(model, given) -> float:
    """Two conditionings that core tells apart by nothing, as it does where one has an area."""
    animation, run = model.model.diffusion_model.animation, Run()
    skeleton = given.skeleton.movedim(-1, 1).unsqueeze(0)
    gaps = []
    for inputs in ((skeleton,), (skeleton.flip(1),), (skeleton, skeleton[:, :, :1])):
        named = dict(zip(("skeleton", "depth"), inputs, strict=False))
        for _ in range(2):
            gaps.append(gap(run.features(animation, named, {"uuids": ["one"]})["pose"], animation.pose(*inputs)))
    return max(gaps)


@contextlib.contextmanager
def warned() -> Iterator[list[str]]:
    """Collects the pack's warnings."""
    handler, messages = logging.Handler(logging.WARNING), []
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("inhabit")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def gap(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    path = folder / "tiny.safetensors"
    tiny_checkpoint(path)
    model, vae, ours, codec = load_model(path), load_vae(path), load(path), load_codec(path)
    reference, given = scene()
    positive, negative, latent = inputs = conditioning(vae, reference, given, given.skeleton)
    latents = codec.encode(given.driving)
    report = {
        "refusals": refusals(vae, reference, given),
        "vae encode": gap(vae.encode(given.driving) * ours.config.latent.scale, latents),
        "vae decode": gap(vae.decode(latents / ours.config.latent.scale), codec.decode(latents)),
    }
    for guidance in (1.0, 2.5):
        expected = command_line(ours, codec, reference, given, guidance)
        report[f"windowed sampler, cfg {guidance}"] = gap(windowed(model, *inputs, guidance), expected)
    by_clips = command_line(ours, codec, reference, given, 2.5, long_video="clips")
    report["clips"] = gap(windowed(model, *inputs, 2.5, long_video="clips"), by_clips)
    report["clips differ from windows by"] = gap(by_clips, expected)
    report["custom sampler"] = gap(custom(model, *inputs, 2.5), expected)
    windows = InhabitContextWindows.execute(model, LENGTH, OVERLAP, True).args[0]
    [sampled] = nodes.common_ksampler(windows, SEED, STEPS, 2.5, "euler", "simple", *inputs)
    report["ksampler"] = gap(sampled["samples"], expected)

    calls = []
    hook = model.model.diffusion_model.animation.reference.register_forward_pre_hook(lambda *_: calls.append(1))
    report["planned frames"] = planned_frames(model, *inputs)
    plain = windowed(model, *inputs, 1.0, steps=3)
    report["reference passes in two runs"] = len(calls)
    hook.remove()

    other = conditioning(vae, reference, given, given.skeleton.flip(0))[0]
    one, two, both = (windowed(model, side, negative, latent, 1.0, 1) for side in (positive, other, positive + other))
    report["combined"] = gap(both, (one + two) / 2)
    report["combined differ by"] = gap(one, two)
    report["motion under one uuid"] = motion_under_one_uuid(model, given)

    save_checkpoint(model, vae=vae, filename_prefix="kept", output_dir=str(folder))
    kept = next(folder.glob("kept*.safetensors"))
    again, kept_codec = windowed(load_model(kept), *inputs, 1.0, 3), load_codec(kept)
    report["saved by core"] = max(gap(again, plain), gap(kept_codec.encode(given.driving), latents))

    down, up = torch.randn(2, 32), torch.randn(32, 2)
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora(down, up), 0.5, 0)
    ours.denoiser.get_submodule(LAYER).weight += 0.5 * 3 / 2 * up @ down
    expected = command_line(ours, codec, reference, given, 1.0)
    report["lora"] = gap(windowed(patched, *inputs, 1.0), expected)
    report["lora differs by"] = gap(windowed(patched, *inputs, 1.0, 3), plain)
    return report | version_1(folder, "version 1") | version_1(folder, "version 1 epsilon", schedule=EPSILON)


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
