"""A shot → clips of one person: looked at, judged, written as scene folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...atomic import atomic_folder
from ...errors import InputError
from ...media import (
    Video,
    parse_poses,
    resize,
    to_keypoints,
    to_uint8,
    write_image,
    write_lossless,
    write_pose,
    write_video,
)
from ...media.opencv import cv2
from ...perception.backends import PoseEstimator
from ...perception.regions import hand_face_regions
from ..perceived import Perceived, perceive, seen_size
from .settings import PrepareSettings
from .shots import Looks, Section

MARGIN = 0.1  # around the person, of the box's longer side
Box = tuple[int, int, int, int]  # left, top, right, bottom


def spans(times: np.ndarray, fps: float, longest: float) -> list[tuple[int, int]]:
    """A shot's frames in equal parts, none longer than `longest` seconds where a frame is shorter."""
    seconds = float(times[-1]) + 1 / fps
    parts = max(1, int(np.ceil(seconds / longest - 1e-6)))
    edges = np.searchsorted(times, np.arange(parts) * (seconds / parts) - 1e-9).tolist() + [len(times)]
    return [(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True) if stop > start]


def prepare_shot(
    video: Video,
    shot: tuple[int, int],
    looks: Looks,
    estimator: PoseEstimator,
    out: Path,
    name: str,
    base: dict,
    settings: PrepareSettings,
) -> list[dict]:
    """Write the good clips of a shot into `out`, and tell of every clip: its frames, numbers, and folder or reason."""
    section = Section(video, *shot)
    cuts = spans(section.times, video.fps, settings.max_seconds)
    told = [{"frames": [shot[0] + start, shot[0] + stop]} for start, stop in cuts]
    seconds = float(section.times[-1]) + 1 / video.fps
    if seconds < settings.min_seconds - 1e-6:
        return [{**entry, "reason": "too short"} for entry in told]
    people = _people(section, estimator)
    if people is None:
        return [{**entry, "reason": "nobody"} for entry in told]
    for entry, cut in zip(told, cuts, strict=True):
        entry["quality"] = quality = _quality(section, people, looks, shot[0], cut)
        reason = _reason(quality, settings)
        if reason is not None:
            entry["reason"] = reason
            continue
        entry["clip"] = f"{name}-{entry['frames'][0]:06d}-{entry['frames'][1]:06d}"
        if not (out / entry["clip"]).is_dir():
            _write(section, people, cut, out / entry["clip"], {**base, **entry}, settings)
    return told


def _people(section: Section, estimator: PoseEstimator) -> Perceived | None:
    try:
        return perceive(section, estimator)
    except InputError as error:
        if "finds nobody" not in str(error):
            raise
        return None


def _quality(section: Section, people: Perceived, looks: Looks, first: int, cut: tuple[int, int]) -> dict:
    start, stop = cut
    boxes = [_box(people.mask[[index]].numpy()[0]) for index in range(start, stop)]
    seen = [box for box in boxes if box is not None]
    size = seen_size(section.size)
    sharpness = [
        cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
        for frame in section.frames(size, start, stop)
    ]
    numbers = {
        "seconds": float(section.times[stop - 1] - section.times[start]) + 1 / section.fps,
        "seen": len(seen) / len(boxes),
        "person": float(np.median([bottom - top for _, top, _, bottom in seen])) / size[1] if seen else 0.0,
        "sharpness": float(np.median(sharpness)),
        "light": float(looks.light[first + start : first + stop].mean()),
        "motion": float(looks.motion[first + start + 1 : first + stop].mean()) if stop - start > 1 else 0.0,
    }
    return {name: round(value, 5) for name, value in numbers.items()}


def _reason(quality: dict, settings: PrepareSettings) -> str | None:
    """Why a clip is left out, or None."""
    checks = (
        ("too short", quality["seconds"] < settings.min_seconds - 1e-6),
        ("too dark", quality["light"] < settings.min_light),
        ("frozen", quality["motion"] < settings.min_motion),
        ("person not seen", quality["seen"] < settings.min_seen),
        ("person too small", quality["person"] < settings.min_person),
        ("blurred", quality["sharpness"] < settings.min_sharpness),
    )
    return next((reason for reason, is_so in checks if is_so), None)


def _box(mask: np.ndarray) -> Box | None:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


