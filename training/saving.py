"""Checkpoints of a training: atomic, verified by hash, the newest valid one wins."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from ..atomic import atomic_folder

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Saved:
    """The state of a training after `step` steps, and what it was `begun` with (`resume.begun_with`)."""

    step: int
    tensors: dict[str, Tensor]
    scalars: dict[str, Any]
    begun: dict[str, Any] = field(default_factory=dict)


def save_state(folder: Path, state: Saved, keep: int) -> Path:
    """Write `folder/step-NNNNNNNN`, whole or not at all, with a manifest of hashes; then prune to `keep`.

    A step that is there already is left as it is: states are functions of the step. A damaged one is written again.
    """
    final = folder / f"step-{state.step:08d}"
    if fault(final) is None:
        return final
    shutil.rmtree(final, ignore_errors=True)
    with atomic_folder(final) as temporary:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        save_file(tensors, temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps({"step": state.step, **state.scalars}))
        files = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        manifest = {"step": state.step, "sha256": files, "begun": state.begun}
        (temporary / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    prune(folder, keep)
    return final


def prune(folder: Path, keep: int) -> None:
    """Delete the oldest checkpoints once `keep` newer ones are valid."""
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
