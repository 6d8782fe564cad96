"""Runs in a process of its own, with ComfyUI on the path: core's nodes around a tiny MODEL of ours, against formulas
over its predictions. Prints what `test_core_nodes.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/core_nodes.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import latents as run  # before anything else of ComfyUI: it asks for the CPU
import torch
from core_samplers import Small
from core_windows import core_windows, said
from latents import core, gap
from other_models import control_net, picture_model
from primitives import EPSILON, Tiny, guided

# isort: split
import comfy.clip_model
import comfy.clip_vision
import comfy_extras.nodes_custom_sampler as custom
import comfy_extras.nodes_freelunch as freelunch
import comfy_extras.nodes_model_advanced as advanced
import comfy_extras.nodes_model_merging as merging
from inhabit.models import PRESETS
from inhabit.nodes import conditions
from inhabit.nodes.folders import register_model_folders
from inhabit.nodes.host.model import load_model
from inhabit.nodes.host.saving import KEY
from inhabit.pipeline.animate import project_reference
from inhabit.weights import BUNDLED
from inhabit.weights.companions import clip_pixels, image_context
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

import nodes

SIGMA, CFG, STEPS, TOKENS = 3.0, 2.5, 4, 24
HIGH, LOW = 10.0, 0.4  # sigmas before and after the middle of the schedule


class Case(Small):
    """Two ways to perform, and the prediction of the clean latents for a conditioning, by core, at one sigma."""

    def __init__(self, path: Path, **changes) -> None:
        super().__init__(path, **changes)
        self.positive, self.negative, self.latent = self.inputs
        self.other = run.conditioning(self.vae, self.reference, self.given, self.given.skeleton.flip(2))[0]

    def guided(self, guider, sigma: float = SIGMA) -> torch.Tensor:
        """One step of euler down to 0 is the prediction itself."""
        return custom_sampler(guider, torch.tensor([sigma, 0.0]), self.latent)

    def predicted(self, positive: list, sigma: float = SIGMA, model=None) -> torch.Tensor:
        return self.guided(core(custom.BasicGuider, model or self.model, positive), sigma)

    def with_cfg(self, cfg: float, model=None, sigma: float = SIGMA) -> torch.Tensor:
        return self.guided(core(custom.CFGGuider, model or self.model, self.positive, self.negative, cfg), sigma)

    def ksampler(self, model=None, latent: dict | None = None, cfg: float = 1.0) -> torch.Tensor:
        sides = self.positive, self.negative, latent or self.latent
        return core_ksampler(model or self.model, run.SEED, STEPS, cfg, "euler", "normal", *sides)


def custom_sampler(guider, sigmas: torch.Tensor, latent: dict, noise=None) -> torch.Tensor:
    noise, euler = noise or core(custom.RandomNoise, run.SEED), core(custom.KSamplerSelect, "euler")
    return core(custom.SamplerCustomAdvanced, noise, guider, euler, sigmas, latent)["samples"]


def core_ksampler(*inputs) -> torch.Tensor:
    return core(nodes.KSampler, *inputs)["samples"]


def guiders(case: Case) -> dict[str, float]:
    """KSampler, its advanced kind in two parts, and the guiders of SamplerCustomAdvanced."""
    one, two, nothing = case.predicted(case.positive), case.predicted(case.other), case.with_cfg(0.0)
    sigmas = core(custom.BasicScheduler, case.model, "normal", STEPS, 1.0)
    whole, stepped = case.ksampler(cfg=CFG), core(custom.CFGGuider, case.model, case.positive, case.negative, CFG)
    advanced_sampler, basic = nodes.KSamplerAdvanced(), core(custom.BasicGuider, case.model, case.positive)
    how = run.SEED, STEPS, CFG, "euler", "normal", case.positive, case.negative
    [half] = advanced_sampler.sample(case.model, "enable", *how, case.latent, 0, 2, "enable")
    [rest] = advanced_sampler.sample(case.model, "disable", *how, half, 2, STEPS, "disable")
    dual = case.model, case.positive, case.other, case.negative, 1.7, 2.2
    regular, nested = (core(custom.DualCFGGuider, *dual, style) for style in ("regular", "nested"))
    inner = two + 1.7 * (one - two)
    return {
        "KSampler (Advanced) in two parts": gap(rest["samples"], whole),
        "SamplerCustomAdvanced": gap(custom_sampler(stepped, sigmas, case.latent), whole),
        "BasicGuider": gap(custom_sampler(basic, sigmas, case.latent), case.ksampler()),
        "CFGGuider": gap(case.with_cfg(CFG), nothing + CFG * (one - nothing)),
        "DualCFGGuider, regular": gap(case.guided(regular), nothing + 2.2 * (two - nothing) + 1.7 * (one - two)),
        "DualCFGGuider, nested": gap(case.guided(nested), nothing + 2.2 * (inner - nothing)),
        "the two differ by": gap(one, two),
    }


def masks(case: Case) -> dict[str, float]:
    """Noise masks, and conditionings that hold for a part of the picture."""
    given = {"samples": torch.randn(case.start.shape, generator=torch.manual_seed(4))}
    left = torch.zeros(1, run.SIZE, run.SIZE)
    left[..., : run.SIZE // 2] = 1
    masked = core(nodes.SetLatentNoiseMask, given, left)
    drawn = case.ksampler(latent=masked)
    half = case.start.shape[-1] // 2
    one, two = case.predicted(case.positive), case.predicted(case.other)
    combined = core(nodes.ConditioningCombine, case.positive, case.other)
    parts = [
        core(nodes.ConditioningSetMask, side, mask, "default", 1.0)
        for side, mask in ((case.positive, left), (case.other, 1 - left))
    ]
    both = case.predicted(core(nodes.ConditioningCombine, *parts))
    by_frame = torch.cat([left, 1 - left])  # of two frames
    framed = core(nodes.ConditioningSetMask, case.positive, by_frame, "default", 1.0)
    others = core(nodes.ConditioningSetMask, case.other, 1 - by_frame, "default", 1.0)
    cells = torch.nn.functional.interpolate(by_frame[:, None], scale_factor=half / (run.SIZE // 2))
    weak = core(nodes.ConditioningSetMask, case.positive, torch.ones_like(left), "default", 0.25)
    quarter = case.predicted(core(nodes.ConditioningCombine, weak, case.other))
    return {
        "Set Latent Noise Mask, outside": gap(drawn[..., half:], given["samples"][..., half:]),
        "Set Latent Noise Mask, drawn inside": gap(drawn[..., :half], given["samples"][..., :half]),
        "ConditioningCombine": gap(case.predicted(combined), (one + two) / 2),
        "ConditioningSetMask, inside": gap(both[..., :half], one[..., :half]),
        "ConditioningSetMask, outside": gap(both[..., half:], two[..., half:]),
        "ConditioningSetMask, one a frame": gap(
            case.predicted(core(nodes.ConditioningCombine, framed, others)), cells * one + (1 - cells) * two
        ),
        "ConditioningSetMask, strength": gap(quarter, (0.25 * one + two) / 1.25),
        **areas(case, two),
    }


def areas(case: Case, two: torch.Tensor) -> dict[str, float]:
    """An area is predicted from its own crop of every condition: core fades it in over a quarter of its size."""
    high, wide, top, left = 8, 16, 8, 0
    area = core(nodes.ConditioningSetArea, case.positive, 8 * wide, 8 * high, 8 * left, 8 * top, 1.0)
    found = case.predicted(core(nodes.ConditioningCombine, area, case.other))
    crop = slice(top, top + high)
    alone = case_of_crop(case, crop)
    fade = high // 4
    inside = slice(top + fade, top + high)
    mean = (alone[..., fade:, :] + two[..., inside, :]) / 2
    return {
        "ConditioningSetArea, outside": gap(found[..., :top, :], two[..., :top, :]),
        "ConditioningSetArea, inside": gap(found[..., inside, :], mean),
    }


def case_of_crop(case: Case, rows: slice) -> torch.Tensor:
    """Return our own network's prediction from these rows of the noise and of every condition."""
    model, codec = case.ours, case.codec
    cell = model.config.latent.downscale
    pixels = slice(rows.start * cell, rows.stop * cell)
    values = case.positive[0][1]
    scale = model.config.latent.scale

    def latent(key: str) -> torch.Tensor:
        return values[key][None, :, :, rows]

    motion = model.pose(
        *(values[key][None, :, :, pixels] for key in ("inhabit_skeleton", "inhabit_depth", "inhabit_blur"))
    )
    alpha_bar = torch.tensor(1 / (1 + SIGMA**2), dtype=torch.float64)
    state = case.noise[:, :, rows].double() * SIGMA * alpha_bar.sqrt()
    timestep = int((case.sigmas.log() - torch.tensor(SIGMA).double().log()).abs().argmin())
    predicted = model.denoise(
        state.float()[None],
        torch.tensor([timestep]),
        reference=project_reference(model, codec, case.reference),
        environment=latent("inhabit_environment") * scale,
        mask=latent("inhabit_mask"),
        pose=motion,
        objects=model.objects(latent("inhabit_objects") * scale),
    )[0].double()
    return ((alpha_bar.sqrt() * state - (1 - alpha_bar).sqrt() * predicted) / scale).float()


