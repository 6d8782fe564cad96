"""The model folder `models/inhabit`."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from ..errors import InputError
from ..models import BUNDLED

FOLDER = "inhabit"
EXTENSIONS = {".safetensors", ".sft"}


def register_model_folder() -> None:
    """Add `models/inhabit` and the bundled assets to ComfyUI's folders; paths from extra_model_paths.yaml stay."""
    paths, extensions = folder_paths.folder_names_and_paths.get(FOLDER, ([], set()))
    wanted = [os.path.join(folder_paths.models_dir, FOLDER), str(BUNDLED.parent)]
    merged = [*paths, *(path for path in wanted if path not in paths)]
    folder_paths.folder_names_and_paths[FOLDER] = (merged, set(extensions) | EXTENSIONS)


def checkpoint_names() -> list[str]:
    """Return the names of all checkpoints, the bundled one first."""
    names = folder_paths.get_filename_list(FOLDER)
    return [BUNDLED.name, *(name for name in names if name != BUNDLED.name)]


def checkpoint_path(name: str) -> Path:
    """Return the file of a checkpoint by its name. Raises InputError for a name that is not there (any more)."""
    path = folder_paths.get_full_path(FOLDER, name)
    if path is None:
        places = folder_paths.get_folder_paths(FOLDER)[0]
        raise InputError(f"checkpoint {name!r} is not in {places}; put it there or choose another")
    return Path(path)
