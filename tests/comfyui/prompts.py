"""Workflows in API form: read, made small, run, and what they show; and the same scene through the command line."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
from inhabit import cli
from inhabit.media import read_video, write_lossless, write_pose
from inhabit.scenes import render_scene
from PIL import Image

from .server import ROOT, ComfyServer, failure

SMALL = {"width": 96, "height": 96, "frames": 7, "length": 5, "overlap": 2, "steps": 2}  # two windows a step
Output = tuple[str, int]  # number of a node and of its output


def workflow(name: str) -> dict:
    return json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text())


def small(prompt: dict, **changes: object) -> dict:
    """Return the workflow with fewer frames and steps, in windows all the same; `changes` go before SMALL."""
    prompt, values = copy.deepcopy(prompt), SMALL | changes
    for node in prompt.values():
        fixed = {key: value for key, value in values.items() if key in node["inputs"]}
        node["inputs"] |= {key: value for key, value in fixed.items() if not isinstance(node["inputs"][key], list)}
    return prompt


def inputs_of(prompt: dict, class_type: str) -> dict:
    return prompt[number_of(prompt, class_type)]["inputs"]


def number_of(prompt: dict, name: str) -> str:
    """Return the number of the first node of this type or title."""
    return next(key for key, node in prompt.items() if name in (node["class_type"], node.get("_meta", {}).get("title")))


def pictures(server: ComfyServer, prompt: dict, outputs: dict[str, Output]) -> tuple[dict[str, np.ndarray], dict]:
    """Run the workflow and return the IMAGE or MASK of these outputs without loss, uint8 (F, H, W, 3), by name, and
    the history entry. Raises AssertionError where the run fails.
    """
    prompt = copy.deepcopy(prompt)
    for name, (number, slot) in outputs.items():
        prompt[f"{name} saved"] = {
            "class_type": "SaveImage",
            "inputs": {"images": [number, slot], "filename_prefix": f"{name}/{name}"},
        }
    history = server.run(prompt)
    assert failure(history) is None, server.log_tail()
    saved = {name: server.files({"outputs": {"": history["outputs"][f"{name} saved"]}}) for name in outputs}
    return {name: np.stack([np.asarray(Image.open(path)) for path in paths]) for name, paths in saved.items()}, history


def videos(server: ComfyServer, history: dict) -> dict[str, Path]:
    """Return the saved videos by what their names begin with, `pose_video` for `pose_video_00001_.mp4`."""
    return {path.stem[:-7]: path for path in server.files(history) if path.suffix == ".mp4"}


def by_command_line(folder: Path, prompt: dict, *more: object) -> np.ndarray:
    """Return what `inhabit animate` makes of the workflow's scene with its sampler's settings: uint8 (F, H, W, 3).

    Its files are written to `folder` without loss. `more` are further options.
    """
    scene = render_scene(**inputs_of(prompt, "InhabitSampleScene"))
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.reference).save(folder / "reference.png")
    for name in ("driving", "character", "object"):
        write_lossless(folder / f"{name}.mkv", getattr(scene, name), 24)
    write_pose(folder / "pose.json", scene.pose)
    np.save(folder / "depth.npy", scene.depth)
    files = {"reference": "reference.png", "driving": "driving.mkv", "pose": "pose.json", "depth": "depth.npy"}
    files |= {"mask": "character.mkv", "object-mask": "object.mkv", "out": "out.mkv"}
    arguments = ["animate", "--device", "cpu", "--plate", "off", *more]  # the graphs have no plate
    for name, file in files.items():
        arguments += [f"--{name}", folder / file]
    assert cli.main([str(word) for word in arguments]) == 0
    return read_video(folder / "out.mkv").frames


def sampling_options(prompt: dict, class_type: str = "InhabitWindowedSampler") -> list:
    """Return the settings of a sampler node as options of `inhabit animate`."""
    inputs = inputs_of(prompt, class_type)
    names = {"seed": "seed", "steps": "steps", "cfg": "guidance", "length": "window", "overlap": "overlap"}
    names["long_video"] = "long-video"
    options = [(f"--{option}", inputs[name]) for name, option in names.items() if name in inputs]
    return [word for pair in options for word in pair]


def largest_gap(first: np.ndarray, second: np.ndarray) -> int:
    """Return by how many of 255 levels two equally large pictures differ at most; inf for other sizes."""
    return int(np.abs(first.astype(int) - second).max()) if first.shape == second.shape else math.inf


def psnr(first: np.ndarray, second: np.ndarray, region: np.ndarray | None = None) -> float:
    """Return decibels, over a bool region (F, H, W) where one is given."""
    errors = (first.astype(float) - second) ** 2
    return 10 * math.log10(255**2 / float((errors if region is None else errors[region]).mean()))
