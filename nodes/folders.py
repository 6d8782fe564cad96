"""The model folders that the nodes read; of `.safetensors` files only."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..errors import InputError
from ..weights import BUNDLED
from ..weights.file_kinds import kind_of

FOLDER = "inhabit"
CHECKPOINTS = "checkpoints"
MOTION_MODULES = "animatediff_models"  # as AnimateDiff's packs name it
LORAS = "loras"
BUNDLED_LORAS = BUNDLED.parent / "loras"
EXTENSIONS = {".safetensors", ".sft"}


def register_model_folders() -> None:
    """Add `models/inhabit`, the bundled assets and LoRAs, and `models/animatediff_models` to ComfyUI's folders.

    Paths from extra_model_paths.yaml, and what other packs registered, stay.
    """
    known = folder_paths.folder_names_and_paths
    paths, extensions = known.get(FOLDER, ([], set()))
    known[FOLDER] = (_with_paths(paths, _default(FOLDER), str(BUNDLED.parent)), set(extensions) | EXTENSIONS)
    paths, extensions = known.get(MOTION_MODULES, ([], EXTENSIONS))
    known[MOTION_MODULES] = (_with_paths(paths, _default(MOTION_MODULES)), set(extensions))
    paths, extensions = known.get(LORAS, ([_default(LORAS)], EXTENSIONS))
    known[LORAS] = (_with_paths(paths, str(BUNDLED_LORAS)), set(extensions))


def checkpoint_names() -> list[str]:
    """Return the names of all checkpoints of ours, the bundled one first."""
    loras = {os.path.join(BUNDLED_LORAS.name, name) for name in _bundled_loras()}  # in a folder of the bundled assets'
    return [BUNDLED.name, *(name for name in names_in(FOLDER) if name != BUNDLED.name and name not in loras)]


def lora_names() -> list[str]:
    """Return the names of all LoRAs, those that come with the pack first."""
    bundled = _bundled_loras()
    return [*bundled, *(name for name in names_in(LORAS) if name not in bundled)]


def checkpoint_path(name: str) -> Path:
    """Return the file of a checkpoint of ours. Raises InputError for a name that is not there (any more)."""
    return path_in(FOLDER, name)


def names_in(folder: str) -> list[str]:
    """Return the names of the .safetensors files in one of ComfyUI's model folders."""
    return [name for name in folder_paths.get_filename_list(folder) if Path(name).suffix.lower() in EXTENSIONS]


def path_in(folder: str, name: str) -> Path:
    """Return the file of that name in a model folder. Raises InputError for one that is not there, or another kind."""
    path = folder_paths.get_full_path(folder, name)
    if Path(name).suffix.lower() not in EXTENSIONS and (path is None or kind_of(path) != "safetensors"):
        raise InputError(f"{name!r} is no .safetensors file: choose one, or make one of it with `inhabit convert`")
    if path is None:
        places = folder_paths.get_folder_paths(folder)
        raise InputError(f"{name!r} is not in {places[0]}; put it there or choose another")
    return Path(path)


def fingerprint(*paths: Path) -> str:
    """Return what changes when one of the files is replaced."""
    found = [(path, path.stat()) for path in paths]
    return " ".join(f"{path} {status.st_mtime_ns} {status.st_size}" for path, status in found)


def _bundled_loras() -> list[str]:
    return sorted(path.name for path in BUNDLED_LORAS.glob("*.safetensors"))


def _default(folder: str) -> str:
    return os.path.join(folder_paths.models_dir, folder)


def _with_paths(paths: list[str], *wanted: str) -> list[str]:
    return [*paths, *(path for path in wanted if path not in paths)]
