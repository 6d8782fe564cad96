"""Pose files as people have them: wrapped, nested, one file a frame, in any encoding → a list of frames."""

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .names import natural_order
from .pose_points import PARTS

ONE_FRAME_FILE = "_keypoints.json"  # OpenPose's --write_json: NAME_000000000000_keypoints.json
CANVAS = ("canvas_width", "canvas_height")
WANTED = "it must be a list with one OpenPose dict a frame"
HEAD = 64  # bytes that tell what a file holds


def holds_poses(path: Path) -> bool:
    """Whether a file or folder is to be read by `read_pose`, told by what it holds and not by its name."""
    if path.is_dir():
        files = _frame_files(path)
        others = any(not file.name.startswith(".") and file.suffix.lower() != ".json" for file in path.iterdir())
        return bool(files) and (files[0].name.lower().endswith(ONE_FRAME_FILE) or not others)
    if not path.is_file():
        return path.suffix.lower() == ".json"
    with path.open("rb") as file:
        head = file.read(HEAD)
    text = head.decode(json.detect_encoding(head), errors="replace").lstrip("\ufeff \t\r\n")
    return text[:1] in ("{", "[") or (path.suffix.lower() == ".json" and "\ufffd" not in text[:16])


def read_pose(path: str | Path) -> list[dict]:
    """Read a pose file, or OpenPose's folder of one file a frame → list, one POSE_KEYPOINT dict a frame.

    See `pose_frames` for the forms. The text may be UTF-8, with or without a byte order mark, UTF-16 or UTF-32, and one
    JSON value or one a line. A folder's files are taken in the natural order of their names.
    Raises InputError when the file is missing, no JSON, empty, or not of the POSE_KEYPOINT form.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    if path.is_dir():
        return _read_folder(path)
    frames = _checked(_read_json(path), path)
    if not frames:
        raise InputError(f"{path} holds 0 pose frames: {WANTED}")
    return frames


def pose_frames(found: Any) -> list:
    """What people pass for a pose → a list with one entry a frame, POSE_KEYPOINT dicts where it can be told.

    Takes the list itself, a single frame, a list wrapped once or more ([[frame, …]], [[frame], [frame]],
    {"frames": […]}, frames by their numbers {"0": frame, …}), a person or a list of people instead of a frame, and null
    for a frame without anybody. Entries that are none of these stay as they are, for the caller to refuse.
    """
    if isinstance(found, dict):
        return _frames_of_dict(found)
    if not isinstance(found, list):
        return [found]
    if len(found) == 1 and isinstance(found[0], list | dict) and not _is_frame(found[0]):
        return pose_frames(found[0])
    frames = []
    for entry in found:
        if isinstance(entry, list) and not _is_people(entry):
            frames.extend(pose_frames(entry or [None]))
        else:
            frames.append(_frame(entry))
    return frames


def _frame(entry: Any) -> Any:
    """One entry as a frame, where it is null, a person or a list of people."""
    if entry is None:
        return {"people": []}
    if isinstance(entry, list) and _is_people(entry):
        return {"people": entry}
    if _is_person(entry):
        return {"people": [entry], **{side: entry[side] for side in CANVAS if side in entry}}
    return entry


def _frames_of_dict(found: dict) -> list:
    if _is_frame(found):
        return [_frame(found)]
    lists = [value for value in found.values() if isinstance(value, list) and value]
    if len(lists) == 1 and isinstance(lists[0][0], list | dict | None):
        frames = pose_frames(lists[0])
    elif found and all(isinstance(value, dict) and _is_frame(value) for value in found.values()):
        frames = [_frame(found[name]) for name in sorted(found, key=natural_order)]
    else:
        return [found]
    canvas = {side: found[side] for side in CANVAS if side in found}
    return [{**canvas, **frame} if isinstance(frame, dict) else frame for frame in frames]


def _is_frame(entry: Any) -> bool:
    return isinstance(entry, dict) and ("people" in entry or _is_person(entry))


def _is_person(entry: Any) -> bool:
    keys = {key for key, _ in PARTS.values()}
    return isinstance(entry, dict) and "people" not in entry and bool(keys & entry.keys())


def _is_people(entries: list) -> bool:
    return bool(entries) and all(_is_person(entry) for entry in entries)


def _checked(found: Any, path: Path) -> list[dict]:
    frames = pose_frames(found)
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict) or "people" not in frame:
            raise InputError(f"{path}: frame {index} has no 'people': {WANTED}")
        try:
            canvas_of(frame, index)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return frames


def canvas_of(frame: dict, index: int) -> tuple[float | None, float | None]:
    """Width and height of a frame's own picture in pixels, None for a side that it does not name (or names as 0).

    Raises InputError for sides that are no size.
    """
    given = tuple(frame.get(side) for side in CANVAS)
    try:
        sides = tuple(float(side) if side else None for side in given)
        if not all(side is None or 0 < side < float("inf") for side in sides):
            raise ValueError
    except (TypeError, ValueError) as error:
        raise InputError(f"pose frame {index} has a canvas of {given}: give its width and height in pixels") from error
    return sides


def _read_folder(folder: Path) -> list[dict]:
    files = _frame_files(folder)
    if not files:
        raise InputError(f"folder {folder} holds 0 pose files: OpenPose writes one NAME{ONE_FRAME_FILE} a frame")
    frames = []
    for file in files:
        found = _checked(_read_json(file), file)
        if len(found) != 1:
            raise InputError(f"{file} holds {len(found)} pose frames, and one is wanted of each file of a folder")
        frames.extend(found)
    return frames


def _frame_files(folder: Path) -> list[Path]:
    """The pose files of a folder, one a frame, in natural order."""
    files = [file for file in folder.iterdir() if file.suffix.lower() == ".json" and not file.name.startswith(".")]
    named = [file for file in files if file.name.lower().endswith(ONE_FRAME_FILE)]
    return sorted(named or files, key=lambda file: natural_order(file.name))


def _read_json(path: Path) -> Any:
    encoded = path.read_bytes()
    try:
        text = encoded.decode(json.detect_encoding(encoded)).lstrip("\ufeff")
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Extra data"):
                raise
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}): give an OpenPose JSON file or a skeleton video") from error
