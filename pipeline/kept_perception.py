"""What was perceived of a video, kept on disk by its content, so that the same question is answered at once again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..atomic import atomic_folder
from ..errors import InputError
from ..media import Clip, Video, open_mask, write_lossless
from ..media.cropped import CroppedClip
from .streams import LazyFrames, packed

logger = logging.getLogger(__name__)

VARIABLE = "INHABIT_CACHE"  # another folder for it, or "off"
VERSION = 1  # of what is found in a video; another one where the same frames would be answered otherwise
MOST_BYTES = 2**30  # kept in all; what was not used for longest goes first
FOUND, MASK = "found.json", "mask.mkv"


@dataclass(frozen=True)
class Found:
    """keypoints: a POSE_KEYPOINT dict a frame. mask (F, h, w), 0 or 1. The rest as `Follow` and `SteadyPerson` tell."""

    keypoints: list[dict]
    mask: LazyFrames
    filled: list[int]
    nobody: list[int]
    strangers: list[int]
    most: int


def kept_or(make: Callable[[], Found], video: Clip, question: str | None) -> Found:
    """What is kept of a video for a question, or what `make` finds, which is kept then.

    question: the model and whom it follows, None: nothing is kept, nor for a video that is no single file, or where
    INHABIT_CACHE is "off".
    """
    content = None if question is None or os.environ.get(VARIABLE) == "off" else _content(video)
    if content is None:
        return make()
    place = _folder() / hashlib.sha256(f"{VERSION} {question} {content}".encode()).hexdigest()
    found = _read(place, len(video))
    if found is not None:
        logger.info("%s was looked at before: taken from %s", video.path, place)
        return found
    found = make()
    try:
        _write(place, found, video.fps)
        _prune(place.parent)
    except OSError as error:  # a full disk, a folder that cannot be written: the result is there all the same
        logger.warning("what was found in %s is not kept: %s", video.path, error)
    return found


def _folder() -> Path:
    given, cache = os.environ.get(VARIABLE), os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given).expanduser()
    return (Path(cache) if cache else Path.home() / ".cache") / "inhabit" / "perceived"


def _content(video: Clip) -> str | None:
    """What tells a video's frames from those of every other; None where only reading them would."""
    if isinstance(video, CroppedClip):
        whole = _content(video.clip)
        return None if whole is None else f"{whole} {video.size} {video.picture} {video.corners}"
    if type(video) is not Video or not video.path.is_file():  # other clips may be a part of a file
        return None
    with video.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(place: Path, frames: int) -> Found | None:
    try:
        told = json.loads((place / FOUND).read_text(encoding="utf-8"))
        mask = packed(plane > 0.5 for plane in open_mask(place / MASK).frames())
        found = Found(mask=mask, **told)
    except (OSError, ValueError, TypeError, InputError):
        return None  # not there, or damaged: it is found anew
    os.utime(place)
    return found if len(mask) == len(found.keypoints) == frames else None


def _write(place: Path, found: Found, rate: float) -> None:
    told = {name: value for name, value in asdict(found).items() if name != "mask"}
    with atomic_folder(place) as temporary:
        planes = ((plane.numpy() * 255).astype(np.uint8) for plane in found.mask)
        write_lossless(temporary / MASK, planes, rate)
        (temporary / FOUND).write_text(json.dumps(told), encoding="utf-8")


def _prune(folder: Path) -> None:
    """Delete what was used longest ago while more than MOST_BYTES is kept; the last one stays."""
    kept = sorted(
        (path for path in folder.iterdir() if (path / FOUND).is_file()), key=lambda path: path.stat().st_mtime
    )
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in kept]
    while len(kept) > 1 and sum(sizes) > MOST_BYTES:
        for file in kept[0].iterdir():
            file.unlink()
        kept[0].rmdir()
        kept, sizes = kept[1:], sizes[1:]
