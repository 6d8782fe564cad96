"""Runs in a process of its own, with ComfyUI on the path: HIA's sampling in single nodes, through core's samplers and
through `pipeline.animate`. Prints what `test_primitives.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/primitives.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from latents import LENGTH, OVERLAP, SEED, STEPS, conditioning, core, gap, scene, windowed
from tiny import EPSILON, VERSION_1, tiny_checkpoint

# isort: split
import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
from comfy_extras.nodes_custom_sampler import CFGGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced
from inhabit.errors import InputError
from inhabit.models import PRESETS
from inhabit.nodes.folders import register_model_folders
from inhabit.nodes.guider import InhabitAnimationGuider
from inhabit.nodes.host.conds import MASK
from inhabit.nodes.host.model import load_model, load_vae
from inhabit.nodes.noise import InhabitReferenceNoise
from inhabit.nodes.sampler import InhabitContextWindows
from inhabit.nodes.schedule import InhabitShiftedSNR, InhabitTrailingSigmas
from inhabit.sampling.schedules import SMALLEST_ALPHA_BAR, sigmas
from inhabit.weights import load, load_codec

GAMMA = 0.3
TRAINED_SHIFTED = {"gamma": 0.4}
SEES_MOTION = PRESETS["puppets"].sampling.model_dump() | {"unconditional_without": ("reference",)}
SEES_REFERENCE = SEES_MOTION | {"unconditional_without": ("motion",)}
SEES_BOTH = SEES_MOTION | {"unconditional_without": ()}
PICTURE = torch.zeros(1, 4, 8, 8)


class Tiny:
    """A small model with its schedule, in ComfyUI and on the command line, and what it is given."""

    def __init__(self, path: Path, **changes) -> None:
        if not path.exists():
            tiny_checkpoint(path, **changes)
        self.model, self.vae, self.ours, self.codec = (
            load_model(path),
            load_vae(path),
            load(path),
            load_codec(path),
        )
        self.reference, self.given = scene()
        self.reference_latent = {"samples": self.vae.encode(self.reference)}
        self.encoded = self.codec.encode(self.reference)
        self.inputs = conditioning(self.vae, self.reference, self.given, self.given.skeleton)

    def command_line(self, guidance: float, **settings) -> torch.Tensor:
        return run.command_line(self.ours, self.codec, self.reference, self.given, guidance, **settings)


def shifted(tiny: Tiny, name: str) -> dict[str, float]:
    """Return how Shifted SNR in front of the Windowed Sampler compares with `animate(gamma=…)`."""
    model = InhabitShiftedSNR.execute(tiny.model, GAMMA).args[0]
    report = {}
    for guidance in (1.0, 2.5):
        expected = tiny.command_line(guidance, gamma=GAMMA)
        report[f"shifted, {name}, cfg {guidance}"] = gap(windowed(model, *tiny.inputs, guidance), expected)
    report[f"the shift differs by, {name}"] = gap(expected, tiny.command_line(guidance))
    return report


def reference_noise(tiny: Tiny, name: str) -> dict[str, float]:
    """Return how Reference Noise in SamplerCustomAdvanced compares with `animate(reference_noise=True)`."""
    noise = InhabitReferenceNoise.execute(tiny.model, tiny.reference_latent, SEED).args[0]
    report = {}
    for guidance in (1.0, 2.5):
        expected = tiny.command_line(guidance, reference_noise=True)
        report[f"reference noise, {name}, cfg {guidance}"] = gap(
            custom(tiny.model, *tiny.inputs, guidance, noise), expected
        )
    report[f"the reference noise differs by, {name}"] = gap(expected, tiny.command_line(guidance))
    sigma = float(tiny.model.get_model_object("model_sampling").sigma_max)
    same_size = {"samples": torch.zeros_like(tiny.encoded).repeat(3, 1, 1, 1), "batch_index": [4, 2, 7]}
    drawn, alone = noise.generate_noise(same_size), core(RandomNoise, SEED).generate_noise(same_size)
    report[f"reference noise, {name}, by hand"] = gap(drawn, (tiny.encoded + sigma * alone) / (1 + sigma**2) ** 0.5)
    return report


def together(tiny: Tiny, name: str) -> dict[str, float]:
    """Return how all the nodes at once compare, with the right negative conditioning and with the positive one."""
    positive, negative, latent = tiny.inputs
    model = InhabitShiftedSNR.execute(tiny.model, GAMMA).args[0]
    noise = InhabitReferenceNoise.execute(model, tiny.reference_latent, SEED).args[0]
    report = {}
    for guidance in (1.0, 2.5):
        expected = tiny.command_line(guidance, gamma=GAMMA, reference_noise=True)
        for kind, other in (("negative", negative), ("positive twice", positive)):
            found = guided(model, positive, other, latent, guidance, noise)
            report[f"together, {name}, {kind}, cfg {guidance}"] = gap(found, expected)
    alone = guided(tiny.model, positive, positive, latent, 2.5, core(RandomNoise, SEED))
    report[f"guider and windowed sampler, {name}"] = gap(alone, windowed(tiny.model, *tiny.inputs, 2.5))
    unguided = custom(tiny.model, positive, positive, latent, 2.5, core(RandomNoise, SEED))
    report[f"the guider differs by, {name}"] = gap(alone, unguided)
    return report


def kept(tiny: Tiny) -> dict[str, float]:
    """Return how reference noise over a kept scene compares: the model's own noise mask, and one of the user's."""
    positive, negative, latent = tiny.inputs
    noise = InhabitReferenceNoise.execute(tiny.model, tiny.reference_latent, SEED).args[0]
    expected = tiny.command_line(2.5, reference_noise=True)
    report = {"a kept scene under reference noise": gap(guided(tiny.model, *tiny.inputs, 2.5, noise), expected)}
    half = torch.ones(len(tiny.given.driving), 1, *latent["samples"].shape[2:])
    half[..., : half.shape[-1] // 2] = 0
    drawn = noise.generate_noise({"samples": latent["samples"], "noise_mask": half})
    alone = core(RandomNoise, SEED).generate_noise(latent)
    whole = noise.generate_noise(latent)
    wanted = torch.where(half.expand_as(alone) == 0, alone, whole)
    report["what a noise mask keeps, under reference noise"] = gap(drawn, wanted)
    soft = {**latent, "noise_mask": torch.full_like(half, 0.5)}
    between = Given(torch.where(positive[0][1][MASK] == 0, alone, torch.lerp(alone, whole, 0.5)))
    drawn = custom(tiny.model, positive, negative, soft, 2.5, noise, make_guider=animation_guider)
    expected = custom(tiny.model, positive, negative, soft, 2.5, between, make_guider=animation_guider)
    report["half kept by a noise mask, under reference noise"] = gap(drawn, expected)
    report["the reference noise is other noise by"] = gap(whole, alone)
    return report


class Given:
    """Core's NOISE object for a noise that is known."""

    seed = SEED

    def __init__(self, noise: torch.Tensor) -> None:
        self.generate_noise = lambda latent: noise