def other_conditionings(case: Case, tokens: Case) -> dict[str, float]:
    """Averages and ranges of timesteps; `tokens`: a model with cross-attention."""
    average = core(nodes.ConditioningAverage, case.positive, case.other, 0.3)
    embedded = [with_embedding(tokens, seed) for seed in (5, 6)]
    mixed = core(nodes.ConditioningAverage, *embedded, 0.3)
    wanted = [[0.3 * embedded[0][0][0] + 0.7 * embedded[1][0][0], embedded[0][0][1]]]
    early = core(nodes.ConditioningSetTimestepRange, case.positive, 0.0, 0.5)
    late = core(nodes.ConditioningSetTimestepRange, case.other, 0.5, 1.0)
    switched = core(nodes.ConditioningCombine, early, late)
    return {
        "ConditioningAverage without cross-attention": gap(case.predicted(average), case.predicted(case.positive)),
        "ConditioningAverage": gap(tokens.predicted(mixed), tokens.predicted(wanted)),
        "and differs by": gap(tokens.predicted(mixed), tokens.predicted(embedded[0])),
        "ConditioningSetTimestepRange, early": gap(case.predicted(switched, HIGH), case.predicted(case.positive, HIGH)),
        "ConditioningSetTimestepRange, late": gap(case.predicted(switched, LOW), case.predicted(case.other, LOW)),
        "between the sigmas": bool(LOW < float(case.sigmas[499]) < float(case.sigmas[500]) < HIGH),
    }


