"""Scene folders: a rendered scene on disk, and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..atomic import atomic_folder
from ..errors import InputError
from ..media import (
    read_depth,
    read_image,
    read_mask,
    read_pose,
    read_video,
    to_uint8,
    write_image,
    write_lossless,
    write_pose,
    write_video,
)
from .scene import Scene

# Mask files and the fields of Scene they hold.
MASKS = {
    "mask.mkv": "character",
    "object.mkv": "object",
    "hands.mkv": "hands",
    "face.mkv": "face",
    "target_mask.mkv": "target_character",
}
REFERENCE_POSE = "reference_pose.json"  # beside the others; folders written before it was have none
FILES = ("reference.png", "driving.mp4", "target.mp4", "pose.json", "depth.mkv", "meta.json", *MASKS)


def _even(pictures: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a size is odd: (F, H, W) or (F, H, W, 3). H.264 4:2:0 needs even sizes."""
    height, width = pictures.shape[1:3]
    pad = [(0, 0), (0, height % 2), (0, width % 2)] + [(0, 0)] * (pictures.ndim - 3)
    return np.pad(pictures, pad, mode="edge")


def write_scene(scene: Scene, folder: str | Path) -> Path:
    """Write a scene folder, whole or not at all: reference, videos, pose, lossless depth (16 bit) and masks, meta.json.

    An odd width or height grows by one repeated column or row in every file, so that all of them agree.
    """
    folder, fps = Path(folder), float(scene.meta.get("fps", 24.0))
    with atomic_folder(folder) as temporary:
        write_image(temporary / "reference.png", _even(scene.reference[None])[0])
        write_video(temporary / "driving.mp4", _even(scene.driving), fps)
        write_video(temporary / "target.mp4", _even(scene.target), fps)
        height, width = _even(scene.character).shape[1:]
        canvas = {"canvas_width": width, "canvas_height": height}
        write_pose(temporary / "pose.json", [{**frame, **canvas} for frame in scene.pose])
        if scene.reference_pose is not None:
            write_pose(temporary / REFERENCE_POSE, [{**scene.reference_pose, **canvas}])
        write_lossless(temporary / "depth.mkv", _even(scene.depth), fps)
        for name, mask in MASKS.items():
            write_lossless(temporary / name, _even(getattr(scene, mask)), fps)
        meta = {**scene.meta, "width": width, "height": height}
        (temporary / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
    return folder


def read_scene(folder: str | Path) -> Scene:
    """Read a scene folder as `write_scene` makes it; driving and target are as exact as their H.264.

    Raises:
        InputError: when a file is missing or unreadable, or when the videos differ in length or size.
    """
    folder = Path(folder)
    require_files(folder)
    layers = {
        "driving": read_video(folder / "driving.mp4").frames,
        "target": read_video(folder / "target.mp4").frames,
        "depth": read_depth(folder / "depth.mkv").numpy(),
        **{field: to_uint8(read_mask(folder / name)) for name, field in MASKS.items()},
    }
    pose = read_pose(folder / "pose.json")
    lengths = {name: len(layer) for name, layer in layers.items()} | {"pose": len(pose)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{folder} holds videos of different lengths, {lengths}: write the scene again")
    sizes = {name: "{}x{}".format(*layer.shape[2:0:-1]) for name, layer in layers.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{folder} holds videos of different sizes, {sizes}: write the scene again")
    reference = to_uint8(read_image(folder / "reference.png"))[0]
    its_pose = folder / REFERENCE_POSE
    reference_pose = read_pose(its_pose)[0] if its_pose.is_file() else None
    return Scene(reference=reference, pose=pose, meta=read_meta(folder), reference_pose=reference_pose, **layers)


def require_files(folder: Path) -> None:
    """Raise InputError, naming them, where files of a scene folder are missing."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)}: give a folder made by `inhabit scene`")


def read_meta(folder: str | Path) -> dict:
    """Read a scene folder's meta.json.

    Raises InputError unless it is JSON with frames, width and height, whole numbers from 1, and a seed, if any, from 0.
    """
    path = Path(folder) / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}): write the scene again") from error
    if not isinstance(meta, dict) or not {"frames", "width", "height"} <= meta.keys():
        raise InputError(f"{path} does not tell frames, width and height: give folders made by `inhabit scene` alone")
    for name, least in (("frames", 1), ("width", 1), ("height", 1), ("seed", 0)):
        value = meta.get(name, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{path}: {name} is {json.dumps(value)}; write a whole number from {least}")
    return meta