def _window(section: Section, mask: np.ndarray, aspect: float | None) -> Box:
    """Where to cut the video's own pixels so that the mask (h, w) is inside, of width / height `aspect` if it fits."""
    width, height = section.size
    scale = np.array([width / mask.shape[1], height / mask.shape[0]] * 2)
    left, top, right, bottom = np.array(_box(mask)) * scale
    room = MARGIN * max(right - left, bottom - top)
    across, down = right - left + 2 * room, bottom - top + 2 * room
    if aspect is not None:
        across, down = max(across, down * aspect), max(down, across / aspect)
    middle = (left + right) / 2, (top + bottom) / 2
    (left, right), (top, bottom) = _within(middle[0], across, width), _within(middle[1], down, height)
    return left, top, right, bottom


def _within(middle: float, length: float, whole: int) -> tuple[int, int]:
    length = min(max(2, round(length)), whole)
    low = min(max(0, round(middle - length / 2)), whole - length)
    return low, low + length


def _write(
    section: Section, people: Perceived, cut: tuple[int, int], folder: Path, meta: dict, settings: PrepareSettings
) -> None:
    """A scene folder. Gap: depth and objects are empty; the target is the driving video, of the same person."""
    start, stop = cut
    frames, (width, height) = list(range(start, stop)), settings.size
    union = np.any([people.mask[[index]].numpy()[0] > 0 for index in frames], axis=0)
    box = _window(section, union, width / height)
    fps, times = section.fps, section.times[start:stop] - section.times[start]
    masks = people.mask_at(section.size)
    poses = _moved(people.keypoints[start:stop], section.size, box, settings.size)
    regions = hand_face_regions(poses, width, height)
    nothing = np.zeros((height, width), np.uint8)

    def cut_out(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        left, top, right, bottom = box
        for picture in pictures:
            yield resize(picture[None, top:bottom, left:right], width, height)[0]

    with atomic_folder(folder) as made:
        write_video(made / "driving.mp4", cut_out(section.frames(None, start, stop)), fps, times=times)
        shutil.copyfile(made / "driving.mp4", made / "target.mp4")
        whole = (to_uint8(masks[[index]])[0] for index in frames)
        write_lossless(made / "mask.mkv", cut_out(whole), fps, times=times)
        shutil.copyfile(made / "mask.mkv", made / "target_mask.mkv")
        for name, planes in (("hands", regions.hands), ("face", regions.face)):
            write_lossless(made / f"{name}.mkv", (to_uint8(plane) for plane in planes), fps, times=times)
        for name in ("object", "depth"):
            write_lossless(made / f"{name}.mkv", (nothing for _ in frames), fps, times=times)
        write_pose(made / "pose.json", poses)
        reference = _reference(section, people, cut)
        write_image(made / "reference.png", _portrait(section, people, reference))
        told = {"frames": stop - start, "width": width, "height": height, "fps": fps, "box": box}
        told |= {"source_frames": meta["frames"], "reference_frame": meta["frames"][0] - start + reference}
        text = json.dumps({**meta, **told}, indent=2, sort_keys=True) + "\n"
        (made / "meta.json").write_text(text, encoding="utf-8")


def _reference(section: Section, people: Perceived, cut: tuple[int, int]) -> int:
    """The frame of the shot that shows the person, farthest from the clip; within the clip where there is no other."""
    start, stop = cut
    order = sorted(range(len(section)), key=lambda frame: (-max(start - frame, frame - stop + 1, 0), frame))
    return next(frame for frame in order if people.mask[[frame]].numpy().any())


def _portrait(section: Section, people: Perceived, frame: int) -> np.ndarray:
    left, top, right, bottom = _window(section, people.mask[[frame]].numpy()[0] > 0, None)
    return np.ascontiguousarray(next(section.frames(None, frame, frame + 1))[top:bottom, left:right])


def _moved(keypoints: list[dict], own: tuple[int, int], box: Box, size: tuple[int, int]) -> list[dict]:
    """Poses in the pixels of a box that is resized to `size`; points outside are kept."""
    left, top, right, bottom = box
    scale, offset = np.array([size[0] / (right - left), size[1] / (bottom - top)]), np.array([left, top])
    moved = []
    for people in parse_poses(keypoints, *own):
        for pose in people:
            for points in (pose.body, pose.left_hand, pose.right_hand, pose.face):
                present = points[:, 2] > 0
                points[present, :2] = (points[present, :2] - offset) * scale
        moved.append(to_keypoints(people, *size))
    return moved
