"""Hands: how much sharper or more blurred a model draws them when it is asked to (HIA §3.2).

Held-out scenes of fast and of near hands, as the model draws them when it is told nothing, the truth, or a wish.
"""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

from ..errors import InputError
from ..media import to_float
from ..media.arrays import to_uint8
from ..models import AnimationModel
from ..perception import HandBlur, blur_maps, measure_hand_blur, override_sharpness
from ..perception.motion_blur import laplacian_variance
from ..pipeline import animate
from ..pipeline.request import choose_device
from ..scenes import HELD_OUT_SEED, Scene, render_scene
from .held_out import load_both, scene_conditions
from .metrics import character_region, psnr
from .report import write_json

FRAMES = 16
FIRST_SEED = HELD_OUT_SEED + 700
SCENES = ("fasthands", "dance", "handface", "reach")
UNTOLD, MEASURED = "not told", "told what is measured"
REQUESTS = {MEASURED: "", "asked for sharp": "both sharp", "asked for blurred": "both blurred"}


def measure_hands(
    model_path: Path, out: Path, scenes: int = 8, size: int = 128, device: str | None = None
) -> dict[str, dict[str, float]]:
    """Write hands.json to `out` and return request → {"sharpness", "psnr"}, means over the scenes.

    sharpness: the median of s over the hands of a clip (eq. 3); psnr: of the hands, dB.
    Raises InputError: see `make_report`; and for a model that reads no motion-blur maps.
    """
    if scenes < 1:
        raise InputError(f"--hands is {scenes}: give 1 or more")
    model, codec = load_both(model_path, choose_device(device))
    _require_branch(model, model_path)
    results: dict[str, list[dict[str, float]]] = {}
    for number in tqdm(range(scenes), desc="hands", unit="scene"):
        scene = render_scene(FIRST_SEED + number, SCENES[number % len(SCENES)], FRAMES, size, size)
        reference, conditions = scene_conditions(scene, model.config.plate)
        typical = model.config.pose.typical_sharpness
        blur = measure_hand_blur(scene.pose, size, size, conditions.driving, typical=typical)
        clips = {"truth": to_float(scene.target)}
        for name, maps in {UNTOLD: None, **_maps(blur, size)}.items():
            given = dataclasses.replace(conditions, blur=maps)
            clips[name] = animate(model, codec, reference, given, progress=False)
        for name, clip in clips.items():
            results.setdefault(name, []).append(_measure(scene, clip, blur))
    means = {
        name: {key: statistics.mean(one[key] for one in measured) for key in ("sharpness", "psnr")}
        for name, measured in results.items()
    }
    write_json(out / "hands.json", means)
    return means


def table(results: dict[str, dict[str, float]]) -> str:
    """The results as a Markdown table."""
    lines = ["| hands | sharpness | to the truth, dB |", "|---|---|---|"]
    lines += [f"| {name} | {one['sharpness']:.0f} | {one['psnr']:.2f} |" for name, one in results.items()]
    return "\n".join(lines)


def _require_branch(model: AnimationModel, path: Path) -> None:
    if model.config.pose.blur is None:
        raise InputError(f"{path} reads no motion-blur maps: choose a model with pose.blur, as puppets")


def _maps(blur: HandBlur, size: int) -> dict[str, Tensor]:
    return {name: blur_maps(override_sharpness(blur, text), size, size) for name, text in REQUESTS.items()}


def _measure(scene: Scene, clip: Tensor, blur: HandBlur) -> dict[str, float]:
    values = laplacian_variance(to_uint8(clip), blur.points)
    if not values.any():
        raise InputError(f"--size {clip.shape[2]} shows no hand large enough to measure: give a larger one, as 128")
    hands = character_region(to_float(scene.hands))
    return {"sharpness": float(np.median(values[values > 0])), "psnr": psnr(clip, to_float(scene.target), hands)}
