"""What the nodes are given that cannot work, other than pictures and masks. Imported by `wiring.py`."""

from __future__ import annotations

import functools
import types

import primitives
import torch
from latents import tiny_checkpoint
from wires import LENGTH, SEED, Wires, guided, said
from wiring_cases import FRAMES, SHORT

# isort: split
import comfy.sd
from inhabit.models import PRESETS
from inhabit.nodes.host.model import load_model, load_vae

import nodes

ATTENDS = PRESETS["puppets"].unet.model_dump() | {"cross_attention_dim": 16}


def other_faults(wires: Wires) -> dict[str, str]:
    attempts = {
        **pose_faults(wires),
        **condition_faults(wires),
        **vae_faults(wires),
        **model_faults(wires),
        **sampler_faults(wires),
        **value_faults(wires),
    }
    return {case: said(attempt) for case, attempt in attempts.items()}


def pose_faults(wires: Wires) -> dict:
    person = wires.pose[2]["people"][0]

    def frames(**changed) -> list:
        return [*wires.pose[:2], wires.pose[2] | changed, *wires.pose[3:]]

    def part(values) -> list:
        return frames(people=[person | {"hand_left_keypoints_2d": values}])

    faulty = {
        "none": None,
        "no frames": [],
        "a picture": wires.driving,
        "a list of lists": [[1, 2, 3]],
        "people is a word": frames(people="me"),
        "a person is a number": frames(people=[3]),
        "four numbers": part([1.0, 2.0, 3.0, 4.0]),
        "a number": part(5.0),
        "words": part(["left"] * 63),
        "NaN": part([float("nan")] * 63),
        "canvas is a word": frames(canvas_width="wide"),
        "canvas is negative": frames(canvas_height=-48),
        "canvas is NaN": frames(canvas_height=float("nan")),
    }
    drawn = ("InhabitPoseRetarget", "InhabitSkeletonRenderer", "InhabitHandFaceRegions", "InhabitMotionBlur")
    attempts = {
        f"{node}, pose: {fault}": functools.partial(wires.call, node, pose=pose)
        for node in drawn
        for fault, pose in faulty.items()
    }
    short = wires.pose[:SHORT]
    return attempts | {
        "InhabitSkeletonRenderer, pose: a frame less": lambda: wires.call("InhabitSkeletonRenderer", pose=short),
        "InhabitPoseRetarget, no reference": lambda: wires.call("InhabitPoseRetarget", reference_pose=None),
        "InhabitPoseRetarget, reference_pose: two frames": lambda: wires.call(
            "InhabitPoseRetarget", reference_pose=wires.pose[:2]
        ),
        "InhabitPoseRetarget, reference_pose: nobody": lambda: wires.call(
            "InhabitPoseRetarget", reference_pose=[{"people": []}]
        ),
        "InhabitMotionBlur, pose: a frame less": lambda: wires.call("InhabitMotionBlur", pose=short),
        "InhabitMotionBlur, sharpness_override: a word": lambda: wires.call(
            "InhabitMotionBlur", sharpness_override="left sometimes"
        ),
    }


def condition_faults(wires: Wires) -> dict:
    """Condition nodes that get no conditioning, or one of another length or size."""
    attempts = {}
    faulty = {"nothing": None, "a latent": {"samples": torch.zeros(1, 4, 8, 8)}, "a list": [1]}
    for node in ("InhabitMotion", "InhabitEnvironment", "InhabitObjects"):
        for side in ("positive", "negative"):
            for fault, value in faulty.items():
                attempts[f"{node}, {side}: {fault}"] = functools.partial(wires.call, node, **{side: value})
    moved = wires.call("InhabitMotion")[0]
    placed = wires.call("InhabitEnvironment")[0]
    for node in ("InhabitEnvironment", "InhabitObjects"):
        shorter = {"driving": wires.driving[:SHORT], "mask": wires.mask[:SHORT]}
        smaller = {"driving": wires.driving[:, :40], "mask": wires.mask[:, :40]}
        attempts[f"{node}, driving: shorter than the skeleton"] = functools.partial(
            wires.call, node, positive=moved, **shorter
        )
        attempts[f"{node}, driving: lower than the skeleton"] = functools.partial(
            wires.call, node, positive=moved, **smaller
        )
        odd = {"driving": wires.driving[:, :, :62], "mask": wires.mask[:, :, :62]}
        attempts[f"{node}, driving: 8 does not divide it"] = functools.partial(wires.call, node, **odd)
    bare = {"depth": None, "blur": None, "positive": placed}
    attempts["InhabitMotion, skeleton: shorter than the environment"] = functools.partial(
        wires.call, "InhabitMotion", skeleton=wires.skeleton[:SHORT], **bare
    )
    attempts["InhabitMotion, skeleton: smaller than the environment"] = functools.partial(
        wires.call, "InhabitMotion", skeleton=wires.skeleton[:, :40, :40], **bare
    )
    return attempts | {
        "InhabitReference, image: two": lambda: wires.call("InhabitReference", image=wires.driving[:2]),
        "InhabitReference, image: tiny": lambda: wires.call("InhabitReference", image=wires.reference[:, :8]),
        "InhabitReference, clip_vision_output: two": lambda: wires.call(
            "InhabitReference", clip_vision_output=_clip(2, 8)
        ),
        "InhabitReference, clip_vision_output: too wide": lambda: wires.call(
            "InhabitReference", clip_vision_output=_clip(1, 768), model=tiny_checkpoint_with_attention(wires)
        ),
        "InhabitEnvironment, mask: all zero": lambda: wires.call("InhabitEnvironment", mask=wires.mask * 0),
        "InhabitEnvironment, mask: all zero, as a noise mask": lambda: wires.call(
            "InhabitEnvironment", mask=wires.mask * 0, mode="noise mask"
        ),
    }


