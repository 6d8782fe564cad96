"""What the nodes are given that is unusual and no fault, against the right results. Imported by `wiring.py`."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from wires import LENGTH, OVERLAP, SEED, Wires, differ, guided
from wiring_cases import FRAMES, HEIGHT, LONG, WIDTH

# isort: split
from inhabit.media import read_image
from inhabit.nodes.host.conds import REFERENCE
from inhabit.nodes.host.model import load_model
from inhabit.perception import blur_maps, measure_hand_blur
from inhabit.pipeline import DrivingConditions, Settings, animate
from inhabit.pipeline.inputs import fit_reference
from inhabit.weights import load, load_codec, save
from PIL import Image

NO_FACE = f"face_crop: pose has no face in any of its {FRAMES} frames, so that there is nothing to cut out"
NO_VIDEO = "face_crop needs the image input"


def right_results(wires: Wires) -> dict[str, float]:
    """Return how far from the right result unusual inputs are that are no faults."""
    node, samples = "InhabitWindowedSampler", wires.conditions[2]["samples"]
    plain = wires.call(node)[0]["samples"]
    settled = functools.partial(wires.call, node, steps=2)  # the first step alone leaves float32's digits of sigma
    one = Wires(wires.path.parent, 1)
    normalised = [_normalised(frame, wires.width, wires.height) for frame in wires.pose]
    nobody = [{"people": []} for _ in wires.pose]
    empty = torch.zeros(FRAMES, HEIGHT, WIDTH)
    half = wires.mask[:1] * 0.5
    regions, drawn, blurred = "InhabitHandFaceRegions", "InhabitSkeletonRenderer", "InhabitMotionBlur"
    masked = {"samples": torch.ones_like(samples), "noise_mask": half.expand(FRAMES, -1, -1)}
    return {
        "nobody, skeleton": differ(
            wires.call(drawn, pose=nobody)[0], empty[..., None].expand(-1, -1, -1, 3).contiguous()
        ),
        "nobody, regions": differ(wires.call(regions, pose=nobody)[:3], (empty,) * 3),
        "nobody, regions with a video": differ(wires.call(regions, pose=nobody, image=wires.driving)[:3], (empty,) * 3),
        "nobody, face_crop": float(wires.call(regions, pose=nobody, image=wires.driving)[3].message != NO_FACE),
        "no video, face_crop": float(wires.call(regions, image=None)[3].message != NO_VIDEO),
        "nobody, sharpness": differ(wires.call(blurred, pose=nobody)[1], [0.0] * 2 * FRAMES),
        **{
            f"normalised pose, {name}": differ(wires.call(name, pose=normalised)[:3], wires.call(name)[:3])
            for name in (regions, drawn, blurred)
        },
        "one frame": differ(one.call(node, steps=2)[0]["samples"], _command_line(one, steps=2)),
        "windows of one frame": differ(
            settled(length=1, overlap=0)[0]["samples"], _command_line(wires, window=1, overlap=0, steps=2)
        ),
        "overlap of a frame less than the window": differ(
            settled(overlap=LENGTH - 1)[0]["samples"], _command_line(wires, overlap=LENGTH - 1, steps=2)
        ),
        "largest seed": differ(settled(seed=2**64 - 1)[0]["samples"], _command_line(wires, seed=2**64 - 1, steps=2)),
        "smallest seed": differ(settled(seed=0)[0]["samples"], _command_line(wires, seed=0, steps=2)),
        "empty latent of 16 channels": differ(
            wires.call(node, latent={"samples": torch.zeros(FRAMES, 16, 12, 16)})[0]["samples"], plain
        ),
        "one noise mask for all": differ(
            wires.call(node, latent=masked | {"noise_mask": half})[0]["samples"],
            wires.call(node, latent=masked)[0]["samples"],
        ),
        "one noise mask for all, clips": differ(
            wires.call(node, latent=masked | {"noise_mask": half[0]}, long_video="clips")[0]["samples"],
            wires.call(node, latent=masked, long_video="clips")[0]["samples"],
        ),
        "sharpness as the model was trained": _sharpness_of_another_model(wires),
        "sigmas empty": differ(guided(wires, torch.zeros(0)), samples),
        **references(wires),
    }


def _sharpness_of_another_model(wires: Wires) -> float:
    """Return how far the blur map for a model with a scale of its own is from the library's with that scale."""
    model, path = load(wires.path), wires.path.with_name("soft.safetensors")
    motion = model.config.pose.model_copy(update={"typical_sharpness": 50_000.0})
    model.config = model.config.model_copy(update={"pose": motion})
    save(path, model)
    size = wires.width, wires.height
    told, usual = (
        measure_hand_blur(wires.pose, *size, wires.driving, **scale) for scale in ({"typical": 50_000.0}, {})
    )
    assert abs(told.sharpness - usual.sharpness).max() > 0.1
    maps = wires.call("InhabitMotionBlur", model=load_model(path))[0]
    return max(
        differ(maps, blur_maps(told, *size)), differ(wires.call("InhabitMotionBlur")[0], blur_maps(usual, *size))
    )


