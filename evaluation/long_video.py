"""Long videos: how visible the windows' borders are, and how steady everything around the character stays.

Held-out scenes of 96 frames, as the model draws them, for several ways to go through a long video.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from ..errors import InputError
from ..media import to_float
from ..models import AnimationModel, LatentCodec
from ..pipeline import Settings, animate
from ..pipeline.request import choose_device
from ..sampling.windows import windows
from ..scenes import HELD_OUT_SEED, Scene, render_scene
from .held_out import load_both, scene_conditions
from .metrics import character_region, psnr, seam_error, unsteadiness
from .report import write_json

FRAMES, WINDOW = 96, 16
FIRST_SEED = HELD_OUT_SEED + 500
SCENES = ("walk", "reach", "object", "dance")


@dataclass(frozen=True)
class Way:
    """One way to go through a long video: keyword arguments of `animate`."""

    overlap: int
    long_video: str = "windows"
    prompt_travel: bool = True
    reference_noise: bool = False


WAYS = {
    "fixed windows, overlap 2": Way(2, prompt_travel=False),
    "fixed windows, overlap 8": Way(8, prompt_travel=False),
    "prompt travel, overlap 2": Way(2),
    "prompt travel, overlap 4": Way(4),
    "prompt travel, overlap 8": Way(8),
    "prompt travel, overlap 4, reference noise": Way(4, reference_noise=True),
    "clips, 2 motion frames": Way(2, long_video="clips"),
    "clips, 4 motion frames": Way(4, long_video="clips"),
}


def measure_long_videos(
    model_path: Path, out: Path, scenes: int = 4, size: int = 128, device: str | None = None
) -> dict[str, dict[str, float]]:
    """Write long_videos.json to `out` and return way → {"seam", "largest", "jitter", "psnr", "windows"}, means.

    seam: change of the error where windows without travel begin and end, over elsewhere (1: no seam); largest: the
    largest such change over the median one, wherever it is; jitter: the mean change of the error outside the
    character, in 1/255; psnr: of the character, dB; windows: how many a step denoises, the cost.
    Raises:
        InputError: see `make_report`.
    """
    if scenes < 1:
        raise InputError(f"--long-videos is {scenes}: give 1 or more")
    model, codec = load_both(model_path, choose_device(device))
    results: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tqdm(total=scenes * len(WAYS), desc="long videos", unit="run") as bar:
        for number in range(scenes):
            scene = render_scene(FIRST_SEED + number, SCENES[number % len(SCENES)], FRAMES, size, size)
            for name, way in WAYS.items():
                results[name].append(_measure(scene, _run(model, codec, scene, way), way))
                bar.update()
    means = {
        name: {key: statistics.mean(one[key] for one in measured) for key in measured[0]}
        for name, measured in results.items()
    }
    write_json(out / "long_videos.json", means)
    return means


def table(results: dict[str, dict[str, float]]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| Way | seam | largest change / median | jitter outside, 1/255 | character, dB | windows a step |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in results.items():
        lines.append(
            f"| {name} | {one['seam']:.2f} | {one['largest']:.2f} | {one['jitter']:.2f} | {one['psnr']:.2f} | "
            f"{one['windows']:.1f} |"
        )
    return "\n".join(lines)


def _run(model: AnimationModel, codec: LatentCodec, scene: Scene, way: Way) -> Tensor:
    reference, conditions = scene_conditions(scene, model.config.plate)
    settings = Settings(
        window=WINDOW,
        overlap=way.overlap,
        long_video=way.long_video,
        prompt_travel=way.prompt_travel,
        reference_noise=way.reference_noise,
    )
    return animate(model, codec, reference, conditions, settings, progress=False)


def _measure(scene: Scene, result: Tensor, way: Way) -> dict[str, float]:
    target = to_float(scene.target)
    character = character_region(to_float(scene.character), to_float(scene.target_character))
    changes = unsteadiness(result, target)
    return {
        "seam": seam_error(changes, _borders(way)),
        "largest": float(changes.max() / changes.median()),
        "jitter": 255 * float(unsteadiness(result, target, ~character).nanmean()),
        "psnr": psnr(result, target, character),
        "windows": _windows_a_step(way),
    }


def _borders(way: Way) -> list[int]:
    """The frames where a window of the way's fixed windows begins, or the last one has just ended."""
    fixed = windows(FRAMES, WINDOW, way.overlap)
    begins = [window[0] for window in fixed[1:]] if way.long_video == "windows" else []
    return sorted({*begins, *(window[-1] + 1 for window in fixed[:-1])})


def _windows_a_step(way: Way) -> float:
    """How many windows a step denoises, on average over all offsets."""
    travels = way.prompt_travel and way.long_video == "windows"
    offsets = range(WINDOW - way.overlap) if travels else [0]
    return statistics.mean(len(windows(FRAMES, WINDOW, way.overlap, offset)) for offset in offsets)
