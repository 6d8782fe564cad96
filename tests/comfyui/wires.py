"""A small model and a clip in ComfyUI, and every node's inputs made of them. Imported by `wiring.py`."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from latents import core, tiny_checkpoint  # before anything else of ComfyUI: it asks for the CPU
from wiring_cases import FRAMES, HEIGHT, WIDTH

# isort: split
from comfy_extras.nodes_custom_sampler import KSamplerSelect, RandomNoise, SamplerCustomAdvanced
from inhabit.errors import InputError
from inhabit.nodes.extension import NODES
from inhabit.nodes.host.model import load_model, load_vae
from inhabit.perception.person_crop import mask_boxes, person_crop

BY_NAME = {node.__name__: node for node in NODES}
SEED, LENGTH, OVERLAP = 3, 4, 1


class Wires:
    """A small model and a clip, and the inputs that every node takes of them; any of them may be changed."""

    def __init__(self, folder: Path, frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> None:
        path = folder / "tiny.safetensors"
        if not path.exists():
            tiny_checkpoint(path)
        self.path, self.frames, self.height, self.width = path, frames, height, width
        self.model, self.vae = load_model(path), load_vae(path)
        generator = torch.manual_seed(1)
        self.reference = torch.rand(1, height, width, 3, generator=generator)
        self.driving, self.skeleton, self.depth, self.blur = torch.rand(
            4, frames, height, width, 3, generator=generator
        )
        self.mask, self.object_mask = torch.zeros(2, frames, height, width)
        self.mask[:, 2 : height // 2 + 4, 2 : width // 2] = 1
        self.object_mask[:, height // 2 :, 2 : width // 2] = 1
        for index, mask in enumerate(self.mask):  # every frame another
            mask[index % height] = 1
        self.pose = [_pose(index, width, height) for index in range(frames)]

    @property
    def crop(self):
        """A window around the mask."""
        size = (self.width, self.height)
        return person_crop(mask_boxes(self.mask.numpy()), size, 24, 1.0)

    @functools.cached_property
    def conditions(self) -> tuple:
        """Positive and negative conditioning, and the latent."""
        positive, negative = self.call("InhabitReference")
        positive, negative = self.call("InhabitMotion", positive=positive, negative=negative)
        positive, negative, latent = self.call("InhabitEnvironment", positive=positive, negative=negative)
        return *self.call("InhabitObjects", positive=positive, negative=negative), latent

    def call(self, node: str, **changed) -> tuple:
        """Return a node's outputs."""
        return BY_NAME[node].execute(**self.inputs(node) | changed).args

    def inputs(self, node: str) -> dict:
        size = {"width": self.width, "height": self.height}
        empty = {"positive": [[torch.zeros(1, 1, 4), {}]], "negative": [[torch.zeros(1, 1, 4), {}]]}
        video = {"driving": self.driving, "mask": self.mask}
        if node in ("InhabitAnimationGuider", "InhabitWindowedSampler"):
            positive, negative, latent = self.conditions
            sides = {"model": self.model, "positive": positive, "negative": negative, "cfg": 1.0}
            sampler = {"seed": SEED, "steps": 1, "sampler": "euler", "scheduler": "trailing", "long_video": "windows"}
            sampler |= {"latent": latent, "length": LENGTH, "overlap": OVERLAP}
            return sides | sampler if node == "InhabitWindowedSampler" else sides
        return {
            "InhabitPoseRetarget": {
                "pose": self.pose,
                "reference_pose": self.pose[:1],
                "objects": self.object_mask,
            },
            "InhabitSkeletonRenderer": {"pose": self.pose, **size, "depth": self.depth},
            "InhabitShapeAgnosticMask": {
                "mask": self.mask,
                "block_px": 8,
                "blocks_high": 0,
                "blocks_wide": 0,
                "stable": False,
                "snap": 1,
                "image": self.driving,
            },
            "InhabitHandFaceRegions": {"pose": self.pose, **size, "dilation": 2.0},
            "InhabitMotionBlur": {"pose": self.pose, **size, "sharpness_override": "", "driving": self.driving},
            "InhabitCleanPlate": video,
            "InhabitReference": {
                "vae": self.vae,
                "image": self.reference,
                "model": self.model,
                "driving": self.driving,
            },
            "InhabitMotion": {**empty, "skeleton": self.skeleton, "depth": self.depth, "blur": self.blur},
            "InhabitEnvironment": {**empty, "vae": self.vae, **video},
            "InhabitObjects": {**empty, "vae": self.vae, "driving": self.driving, "mask": self.object_mask},
            "InhabitPasteBack": {"result": 1 - self.driving, **video, "feather": 2},
            "InhabitCropToPerson": {
                "image": self.driving,
                "width": 32,
                "height": 32,
                "margin": 0.2,
                "pose": self.pose,
                "mask": self.mask,
                "objects": self.object_mask,
                "depth": self.depth,
            },
            "InhabitUncrop": {"result": self.driving, "image": self.driving, "crop": self.crop, "mask": self.mask},
            "InhabitContextWindows": {
                "model": self.model,
                "length": LENGTH,
                "overlap": OVERLAP,
                "random_offset": True,
            },
            "InhabitShiftedSNR": {"model": self.model, "gamma": 0.5},
            "InhabitTrailingSigmas": {"model": self.model, "steps": 3},
            "InhabitReferenceNoise": {
                "model": self.model,
                "seed": SEED,
                "reference": {"samples": torch.ones(1, 4, 8, 8)},
            },
            "InhabitSampleScene": {"kind": "walk", "seed": 900_001, "frames": 2, "width": 96, "height": 96},
            "InhabitModelLoader": {"checkpoint": "inhabit-puppets.safetensors"},
            "InhabitAssembleModel": {"checkpoint": "none.safetensors", "motion_module": "none", "inhabit": "none"},
        }[node]


def _pose(index: int, width: int, height: int) -> dict:
    """One person, with hands and a face, who moves to the right."""
    generator = torch.manual_seed(2)
    person = {}
    for part, points in (("pose", 18), ("face", 70), ("hand_left", 21), ("hand_right", 21)):
        places = torch.rand(points, 2, generator=generator) * torch.tensor([width - 10, height]) + torch.tensor(
            [index, 0]
        )
        person[f"{part}_keypoints_2d"] = torch.cat([places, torch.ones(points, 1)], dim=1).flatten().tolist()
    return {"canvas_width": width, "canvas_height": height, "people": [person]}


def said(attempt) -> str:
    """Return what an attempt says that cannot work, after the exception's name where it is no InputError."""
    try:
        attempt()
    except InputError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def differ(first, second) -> float:
    """Return the largest difference between two outputs of the same form; 1e9 for another form."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        same = first.shape == second.shape and first.dtype == second.dtype
        return float((first - second).abs().max()) if same else 1e9
    if isinstance(first, dict):
        return differ(list(first.values()), list(second.values())) if first.keys() == second.keys() else 1e9
    if isinstance(first, list | tuple):
        pairs = zip(first, second, strict=True)
        return max((differ(*pair) for pair in pairs), default=0.0) if len(first) == len(second) else 1e9
    return 0.0 if first == second else 1e9


def guided(wires: Wires, sigmas: torch.Tensor, **changed) -> torch.Tensor:
    guider = wires.call("InhabitAnimationGuider", **changed)[0]
    noise, sampler = core(RandomNoise, SEED), core(KSamplerSelect, "euler")
    return core(SamplerCustomAdvanced, noise, guider, sampler, sigmas, wires.conditions[2])["samples"]