def references(wires: Wires) -> dict[str, float]:
    """Return how references of any size compare with the command line's, and how large an enormous one becomes."""
    codec, picture = load_codec(wires.path), wires.path.with_name("reference.png")
    report = {}
    for width, height in ((211, 333), (70, 45), (64, 48)):
        pixels = np.random.default_rng(4).integers(0, 255, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(picture)
        expected = codec.encode(fit_reference(read_image(picture), (WIDTH, HEIGHT), 8, "it")) / codec.scale
        given = wires.call("InhabitReference", image=torch.from_numpy(pixels)[None] / 255)
        report[f"a reference of {width}x{height}"] = differ(given[0][0][1][REFERENCE], expected)
    photo = torch.rand(1, 600, 400, 3).repeat_interleave(10, dim=1).repeat_interleave(10, dim=2)
    latents = wires.call("InhabitReference", image=photo, driving=None)[0][0][1][REFERENCE]
    height, width = (4 * side for side in latents.shape[-2:])
    report["pixels of an enormous reference"] = abs(height * width / 768**2 - 1)
    report["shape of an enormous reference"] = abs(height / width / 1.5 - 1)
    return report


def _normalised(frame: dict, width: int, height: int) -> dict:
    """The same pose in 0…1, and without a canvas."""
    scale = torch.tensor([width, height, 1.0])
    people = [
        {
            name: (torch.tensor(values).unflatten(0, (-1, 3)) / scale).flatten().tolist()
            for name, values in person.items()
        }
        for person in frame["people"]
    ]
    return {"people": people}


def _command_line(wires: Wires, **changed) -> torch.Tensor:
    """Return the latents that `pipeline.animate` decodes."""
    given = DrivingConditions(
        wires.driving,
        wires.mask,
        wires.skeleton,
        wires.depth[..., 0],
        wires.object_mask,
        wires.blur,
    )
    ours, codec = load(wires.path), load_codec(wires.path)
    seen, decode = [], codec.decode
    codec.decode = lambda latents: (seen.append(latents), decode(latents))[1]
    settings = {"steps": 1, "guidance": 1.0, "seed": SEED, "window": LENGTH, "overlap": OVERLAP}
    animate(ours, codec, wires.reference, given, Settings(**settings | changed), progress=False)
    return torch.cat(seen) / ours.config.latent.scale


def long(folder: Path) -> dict[str, float]:
    """Return how far a thousand frames are from the same frames in small numbers, or from the command line's."""
    wires, few = Wires(folder, LONG, 32, 32), Wires(folder, LONG, 32, 32)
    for name in ("driving", "mask", "skeleton", "depth", "blur", "object_mask", "pose"):
        setattr(few, name, getattr(few, name)[:FRAMES])
    frame_by_frame = {
        "InhabitSkeletonRenderer": {},
        "InhabitShapeAgnosticMask": {},
        "InhabitHandFaceRegions": {},
        "InhabitMotion": {},
        "InhabitEnvironment": {},
        "InhabitObjects": {},
        "InhabitPasteBack": {"grow": 0},
        "InhabitMotionBlur": {"driving": None},
    }
    report = {
        f"{node}, {LONG} frames": _beginning(wires.call(node, **changed), few.call(node, **changed))
        for node, changed in frame_by_frame.items()
    }
    sampled = wires.call("InhabitWindowedSampler")[0]["samples"]
    report[f"InhabitWindowedSampler, {LONG} frames"] = differ(sampled, _command_line(wires))
    return report


def _beginning(many, few) -> float:
    """Return the difference between a few frames' tensors and the first frames of many frames'; 1e9 without any."""
    pairs = [pair for pair in zip(_tensors(many), _tensors(few), strict=True) if len(pair[0]) == LONG]
    return max((differ(long[:FRAMES], short) for long, short in pairs), default=1e9)


def _tensors(outputs) -> list[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    outputs = list(outputs.values()) if isinstance(outputs, dict) else outputs
    return [tensor for part in outputs for tensor in _tensors(part)] if isinstance(outputs, list | tuple) else []
