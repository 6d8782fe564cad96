"""A folder of videos → a folder of scene folders, its index and its report; again, or after a kill: the same."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from ...atomic import atomic_file, sweep
from ...errors import InputError
from ...media import open_video
from ...media.decoding import read_timeline
from ...media.opencv import cv2
from ..perceived import default_estimator
from .clips import prepare_shot
from .report import write_report
from .settings import PrepareSettings
from .shots import look

logger = logging.getLogger(__name__)

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
SETTINGS, INDEX, RECORDS = "prepared.json", "index.json", ".videos"


def prepare(
    videos: Path, out: Path, settings: PrepareSettings, workers: int = 0, shard: tuple[int, int] = (1, 1)
) -> str:
    """Make or complete a training set, and return one line that sums it up.

    workers: processes; 0: this one. shard: (i, n), 1 ≤ i ≤ n: only videos whose content falls to part i of n; parts
    may be written into one folder, and their union is the whole. What is there by content and settings is not made
    again. Raises InputError for folders that cannot be used; a video that cannot is named in the index.
    """
    files = _files(videos, out)
    _check_out(out, settings)
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    _replace(out / SETTINGS, settings.text())
    (out / RECORDS).mkdir(exist_ok=True)
    named = _by_content(videos, files)
    mine = {key: path for key, path in named.items() if int(key[:12], 16) % shard[1] == shard[0] - 1}
    todo = [(key, path, out, settings) for key, path in mine.items() if not _record(out, key).exists()]
    for _ in tqdm(_each(todo, workers), total=len(todo), desc="videos", disable=not todo):
        pass
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / RECORDS).glob("*.json"))]
    _replace(out / INDEX, json.dumps(records, indent=1, sort_keys=True) + "\n")
    write_report(out, records)
    return _summary(records)


def _files(videos: Path, out: Path) -> list[Path]:
    if not videos.is_dir():
        raise InputError(f"{videos} is no folder: give --videos a folder of videos")
    if out.resolve().is_relative_to(videos.resolve()):
        raise InputError(f"{out} lies in {videos}, which is read: give --out another place")
    files = sorted(path for path in videos.rglob("*") if path.suffix.lower() in VIDEOS and path.is_file())
    if not files:
        raise InputError(f"{videos} holds no video: put files there that end in one of {', '.join(sorted(VIDEOS))}")
    return files


def _check_out(out: Path, settings: PrepareSettings) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    made = out / SETTINGS
    if not made.is_file():
        raise InputError(f"{out} holds something else than a prepared training set: give --out another place")
    if made.read_text(encoding="utf-8") != settings.text():
        raise InputError(f"{out} was prepared with other settings, see {made}: give those, or another place")


def _by_content(videos: Path, files: list[Path]) -> dict[str, Path]:
    """sha256 → the first file of that content."""
    found: dict[str, Path] = {}
    for path in files:
        with path.open("rb") as opened:
            key = hashlib.file_digest(opened, "sha256").hexdigest()
        if key in found:
            logger.info(
                "%s is the same as %s: it is left out", path.relative_to(videos), found[key].relative_to(videos)
            )
        found.setdefault(key, path)
    return found


def _each(todo: list[tuple], workers: int) -> Iterator[None]:
    if workers < 1 or len(todo) < 2:
        yield from map(_prepare_video, todo)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=spawn, initializer=_one_thread) as pool:
        yield from pool.map(_prepare_video, todo)


def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _record(out: Path, key: str) -> Path:
    return out / RECORDS / f"{key}.json"


def _prepare_video(job: tuple[str, Path, Path, PrepareSettings]) -> None:
    """Write a video's clips, then what became of it, so that a record stands for whole clips."""
    key, path, out, settings = job
    base = {"source": path.name, "sha256": key, **_notes(path)}
    estimator, clips, record = default_estimator(), [], dict(base)
    refusal = estimator.available()
    if refusal is not None:
        raise InputError(str(refusal))
    try:
        video = open_video(path)
        if read_timeline(path).damaged or read_timeline(path).complaints:
            raise InputError(" ".join(read_timeline(path).complaints) or f"{path} is damaged")
        looks = look(video)
        record |= {"frames": len(video), "size": list(video.size), "model": estimator.name}
        name = f"{key[:16]}-{settings.key()}"
        for shot in looks.shots():
            clips += prepare_shot(video, shot, looks, default_estimator(), out, name, base, settings)
    except InputError as error:
        record["reason"] = "unreadable: " + " ".join(str(error).replace(str(path), path.name).split())
        logger.warning("%s is left out: %s", path, error)
    _replace(_record(out, key), json.dumps({**record, "clips": clips}, indent=1, sort_keys=True) + "\n")


def _notes(path: Path) -> dict[str, str]:
    """The text beside a video, if there is one, and `pattern`: a line of it that says `pattern: NAME`."""
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        return {}
    text = beside.read_text(encoding="utf-8", errors="replace").strip()
    named = [line.partition(":")[2].strip() for line in text.splitlines() if line.lower().startswith("pattern:")]
    return {"text": text} | ({"pattern": named[0]} if named else {})


def _replace(path: Path, text: str) -> None:
    """Write a text unless it is there."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _summary(records: list[dict]) -> str:
    clips = [clip for record in records for clip in record["clips"]]
    reasons = Counter(clip["reason"] for clip in clips if "reason" in clip)
    unreadable = sum("reason" in record for record in records)
    left = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    kept = sum("clip" in clip for clip in clips)
    return f"{kept} clips of {len(records)} videos; left out: {left or 'no clip'}; {unreadable} videos unreadable"