def _clip(pictures: int, width: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(image_embeds=torch.ones(pictures, width))


def vae_faults(wires: Wires) -> dict:
    sixteen = comfy.sd.VAE(sd={"pixel_space_vae": torch.ones(())})
    sixteen.latent_channels = 16
    video = comfy.sd.VAE(sd={"pixel_space_vae": torch.ones(())})
    video.latent_channels, video.latent_dim = 4, 3
    kinds = {"nothing": None, "16 channels": sixteen, "of videos": video, "a model": wires.model}
    attempts = {
        f"{node}, vae: {fault}": functools.partial(wires.call, node, vae=vae)
        for node in ("InhabitReference", "InhabitEnvironment", "InhabitObjects")
        for fault, vae in kinds.items()
    }
    eight = _vae_of_eight(wires)
    reference = wires.call("InhabitReference")[0]
    return attempts | {
        "InhabitReference, vae: of another model": lambda: wires.call("InhabitReference", vae=eight),
        "InhabitEnvironment, vae: not that of the reference": lambda: wires.call(
            "InhabitEnvironment", vae=eight, positive=reference
        ),
        "InhabitWindowedSampler, vae of another model": lambda: _sampled_with(wires, eight),
    }


def _vae_of_eight(wires: Wires):
    """The small VAE, which takes every second pixel: 8 × 8 of them a latent, as Stable Diffusion's."""
    vae = load_vae(wires.path)
    encode = vae.encode
    vae.encode, vae.downscale_ratio = lambda images: encode(images[:, ::2, ::2]), 8
    return vae


def _sampled_with(wires: Wires, vae) -> None:
    positive, negative = wires.call("InhabitReference", vae=vae, model=None)
    positive, negative, latent = wires.call("InhabitEnvironment", positive=positive, negative=negative, vae=vae)
    wires.call("InhabitWindowedSampler", positive=positive, negative=negative, latent=latent)


def model_faults(wires: Wires) -> dict:
    diffusion, flow = primitives.stable_diffusion(), primitives.flow()
    ours = {"InhabitReference", "InhabitAnimationGuider", "InhabitWindowedSampler"}
    listed = {"InhabitShiftedSNR", "InhabitTrailingSigmas", "InhabitReferenceNoise"}
    attempts = {}
    for node in sorted(ours):
        attempts[f"{node}, model: of core"] = functools.partial(wires.call, node, model=diffusion)
    for node in sorted(listed):
        attempts[f"{node}, model: of flow"] = functools.partial(wires.call, node, model=flow)
    for node in sorted((ours | listed | {"InhabitContextWindows"}) - {"InhabitReference"}):
        attempts[f"{node}, model: nothing"] = functools.partial(wires.call, node, model=None)
    return attempts


def sampler_faults(wires: Wires) -> dict:
    """What the Windowed Sampler, the guider and core's KSampler say before the first step."""
    positive, negative, latent = wires.conditions
    samples = latent["samples"]
    text = [[torch.zeros(1, 77, 768), {}]]
    longer = samples.repeat(2, 1, 1, 1)
    node = "InhabitWindowedSampler"
    sampled = functools.partial(functools.partial, wires.call, node)
    latents = {
        "nothing": None,
        "no samples": {},
        "a video latent": {"samples": samples.movedim(1, 0).unsqueeze(0)},
        "no frames": {"samples": samples[:0]},
        "16 channels": {"samples": torch.ones(FRAMES, 16, *samples.shape[-2:])},
        "NaN": {"samples": samples * float("nan")},
        "longer": {"samples": longer},
        "shorter": {"samples": samples[:SHORT]},
        "wider": {"samples": torch.zeros(FRAMES, 4, 12, 18)},
        "swapped": {"samples": samples.transpose(2, 3)},
        "an odd size": {"samples": samples[:, :, :11]},
        "noise mask too short": {"samples": samples, "noise_mask": wires.mask[:SHORT]},
        "noise mask NaN": {"samples": samples, "noise_mask": wires.mask * float("nan")},
    }
    attempts = {f"{node}, latent: {fault}": sampled(latent=value) for fault, value in latents.items()}
    for fault in ("longer", "shorter", "noise mask too short"):
        attempts[f"{node}, clips, latent: {fault}"] = sampled(latent=latents[fault], long_video="clips")
    for side in ("positive", "negative"):
        attempts[f"{node}, {side}: nothing"] = sampled(**{side: None})
        attempts[f"InhabitAnimationGuider, {side}: nothing"] = functools.partial(
            wires.call, "InhabitAnimationGuider", **{side: None}
        )
    tokens = tiny_checkpoint_with_attention(wires)
    return attempts | {
        f"{node}, positive: empty": sampled(positive=[]),
        f"{node}, positive: text alone": sampled(positive=text, negative=text),
        f"{node}, sides swapped": sampled(positive=negative, negative=positive),
        f"{node}, clips, sides swapped": sampled(positive=negative, negative=positive, long_video="clips"),
        f"{node}, positive: text for a model with cross-attention": sampled(
            model=tokens, positive=[[torch.zeros(1, 77, 768), positive[0][1]]]
        ),
        "KSampler, latent: longer": lambda: _ksampler(wires, latent={"samples": longer}),
        "KSampler, latent: 16 channels": lambda: _ksampler(wires, latent=latents["16 channels"]),
        "KSampler, latent: a video latent": lambda: _ksampler(wires, latent=latents["a video latent"]),
        "KSampler, sides swapped": lambda: _ksampler(wires, positive=negative, negative=positive),
        "KSampler, text alone": lambda: _ksampler(wires, positive=text, negative=text),
        "InhabitAnimationGuider, sides swapped": lambda: guided(
            wires, wires.call("InhabitTrailingSigmas")[0], positive=negative, negative=positive
        ),
    }


def tiny_checkpoint_with_attention(wires: Wires):
    path = wires.path.with_name("attends.safetensors")
    if not path.exists():
        tiny_checkpoint(path, unet=dict(ATTENDS))
    return load_model(path)


def _ksampler(wires: Wires, seed: int = SEED, **changed) -> torch.Tensor:
    given = dict(zip(("positive", "negative", "latent"), wires.conditions, strict=True)) | changed
    sides = given["positive"], given["negative"], given["latent"]
    return nodes.common_ksampler(wires.model, seed, 1, 1.0, "euler", "simple", *sides)[0]["samples"]


def value_faults(wires: Wires) -> dict:
    """Numbers and words out of their range."""
    reference = {"samples": torch.ones(2, 4, 8, 8)}
    faulty = {
        "InhabitWindowedSampler": {
            "cfg": float("nan"),
            "steps": 1001,
            "overlap": LENGTH,
            "length": 25,
            "sampler": "",
            "scheduler": "",
            "long_video": "both",
        },
        "InhabitAnimationGuider": {"cfg": float("inf")},
        "InhabitContextWindows": {"overlap": LENGTH, "length": 25},
        "InhabitTrailingSigmas": {"steps": 1001},
        "InhabitShiftedSNR": {"gamma": float("nan")},
        "InhabitHandFaceRegions": {"dilation": float("nan")},
        "InhabitEnvironment": {"fill": "", "mode": ""},
        "InhabitSampleScene": {"kind": ""},
        "InhabitModelLoader": {"checkpoint": "gone.safetensors"},
        "InhabitAssembleModel": {"checkpoint": "", "motion_module": "", "inhabit": ""},
        "InhabitReferenceNoise": {"reference": reference},
    }
    attempts = {
        f"{node}, {name}: {value}" if name != "reference" else f"{node}, reference: two": functools.partial(
            wires.call, node, **{name: value}
        )
        for node, values in faulty.items()
        for name, value in values.items()
    }
    sixteen = {"samples": torch.ones(1, 16, 8, 8)}
    nan = {"samples": torch.full((1, 4, 8, 8), float("nan"))}
    return attempts | {
        "InhabitShiftedSNR, gamma: 0": lambda: wires.call("InhabitShiftedSNR", gamma=0.0),
        "InhabitShiftedSNR, latent: no samples": lambda: wires.call("InhabitShiftedSNR", gamma=0.0, latent={}),
        "InhabitReferenceNoise, reference: 16 channels": lambda: wires.call("InhabitReferenceNoise", reference=sixteen),
        "InhabitReferenceNoise, reference: NaN": lambda: wires.call("InhabitReferenceNoise", reference=nan),
        "InhabitReferenceNoise, latent: a video latent": lambda: wires.call("InhabitReferenceNoise")[0].generate_noise(
            {"samples": torch.zeros(1, 4, 3, 8, 8)}
        ),
    }