def embedding(seed: int) -> torch.Tensor:
    """A picture's, as CLIP vision gives it: (1, width)."""
    return torch.randn(1, TOKENS, generator=torch.manual_seed(seed))


def with_embedding(tiny: Tiny, seed: int) -> list:
    """Return the positive conditioning with the embedding of a picture."""
    picture = comfy.clip_vision.Output()
    picture.image_embeds = embedding(seed)
    [[context, reference]], _ = conditions.InhabitReference.execute(
        tiny.vae, tiny.reference, model=tiny.model, clip_vision_output=picture
    ).args
    return [[context, tiny.inputs[0][0][1] | reference]]


def clip_vision(folder: Path) -> dict[str, float]:
    """Core's CLIP Vision Encode on a small CLIP of random weights, against `inhabit animate --clip-vision`."""
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"projection_dim": TOKENS, "image_size": 224, "patch_size": 56, "hidden_act": "quick_gelu"}
    torch.manual_seed(0)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes)).eval().half().float()  # as core stores it
    model.save_pretrained(folder / "clip")
    described = {**sizes, "num_channels": 3, "layer_norm_eps": 1e-5, "model_type": "clip_vision_model"}
    (folder / "clip.json").write_text(json.dumps(described))
    hosted = comfy.clip_vision.ClipVisionModel(folder / "clip.json")
    hosted.load_sd(model.state_dict())
    hosted.model.float()
    hosted.dtype = torch.float32
    report, picture = {}, torch.rand(1, 400, 240, 3, generator=torch.manual_seed(1))
    picture = torch.nn.functional.avg_pool2d(picture.movedim(-1, 1), 9, 1, 4).movedim(1, -1)
    preprocess = getattr(comfy.clip_vision, "clip_preprocess", None) or comfy.clip_model.clip_preprocess
    report["what CLIP sees"] = gap(clip_pixels(picture), preprocess(picture, crop=False))
    report["what CLIP sees of 224 x 224"] = gap(clip_pixels(picture[:, :224, :224]), preprocess(picture[:, :224, :224]))
    ours = image_context(folder / "clip", picture, TOKENS)[0]
    report["crop: none"] = gap(core(nodes.CLIPVisionEncode, hosted, picture, "none").image_embeds, ours)
    report["crop: center differs by"] = gap(core(nodes.CLIPVisionEncode, hosted, picture, "center").image_embeds, ours)
    return report


