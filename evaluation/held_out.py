"""The bundled model's numbers: 16 held-out scenes, another character in each, against the exact truth.

For every scene: our result (as the model drew it, and with the driving video's own pixels put back), three baselines,
and the model with one of its conditions removed. Writes report.json, report.md and a contact sheet per scene.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..atomic import atomic_file
from ..errors import InputError
from ..media import parse_poses, to_float
from ..models import AnimationModel, LatentCodec
from ..perception import render_skeleton, shape_agnostic_mask, structured_depth
from ..perception.plate import CleanPlate
from ..pipeline import DrivingConditions, Settings, animate
from ..pipeline.paste_back import paste_back
from ..pipeline.request import choose_device
from ..scenes import HELD_OUT_SEED, KINDS, Scene, render_scene
from ..weights import load, load_codec
from .baselines import baselines
from .metrics import Scores, character_region, mean_scores, measure_regions
from .report import write_json
from .sheet import contact_sheet, difference

# mechanism of `animate` that is switched off → the region whose PSNR that should lower
SWITCHES = {
    "reference": "character",
    "motion": "character",
    "depth": "character",
    "objects": "object",
    "environment": "outside",
}
OURS, RAW = "ours", "ours, as drawn"


@dataclasses.dataclass(frozen=True)
class HeldOutSettings:
    """Which scenes, and how they are sampled; every None is the model's own default."""

    scenes: int = 16
    frames: int = 24
    size: int = 128
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    switches: bool = True


def without(name: str) -> str:
    """Name of the clip that a switch makes."""
    return f"without {name}"


def scene_conditions(scene: Scene, with_plate: bool = False) -> tuple[Tensor, DrivingConditions]:
    """Return a scene's reference (1, H, W, 3) and its driving conditions, as `inhabit animate` makes them.

    with_plate: for models that read a clean plate, which is made of the driving frames.
    """
    frames, height, width = scene.driving.shape[:3]
    skeleton = render_skeleton(parse_poses(scene.pose, width, height), width, height)
    conditions = DrivingConditions(
        driving=to_float(scene.driving),
        mask=shape_agnostic_mask(to_float(scene.character)),
        skeleton=skeleton,
        depth=structured_depth(torch.from_numpy(scene.depth), skeleton),
        object_mask=to_float(scene.object),
    )
    if with_plate:
        hidden = torch.maximum(to_float(scene.character), to_float(scene.object))
        plate = CleanPlate(conditions.driving, hidden)
        places, known = zip(*(plate[index] for index in range(frames)), strict=True)
        conditions = dataclasses.replace(conditions, plate=torch.stack(places), known=torch.stack(known))
    return to_float(scene.reference)[None], conditions


def scene_clips(
    model: AnimationModel, codec: LatentCodec, scene: Scene, settings: HeldOutSettings, done: Callable[[], None]
) -> dict[str, Tensor]:
    """Return every clip of one scene by name, IMAGE (F, H, W, 3); `done` is called after each run of the model."""
    reference, conditions = scene_conditions(scene, model.config.plate)
    how = Settings(steps=settings.steps, guidance=settings.guidance, seed=settings.seed)

    def run(given: DrivingConditions, *off: str) -> Tensor:
        frames = animate(model, codec, reference, given, how, without=off, progress=False)
        done()
        return frames

    raw = run(conditions)
    clips = {OURS: paste_back(raw, conditions.driving, conditions.mask), RAW: raw}
    clips |= baselines(conditions.driving, conditions.mask, reference[0], to_float(scene.character))
    if settings.switches:
        clips |= {without(name): run(conditions, name) for name in ("reference", "motion", "environment")}
        clips[without("depth")] = run(dataclasses.replace(conditions, depth=None))
        if conditions.has_objects:
            clips[without("objects")] = run(conditions, "objects")
    return clips


def scene_scores(scene: Scene, clips: dict[str, Tensor]) -> dict[str, dict[str, Scores]]:
    """Return clip → region → {"psnr", "ssim"}.

    Regions: the character (driving or target), outside it, outside the formulated mask, the whole frame, the object.
    """
    character = character_region(to_float(scene.character), to_float(scene.target_character))
    regions = {
        "character": character,
        "outside": ~character,
        "outside_mask": ~character_region(shape_agnostic_mask(to_float(scene.character))),
        "frame": None,
        "object": character_region(to_float(scene.object)),
    }
    target = to_float(scene.target)
    return {name: measure_regions(clip, target, regions) for name, clip in clips.items()}


