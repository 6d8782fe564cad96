"""Checkpoints of a training: atomic, verified by hash, the newest valid one wins."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
WRITING = ".writing-"  # how the names of unfinished checkpoints begin


@dataclass(frozen=True)
class Saved:
    """The state of a training after `step` steps, and what it was `begun` with (`resume.begun_with`)."""

    step: int
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    begun: dict[str, Any] = field(default_factory=dict)


def save_state(folder: Path, state: Saved, keep: int) -> Path:
    """Write `folder/step-NNNNNNNN`: temp directory → fsync → manifest with hashes → rename → prune to `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{state.step:08d}"
    temporary = folder / f"{WRITING}{final.name}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()},
            temporary / "state.safetensors",
        )
        (temporary / "state.json").write_text(json.dumps({"step": state.step, **state.scalars}))
        files = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        manifest = {"step": state.step, "sha256": files, "begun": state.begun}
        (temporary / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        for path in temporary.iterdir():
            _fsync(path)
        _fsync(temporary)
        if fault(final) is None:  # the same step again: states are functions of the step, nothing to replace
            shutil.rmtree(temporary)
            return final
        shutil.rmtree(final, ignore_errors=True)
        os.rename(temporary, final)
        _fsync(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    prune(folder, keep)
    return final


def prune(folder: Path, keep: int) -> None:
    """Delete what killed processes left half-written, and the oldest checkpoints once `keep` newer ones are valid."""
    for path in folder.glob(f"{WRITING}*"):
        shutil.rmtree(path, ignore_errors=True)
    valid = 0
    for path in _newest_first(folder):
        if valid >= keep:
            shutil.rmtree(path)
        elif fault(path) is None:
            valid += 1


def load_newest(folder: Path) -> Saved | None:
    """The newest checkpoint whose manifest and hashes hold, or None; damaged ones are skipped with a warning."""
    for path in _newest_first(folder):
        problem = fault(path)
        if problem:
            logger.warning("checkpoint %s is skipped: %s", path, problem)
            continue
        scalars = json.loads((path / "state.json").read_text())
        begun = json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("begun", {})
        return Saved(scalars.pop("step"), load_file(path / "state.safetensors"), scalars, begun)
    return None


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that has a manifest, by its name: nothing of it is read, so that it may be damaged."""
    return next((path for path in _newest_first(folder) if (path / MANIFEST).is_file()), None)


def fault(path: Path) -> str | None:
    """What is wrong with a checkpoint folder, or None when its manifest holds."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        wanted = manifest["sha256"]
    except (OSError, ValueError, KeyError):
        return "it has no readable manifest"
    for name in ("state.safetensors", "state.json"):
        if name not in wanted or not (path / name).is_file():
            return f"{name} is missing"
        if _sha256(path / name) != wanted[name]:
            return f"{name} does not match its hash"
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # and flushes no file opened for reading
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
