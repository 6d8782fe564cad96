"""What a file is, by its first bytes, not by its name: people's weights come under every ending.

Everything that is no weight file is named for what it is; only what is cut short is to be copied again.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open

from ..errors import InputError

Kind = Literal["safetensors", "pickle", "index"]
HEAD = 512  # bytes that are looked at
LARGEST_HEADER = 100_000_000  # bytes, safetensors' own limit
MAGIC = {  # what a file starts with → what it is, and what to do about it
    b"GGUF": "a GGUF file, quantised for other programs: give the same weights as .safetensors",
    b"version https://git-lfs": "a Git LFS pointer, not the file it points to: fetch that with `git lfs pull`, or "
    "download it from its page",
    b"\x1f\x8b": "packed with gzip: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"\x89HDF": "an HDF5 file (Keras, TensorFlow): give the weights as .safetensors",
    b"\x89PNG": "a picture: give a file of weights",
    b"\xff\xd8\xff": "a picture: give a file of weights",
    b"RIFF": "a picture, a sound or a video: give a file of weights",
    b"%PDF": "a PDF document: give a file of weights",
}
WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")
PICKLE, ZIP = b"\x80", b"PK\x03\x04"  # what PyTorch's files start with: the old ones, and those since 1.6
GIVE = "give .safetensors, .pth or .ckpt"
NONE = f"no weight file: {GIVE}"


def kind_of(path: str | Path) -> Kind:
    """Return what kind of weight file this is.

    Raises:
        InputError: it does not exist, is a folder, is cut short, or is none, by what it is.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file of weights in it")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
    if _is_safetensors(head):  # first: the length that such a file begins with may look like a pickle
        return "safetensors"
    if head.startswith(PICKLE) or (head.startswith(ZIP) and not _other_zip(path)):
        return "pickle"
    if head.lstrip().startswith(b"{") and _is_index(path, size):
        return "index"
    raise InputError(f"{path} ({size} bytes) is {_named(path, head)}")


def open_safetensors(path: str | Path, fix: str = "give its weights as .safetensors"):
    """Open a .safetensors file, whatever its name ends in: the only kind that is read inside ComfyUI.

    fix: what to do about a file of another kind that holds weights.
    Raises:
        InputError: see `kind_of`; or it is of another kind, or truncated.
    """
    if kind_of(path) == "index":
        raise InputError(f"{path} is the index of a file in several parts, and one file is needed here: {fix}")
    if kind_of(path) == "pickle":
        raise InputError(f"{path} is pickled by PyTorch, whatever its name says, and is not read here: {fix}")
    try:
        return safe_open(str(path), framework="pt")
    except (SafetensorError, OSError) as error:
        size = Path(path).stat().st_size
        raise InputError(
            f"{path} ({size} bytes) is not a complete .safetensors file: copy or download it again"
        ) from error


def _is_safetensors(head: bytes) -> bool:
    """A length of 8 bytes, then so many of JSON; of a file cut short, too."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= LARGEST_HEADER


def _other_zip(path: Path) -> bool:
    """Whether it is a whole zip archive, but none of PyTorch's, which hold one `…/data.pkl`."""
    if not zipfile.is_zipfile(path):
        return False  # cut short
    with zipfile.ZipFile(path) as archive:
        return not any(name.endswith("data.pkl") for name in archive.namelist())


def _is_index(path: Path, size: int) -> bool:
    if size > LARGEST_HEADER:
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("weight_map"), dict)


def _named(path: Path, head: bytes) -> str:
    if not head:
        return f"{NONE} (it is empty: copy or download it again)"
    for start, what in MAGIC.items():
        if head.startswith(start):
            return what
    if head.startswith(ZIP):
        return f"a zip archive, and none of PyTorch's: unpack it first, then {GIVE}"
    if head[4:8] == b"ftyp":
        return "a video: give a file of weights"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.lower().startswith(WEB_PAGE):
        return "a web page, saved in place of the file: download the file itself (it may want a login or a licence)"
    if text.startswith((b"{", b"[")):
        return f"{NONE} (it is JSON, a description without weights)"
    try:
        shown = " ".join(head.decode("utf-8", errors="strict" if len(head) < HEAD else "ignore").split())
    except UnicodeDecodeError:
        return NONE
    if not shown.isprintable() or path.suffix.lower() in (".exe", ".dll"):
        return NONE
    return f'{NONE} (it is text that begins "{shown[:30]}")'