def sd15_like() -> dict[str, object]:
    """What makes a tiny model one of Stable Diffusion 1.5's shape, with cross-attention."""
    shape = {"cross_attention_dim": TOKENS, "attention": (True, True, False)}
    unet = PRESETS["puppets"].unet.model_dump() | shape
    return {"unet": unet, "reference": PRESETS["sd15"].reference.model_dump(), "schedule": EPSILON}


def animation_guider(folder: Path) -> dict[str, float]:
    """Inhabit Animation Guider and Context Windows on a model with cross-attention, against `pipeline.animate`."""
    run.FRAMES = 8
    report, context = {}, embedding(5)[None]
    for without in (("motion",), ("reference", "motion")):
        sampling = PRESETS["puppets"].sampling.model_dump() | {"unconditional_without": without}
        tiny = Tiny(folder / f"without {len(without)}.safetensors", **sd15_like(), sampling=sampling)
        positive, told = with_embedding(tiny, 5), "" if len(without) > 1 else ", the reference on both sides"
        bare = [[torch.zeros_like(positive[0][0]), tiny.inputs[1][0][1]]]
        for cfg in (1.0, CFG):
            expected = tiny.command_line(cfg, context=context)
            for name, negative in (("negative", bare), ("positive twice", positive)):
                noise = core(custom.RandomNoise, run.SEED)
                found = guided(tiny.model, positive, negative, tiny.inputs[2], cfg, noise)
                report[f"{name}, cfg {cfg}{told}"] = gap(found, expected)
    report["the embedding differs by"] = gap(expected, tiny.command_line(CFG, context=embedding(6)[None]))
    return report


def patches(case: Case, epsilon: Case) -> dict[str, object]:
    """RescaleCFG, ModelSamplingDiscrete, and what acts on other networks' layers."""
    one, nothing = case.predicted(case.positive), case.with_cfg(0.0)
    rescaled = core(advanced.RescaleCFG, case.model, 0.7)
    scale = case.ours.config.latent.scale
    state = (case.noise * SIGMA).double() / scale
    own = {
        name: core(advanced.ModelSamplingDiscrete, each.model, kind, zsnr).get_model_object("model_sampling").sigmas
        for name, each, kind, zsnr in (("v", case, "v_prediction", True), ("epsilon", epsilon, "eps", False))
    }
    model = core(advanced.ModelSamplingDiscrete, epsilon.model, "eps", False)
    same = epsilon.predicted(epsilon.positive)
    return {
        "RescaleCFG": gap(case.with_cfg(CFG, rescaled), rescale_by_hand(one, nothing, state)),
        "and differs from CFG by": gap(case.with_cfg(CFG, rescaled), case.with_cfg(CFG)),
        "RescaleCFG at cfg 1": gap(case.with_cfg(1.0, rescaled), case.with_cfg(1.0)),
        "ModelSamplingDiscrete, sigmas of v": ratio(own["v"], case.sigmas),
        "ModelSamplingDiscrete, sigmas of epsilon": ratio(own["epsilon"], epsilon.sigmas),
        "ModelSamplingDiscrete": gap(epsilon.predicted(epsilon.positive, model=model), same),
        "attention patches": attention_patches(case),
    }


