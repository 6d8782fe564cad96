"""The demonstration: a held-out scene, another character animated into it, and the comparison with the truth.

And once more from the video alone, as a phone's would come: the person in it is found by the estimators.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

import torch

from ..atomic import atomic_folder
from ..media import to_float, write_video
from ..pipeline.inputs import InputFiles, Inputs, open_inputs
from ..pipeline.perceived import default_estimator
from ..pipeline.request import Animation, RunSettings, animate_inputs, draw
from ..scenes import FPS, Scene, render_scene, write_scene
from ..weights import read_config
from .held_out import scene_conditions
from .report import demo_report, write_json
from .sheet import contact_sheet

logger = logging.getLogger(__name__)

SCENE_FILES = ("reference.png", "driving.mp4", "target.mp4")
SEEN_FILES = ("seen-driving.mp4", "seen-result.mp4", "seen-sheet.png")
WRITTEN = (*SCENE_FILES, "result.mp4", "sheet.png", "metrics.json", *SEEN_FILES)
SEEN_SIDE = 512  # pixels of the longer side of the video that the estimators see


def make_demo(
    out: str | Path,
    seed: int,
    kind: str,
    frames: int,
    size: tuple[int, int],
    model: str = "puppets",
    progress: bool = True,
) -> dict:
    """Render a scene, animate its reference by its driving frames, and write the comparison to `out`.

    Writes reference.png, driving.mp4, result.mp4, target.mp4, sheet.png and metrics.json, and, where the pose estimator
    is installed, the files of `_seen`, all or none, and returns the metrics, see `demo_report`. The first animation
    starts from the rendered frames themselves: small saturated pictures lose much of their colour in H.264. Raises
    InputError.
    """
    with atomic_folder(out) as folder:
        scene = render_scene(seed, kind, frames, *size)
        settings = RunSettings(model=model)
        given = scene_conditions(scene, read_config(settings.checkpoint).plate)
        animation = animate_inputs(Inputs(*given, FPS), settings, progress)
        write_video(folder / "result.mp4", animation.frames, FPS)
        metrics = _metrics(scene, animation)
        write_json(folder / "metrics.json", metrics)
        _sheet(scene, animation, folder / "sheet.png")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            files = write_scene(scene, Path(scratch) / "scene")
            for name in SCENE_FILES:
                os.replace(files / name, folder / name)
        reason = default_estimator().available()
        if reason is None:
            _seen(folder, scene, seed, kind, model, progress)
        else:
            logger.info("no clip as the estimators see it: %s", reason)
    return metrics


def _seen(folder: Path, scene: Scene, seed: int, kind: str, model: str, progress: bool) -> None:
    """The same scene, large, as a video and nothing else: seen-driving.mp4 → seen-result.mp4, and seen-sheet.png.

    What a sheet's row of skeletons shows is what was found in the video.
    """
    frames, height, width = scene.driving.shape[:3]
    scale = SEEN_SIDE / max(height, width)
    large = render_scene(seed, kind, frames, *(8 * round(side * scale / 8) for side in (width, height)))
    driving, reference = folder / "seen-driving.mp4", folder / "reference.png"
    write_video(driving, large.driving, FPS)
    with tempfile.TemporaryDirectory(dir=folder) as alone:  # nothing beside it: no truth is used
        video = Path(alone) / driving.name
        shutil.copy(driving, video)
        settings = RunSettings(model=model)
        inputs = open_inputs(InputFiles(reference, video, size=(width, height)), read_config(settings.checkpoint))
        result = torch.stack(list(draw(inputs, settings, progress).frames(with_paste_back=True, with_plate=True)))
        write_video(folder / "seen-result.mp4", result, FPS)
    rows = {
        "a video and nothing else": to_float(large.driving),
        "the person in it, as MediaPipe finds them": inputs.conditions.skeleton.tensor(),
        "result": result,
        "truth": to_float(scene.target),
    }
    contact_sheet(rows, folder / "seen-sheet.png", reference=to_float(scene.reference))


def summary(metrics: dict) -> str:
    """The metrics as the lines that the command prints."""
    clips = {"result": metrics["result"], **metrics["baselines"]}
    regions = ("character", "outside", "outside_mask", "frame")
    lines = [f"{'PSNR (dB)':24}" + "".join(f"{region.replace('_', ' '):>14}" for region in regions)]
    for name, scores in clips.items():
        values = [scores[region]["psnr"] for region in regions]
        lines.append(
            f"{name.replace('_', ' '):24}" + "".join(f"{'–':>14}" if v is None else f"{v:14.1f}" for v in values)
        )
    return "\n".join(lines)


def _metrics(scene: Scene, animation: Animation) -> dict:
    conditions = animation.inputs.conditions
    return demo_report(
        animation.frames,
        to_float(scene.target),
        driving_FHWC=conditions.driving,
        mask_FHW=conditions.mask,
        reference_HWC=animation.inputs.reference[0],
        character_FHW=to_float(scene.character),
        target_character_FHW=to_float(scene.target_character),
    )


def _sheet(scene: Scene, animation: Animation, path: Path) -> None:
    conditions = animation.inputs.conditions
    rows: dict[str, torch.Tensor] = {
        "driving video: another character": conditions.driving,
        "its motion": conditions.skeleton,
        "result: the reference's character, in that place, with that motion": animation.frames,
        "truth": to_float(scene.target),
    }
    contact_sheet(rows, path, reference=animation.inputs.reference)