def guided(model, positive, negative, latent: dict, guidance: float, noise) -> torch.Tensor:
    return custom(model, positive, negative, latent, guidance, noise, make_guider=animation_guider)


def animation_guider(*inputs):
    return InhabitAnimationGuider.execute(*inputs).args[0]


def cfg_guider(*inputs):
    return core(CFGGuider, *inputs)


def custom(model, positive, negative, latent: dict, guidance: float, noise, make_guider=cfg_guider) -> torch.Tensor:
    """Return the latents of core's SamplerCustomAdvanced, in windows over the trailing sigmas."""
    model = InhabitContextWindows.execute(model, LENGTH, OVERLAP, True).args[0]
    guider, sampler = make_guider(model, positive, negative, guidance), core(KSamplerSelect, "euler")
    sigmas = InhabitTrailingSigmas.execute(model, STEPS).args[0]
    return core(SamplerCustomAdvanced, noise, guider, sampler, sigmas, latent)["samples"]


def schedules(tiny: Tiny) -> dict[str, float | bool]:
    """Return how the sigmas compare with the library's, as trained, shifted, and of core's own kind of model."""
    schedule, latent = tiny.ours.config.schedule, tiny.inputs[2]
    model = InhabitShiftedSNR.execute(tiny.model, GAMMA).args[0]
    small = InhabitShiftedSNR.execute(tiny.model, 0.0, latent).args[0]
    large = InhabitShiftedSNR.execute(tiny.model, 0.0, {"samples": torch.zeros(1, 4, 256, 256)}).args[0]
    auto = 512**2 / (256 * tiny.ours.config.latent.downscale) ** 2 / (schedule.gamma or 1)
    core = stable_diffusion()
    before = core.get_model_object("model_sampling").sigmas
    after = InhabitShiftedSNR.execute(core, GAMMA).args[0].get_model_object("model_sampling").sigmas
    pairs = {
        "trailing": (InhabitTrailingSigmas.execute(tiny.model, STEPS).args[0], sigmas(schedule, STEPS)),
        "trailing, shifted": (InhabitTrailingSigmas.execute(model, STEPS).args[0], sigmas(schedule, STEPS, GAMMA)),
        "auto of a small latent": (InhabitTrailingSigmas.execute(small, STEPS).args[0], sigmas(schedule, STEPS)),
        "auto of a large latent": (
            InhabitTrailingSigmas.execute(large, STEPS).args[0],
            sigmas(schedule, STEPS, min(auto, 1.0)),
        ),
        "stable diffusion": (after, before / GAMMA**0.5),
    }
    report = {
        name: float(((ours - wanted).abs() / wanted.clamp(min=1e-6)).max()) for name, (ours, wanted) in pairs.items()
    }
    report["auto of a large latent shifts"] = auto < 1
    report["the largest"] = float(model.get_model_object("model_sampling").sigma_max) * SMALLEST_ALPHA_BAR**0.5
    report["the model given is as it was"] = gap(before, core.get_model_object("model_sampling").sigmas)
    return report