def make_report(model_path: Path, out: Path, settings: HeldOutSettings, device: str | None = None) -> dict:
    """Measure a model over held-out scenes, write report.json, report.md and scenes/*.png to `out`, return the numbers.

    Raises InputError for a checkpoint that cannot be used or bundles no VAE, for fewer than one scene, and for a device
    that is not there.
    """
    if settings.scenes < 1:
        raise InputError(f"--scenes is {settings.scenes}: give 1 or more")
    model, codec = load_both(model_path, choose_device(device))
    places = [(HELD_OUT_SEED + number, KINDS[number % len(KINDS)]) for number in range(settings.scenes)]
    rows = []
    runs = 1 + (len(SWITCHES) if settings.switches else 0)
    with tqdm(total=runs * len(places), desc="report", unit="run") as bar:
        for number, (seed, kind) in enumerate(places, start=1):
            bar.set_postfix_str(f"{seed} {kind}")
            scene = render_scene(seed, kind, settings.frames, settings.size, settings.size)
            clips = scene_clips(model, codec, scene, settings, bar.update)
            rows.append({"seed": seed, "kind": kind, "scores": scene_scores(scene, clips)})
            _scene_sheet(scene, clips, out / "scenes" / f"{seed}-{kind}.png")
            bar.update(number * runs - bar.n)  # scenes without an object make one run less
    report = {"model": _description(model_path, model, settings), **summarise(rows), "scenes": rows}
    write_json(out / "report.json", report)
    with atomic_file(out / "report.md") as partial:
        partial.write_text(markdown(report), encoding="utf-8")
    return report


def load_both(model_path: Path, device: str) -> tuple[AnimationModel, LatentCodec]:
    """Load a checkpoint's model and VAE. Raises InputError for one that cannot be used or bundles no VAE."""
    model, codec = load(model_path, device), load_codec(model_path, device)
    if codec is None:
        raise InputError(f"{model_path} bundles no VAE: the report is made for models that do")
    return model, codec


def summarise(rows: list[dict]) -> dict:
    """Return the means over scenes, the margin over the best baseline, and what each switch changed."""
    names = dict.fromkeys(name for row in rows for name in row["scores"])
    mean = {name: mean_scores([row["scores"][name] for row in rows if name in row["scores"]]) for name in names}
    rivals = {
        name: mean[name]["character"]["psnr"] for name in ("inpainted_environment", "pasted_reference", "driving")
    }
    best = max(rivals, key=rivals.get)
    margin = {"best_baseline": best, "character_psnr": mean[OURS]["character"]["psnr"] - rivals[best]}
    switches = {name: _switch(rows, name, region) for name, region in SWITCHES.items() if without(name) in mean}
    return {"mean": mean, "margin": margin, "switches": switches}


def markdown(report: dict) -> str:
    """Return the report's numbers as Markdown tables."""
    model, regions = report["model"], ("character", "outside", "outside_mask", "frame")
    lines = [
        f"{len(report['scenes'])} held-out scenes, cross-identity, {model['frames']} frames, {model['size']} px, "
        f"{model['steps']} steps, guidance {model['guidance']:g}, seed {model['seed']}. "
        "Means over the scenes, PSNR in dB / SSIM.",
        "",
        "| clip | character | outside it | outside the mask | whole frame |",
        "|---|---|---|---|---|",
    ]
    for name, scores in report["mean"].items():
        if not name.startswith(without("")):
            lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(_cell(scores[r]) for r in regions) + " |")
    margin = report["margin"]
    best = margin["best_baseline"].replace("_", " ")
    lines += ["", f"Character region: {margin['character_psnr']:+.2f} dB over the best baseline ({best})."]
    if report["switches"]:
        lines += [
            "",
            "| switched off | measured in | with | without | change | lower in |",
            "|---|---|---|---|---|---|",
        ]
    for name, switch in report["switches"].items():
        lines.append(
            f"| {name} | {switch['region']} | {switch['with']:.2f} | {switch['without']:.2f} "
            f"| {switch['without'] - switch['with']:+.2f} dB | {switch['lower_in']} of {switch['scenes']} scenes |"
        )
    return "\n".join(lines) + "\n"


def _switch(rows: list[dict], name: str, region: str) -> dict:
    """Compare a switched-off run with the full one, both as drawn, in the scenes where both have a number."""
    pairs = [
        (row["scores"][RAW][region]["psnr"], row["scores"][without(name)][region]["psnr"])
        for row in rows
        if without(name) in row["scores"]
    ]
    pairs = [(full, less) for full, less in pairs if full is not None and less is not None]
    return {
        "region": region,
        "with": sum(full for full, _ in pairs) / len(pairs),
        "without": sum(less for _, less in pairs) / len(pairs),
        "lower_in": sum(less < full for full, less in pairs),
        "scenes": len(pairs),
    }


def _cell(scores: Scores) -> str:
    return "–" if scores["psnr"] is None else f"{scores['psnr']:.2f} / {scores['ssim']:.3f}"


def _description(path: Path, model: AnimationModel, settings: HeldOutSettings) -> dict:
    defaults = model.config.sampling
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": path.name,
        "sha256": digest,
        "name": model.config.name,
        "frames": settings.frames,
        "size": settings.size,
        "steps": defaults.steps if settings.steps is None else settings.steps,
        "guidance": defaults.guidance if settings.guidance is None else settings.guidance,
        "seed": settings.seed,
    }


def _scene_sheet(scene: Scene, clips: dict[str, Tensor], path: Path) -> None:
    target, (_, conditions) = to_float(scene.target), scene_conditions(scene)
    rows = {"driving": conditions.driving, "skeleton": conditions.skeleton, OURS: clips[OURS], "target": target}
    rows["|ours - target|"] = difference(clips[OURS], target)
    rows |= {name: clip for name, clip in clips.items() if name == RAW or name.startswith(without(""))}
    contact_sheet(rows, path, reference=to_float(scene.reference))
