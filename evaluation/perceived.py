"""What perception costs: held-out scenes animated from what the estimators see of them, in place of their truth."""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import InputError
from ..media import read_mask, read_pose, resize, to_float, write_lossless
from ..perception import render_skeleton, shape_agnostic_mask
from ..perception.plate import CleanPlate
from ..pipeline import DrivingConditions, animate
from ..pipeline.matte import character_mattes
from ..pipeline.paste_back import SeenPlace, pasted_back
from ..pipeline.perceived import default_estimator, perceive_files
from ..pipeline.request import choose_device
from ..scenes import FPS, HELD_OUT_SEED, Scene, render_scene
from .held_out import load_both, scene_conditions
from .metrics import character_region, measure_regions
from .report import write_json

FRAMES, SEEN_SIZE = 24, 512
FIRST_SEED = HELD_OUT_SEED + 800
KINDS_SEEN = ("walk", "reach", "dance", "object")
TRUTH, POSE, MASK, BOTH = "truth", "pose perceived", "mask perceived", "pose and mask perceived"
PLATES = {TRUTH: "truth, with its plate", BOTH: "pose and mask perceived, with their plate"}
REGIONS = ("character", "ring", "frame")


def measure_perceived(
    model_path: Path, out: Path, scenes: int = 4, size: int = 128, device: str | None = None
) -> dict[str, dict[str, float]]:
    """Write perceived.json to `out` and return what was perceived → region → PSNR in dB, means over the scenes.

    Each scene is rendered at 512 pixels for the estimators, which see that video alone, and at `size` for the model.
    The ring is the generated region outside of the new character. The table has no depth: it is not perceived.
    Raises InputError where the estimator cannot be used.
    """
    if scenes < 1:
        raise InputError(f"--perceived is {scenes}: give 1 or more")
    model, codec = load_both(model_path, choose_device(device))
    results: dict[str, list[dict[str, float]]] = {}
    for number in tqdm(range(scenes), desc="perceived", unit="scene"):
        kind, seed = KINDS_SEEN[number % len(KINDS_SEEN)], FIRST_SEED + number
        scene = render_scene(seed, kind, FRAMES, size, size)
        reference, truth = scene_conditions(scene)
        truth = dataclasses.replace(truth, depth=None)
        pose, character = seen_of(render_scene(seed, kind, FRAMES, SEEN_SIZE, SEEN_SIZE), size)
        masks = {TRUTH: to_float(scene.character), BOTH: character}
        seen = {"skeleton": render_skeleton(pose, size, size), "mask": shape_agnostic_mask(character)}
        given = {
            TRUTH: truth,
            POSE: dataclasses.replace(truth, skeleton=seen["skeleton"]),
            MASK: dataclasses.replace(truth, mask=seen["mask"]),
            BOTH: dataclasses.replace(truth, **seen),
        }
        clips = {}
        for name, conditions in given.items():
            raw = animate(model, codec, reference, conditions, progress=False)
            clips[name] = _pasted(raw, conditions, None)
            if name in PLATES:
                clips[PLATES[name]] = _pasted(raw, conditions, masks[name])
        for name, clip in clips.items():
            results.setdefault(name, []).append(_scores(scene, clip, truth.mask))
    means = {
        name: {region: statistics.mean(one[region] for one in measured) for region in REGIONS}
        for name, measured in results.items()
    }
    write_json(out / "perceived.json", means)
    return means


def seen_of(scene: Scene, size: int) -> tuple[list[dict], Tensor]:
    """POSE_KEYPOINT frames, and masks (F, size, size) 0…1, of what the default estimator sees of a scene's video."""
    with tempfile.TemporaryDirectory() as folder:
        driving = Path(folder) / "driving.mkv"
        write_lossless(driving, scene.driving, FPS)
        seen = perceive_files(driving, Path(folder) / "seen")
        pose, mask = read_pose(seen / "pose.json"), read_mask(seen / "mask.mkv")
    return pose, torch.from_numpy(resize(mask, size, size)).clamp(0, 1)


def table(results: dict[str, dict[str, float]]) -> str:
    """The results as a Markdown table."""
    lines = ["| conditions | character, dB | around it, dB | frame, dB |", "|---|---|---|---|"]
    rows = {name: " | ".join(f"{one[region]:.2f}" for region in REGIONS) for name, one in results.items()}
    lines += [f"| {name} | {values} |" for name, values in rows.items()]
    return "\n".join(lines)


def _pasted(raw: Tensor, conditions: DrivingConditions, character: Tensor | None) -> Tensor:
    """The result with the driving video's pixels around it and, where the character's mask is given, the plate's."""
    place = None
    plate = None if character is None else CleanPlate(conditions.driving, character)
    if plate is not None and plate.known:
        place = SeenPlace(plate, character_mattes(lambda: iter(raw), conditions, default_estimator()))
    return torch.stack(list(pasted_back(lambda: iter(raw), conditions.driving, conditions.mask, place=place)))


def _scores(scene: Scene, clip: Tensor, mask: Tensor) -> dict[str, float]:
    target, new = to_float(scene.target), character_region(to_float(scene.target_character))
    character = character_region(to_float(scene.character), to_float(scene.target_character))
    regions = {"character": character, "ring": character_region(mask) & ~new, "frame": None}
    return {name: score["psnr"] for name, score in measure_regions(clip, target, regions).items()}