def stable_diffusion() -> comfy.model_patcher.ModelPatcher:
    """Return core's own MODEL around no network."""
    return _without_network(comfy.supported_models.SD15, comfy.model_base.ModelType.EPS)


def flow() -> comfy.model_patcher.ModelPatcher:
    return _without_network(comfy.supported_models.Flux, comfy.model_base.ModelType.FLUX)


def _without_network(settings: type, kind) -> comfy.model_patcher.ModelPatcher:
    config = settings({"disable_unet_model_creation": True, "in_channels": 4})
    config.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.BaseModel(config, kind)
    model.diffusion_model = torch.nn.Identity()
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def refusals(tiny: Tiny) -> dict[str, str]:
    """Return what the nodes say to inputs that cannot work."""

    def noise(samples: torch.Tensor):
        return InhabitReferenceNoise.execute(tiny.model, {"samples": samples}, 0).args[0]

    attempts = {
        "gamma is 1.5; give a value above 0": lambda: InhabitShiftedSNR.execute(tiny.model, 1.5),
        "gamma is -0.1; give": lambda: InhabitShiftedSNR.execute(tiny.model, -0.1),
        "gamma is 0, automatic, but no latent is connected": lambda: InhabitShiftedSNR.execute(tiny.model, 0.0),
        "no list of noise levels": lambda: InhabitShiftedSNR.execute(flow(), 0.5),
        "have none); connect": lambda: InhabitTrailingSigmas.execute(flow(), 4),
        "reference has shape (2, 4, 8, 8); give one": lambda: noise(PICTURE.repeat(2, 1, 1, 1)),
        "the latent has shape (1, 16, 8, 8), the reference": lambda: noise(PICTURE).generate_noise(
            {"samples": torch.zeros(1, 16, 8, 8)}
        ),
        "cfg is nan; give a number": lambda: InhabitAnimationGuider.execute(tiny.model, [], [], float("nan")),
        "connect the MODEL of Inhabit Model Loader": lambda: InhabitAnimationGuider.execute(flow(), [], [], 2.0),
        "noise levels (flow": lambda: InhabitReferenceNoise.execute(flow(), {"samples": PICTURE}, 0),
        "1001 sampling steps; give 1 to 1000": lambda: InhabitTrailingSigmas.execute(tiny.model, 1001),
    }
    return {expected: said_to(attempt) for expected, attempt in attempts.items()}


def said_to(attempt) -> str:
    try:
        attempt()
    except InputError as error:
        return str(error)
    return "nothing"


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    tiny, epsilon = Tiny(folder / "tiny.safetensors"), Tiny(folder / "epsilon.safetensors", schedule=EPSILON)
    trained_shifted = Tiny(folder / "shifted.safetensors", schedule=EPSILON | TRAINED_SHIFTED)
    return {
        "refusals": refusals(tiny),
        "schedules": schedules(tiny),
        "schedules of a shifted model": schedules(trained_shifted),
        **shifted(tiny, "zero terminal SNR"),
        **shifted(epsilon, "epsilon"),
        **shifted(trained_shifted, "trained shifted"),
        **reference_noise(tiny, "zero terminal SNR"),
        **reference_noise(epsilon, "epsilon"),
        **together(tiny, "zero terminal SNR"),
        **together(epsilon, "epsilon"),
        **together(Tiny(folder / "sees.safetensors", sampling=SEES_MOTION), "motion on both sides"),
        **together(Tiny(folder / "knows.safetensors", sampling=SEES_REFERENCE), "reference on both sides"),
        **together(Tiny(folder / "both.safetensors", sampling=SEES_BOTH), "both on both sides"),
        **kept(Tiny(folder / "kept.safetensors", schedule=EPSILON, **VERSION_1)),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
