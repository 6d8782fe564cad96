"""Files of other people's models that a command installed: what they are, where they lie, and whether they are right.

Nothing here reaches the network. A file counts by its sha256 alone, never by its name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

VARIABLE = "INHABIT_MODELS"
PACK = Path(__file__).absolute().parents[1]  # not resolved: a link in custom_nodes counts as being there


@dataclass(frozen=True)
class KnownFile:
    """One file: the name it is kept under, its published forms as bytes and sha256. optional: it may be absent."""

    name: str
    forms: tuple[tuple[int, str], ...]
    optional: bool = False

    def holds(self, content: bytes) -> bool:
        """Whether this is one of its published forms."""
        known = {digest for size, digest in self.forms if size == len(content)}
        return bool(known) and hashlib.sha256(content).hexdigest() in known


@dataclass(frozen=True)
class FileSet:
    """What `inhabit fetch-weights --what NAME` installs: pip's requirement that holds it, its licence and its files."""

    name: str
    requirement: str
    licence: str
    files: tuple[KnownFile, ...]

    @property
    def folder(self) -> Path:
        return model_folder() / self.name


def model_folder() -> Path:
    """The folder of `INHABIT_MODELS`; inside ComfyUI its `models/inhabit`; elsewhere the user's cache."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser()
    if PACK.parent.name == "custom_nodes":
        return PACK.parents[1] / "models" / "inhabit"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "inhabit"


def missing_files(files: FileSet) -> list[str]:
    """Names of the files that are wanted and not there. Their content is checked when they are read."""
    return [file.name for file in files.files if not file.optional and not (files.folder / file.name).is_file()]


def why_missing(files: FileSet) -> str | None:
    """One line with the command that installs what is missing, or None."""
    names = missing_files(files)
    if not names:
        return None
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more} not in {files.folder}: run `inhabit fetch-weights --what {files.name}` once"


def read_installed(files: FileSet, names: Sequence[str]) -> bytes:
    """The content of the first of `names` that is installed. Raises InputError for none, and for another content."""
    for known in (file for name in names for file in files.files if file.name == name):
        path = files.folder / known.name
        if path.is_file():
            content = path.read_bytes()
            if not known.holds(content):
                raise InputError(
                    f"{path} is not the published file, by its sha256: delete it and run "
                    f"`inhabit fetch-weights --what {files.name}`"
                )
            return content
    raise InputError(
        f"{' or '.join(names)} not in {files.folder}: run `inhabit fetch-weights --what {files.name}` once"
    )