def ratio(sigmas: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((sigmas / wanted - 1).abs().max())


def rescale_by_hand(one: torch.Tensor, nothing: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """RescaleCFG (arXiv 2305.08891, 3.4) on velocities, 0.7 of it, by each frame's deviation; in the VAE's scale."""
    noisy = state / (SIGMA**2 + 1) ** 0.5
    signal = 1 / (SIGMA**2 + 1) ** 0.5
    noise = SIGMA * signal
    velocities = [(signal * noisy - clean.double()) / noise for clean in (one, nothing)]
    guided = velocities[1] + CFG * (velocities[0] - velocities[1])
    deviations = [each.flatten(1).std(dim=1).reshape(-1, 1, 1, 1) for each in (velocities[0], guided)]
    rescaled = 0.7 * guided * deviations[0] / deviations[1] + 0.3 * guided
    return (signal * noisy - noise * rescaled).float()


def attention_patches(case: Case) -> dict[str, object]:
    """A patch of attention, as other packs set it: nothing changes, and the log says so."""
    model = case.model.clone()
    model.set_model_attn1_patch(lambda q, k, v, extra: (q * 0, k, v))
    with run.warned() as warnings:
        found = case.predicted(case.positive, model=model)
    with run.warned() as by_clips:
        run.windowed(model, *case.inputs, 1.0, steps=1, long_video="clips")
    return {"gap": gap(found, case.predicted(case.positive)), "warnings": warnings, "clip by clip": by_clips}


def merges(case: Case) -> dict[str, float]:
    """ModelMergeSimple against weights interpolated by hand; the ReferenceNet stays the first model's."""
    second, by_hand = load_model(case.path), load_model(case.path)
    for patcher in (second, *second.get_additional_models_with_key(KEY)):
        for parameter in patcher.model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.manual_seed(9))
    found = case.predicted(case.positive, model=core(merging.ModelMergeSimple, case.model, second, 0.3))
    theirs = second.model.diffusion_model.state_dict()
    for name, weight in by_hand.model.diffusion_model.state_dict().items():
        weight.copy_(0.3 * weight + 0.7 * theirs[name])
    plain, foreign = case.predicted(case.positive), picture_model()
    into_ours = core(merging.ModelMergeSimple, case.model, foreign, 0.3)
    into_theirs = core(merging.ModelMergeSimple, foreign, case.model, 0.3)
    return {
        "ModelMergeSimple": gap(found, case.predicted(case.positive, model=by_hand)),
        "and differs by": gap(found, plain),
        "ModelMergeSimple with Stable Diffusion": gap(case.predicted(case.positive, model=into_ours), plain),
        "patches in Stable Diffusion": len(into_theirs.patches),
    }


def refusals(case: Case) -> dict[str, str]:
    """What cannot work says so in one line."""
    hint = torch.rand(len(case.start), run.SIZE, run.SIZE, 3)
    controlled = core(nodes.ControlNetApply, case.positive, control_net(), hint, 1.0)
    merged = core(merging.ModelMergeSimple, case.model, load_model(BUNDLED), 0.5)
    attempts = {
        "a ControlNet or T2I adapter; leave it out": lambda: case.predicted(controlled),
        "to change its layers (FreeU": lambda: core(freelunch.FreeU, case.model, 1.1, 1.2, 0.9, 0.2),
        "merged with one of other widths": lambda: case.predicted(case.positive, model=merged),
    }
    return {expected: said(attempt) for expected, attempt in attempts.items()}


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    case, epsilon = Case(folder / "tiny.safetensors"), Case(folder / "epsilon.safetensors", schedule=EPSILON)
    tokens = Case(folder / "tokens.safetensors", **sd15_like())
    return {
        "guiders": guiders(case),
        "masks": masks(case),
        "conditionings": other_conditionings(case, tokens),
        "patches": patches(case, epsilon),
        "merges": merges(case),
        "refusals": refusals(case),
        "animation guider": animation_guider(folder),
        "clip vision": clip_vision(folder),
        "context windows": core_windows(folder),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
