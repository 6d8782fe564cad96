"""Weight files that others publish: .safetensors, PyTorch's pickled formats, diffusers folders.

Tensors are mapped into memory, not read: renaming and saving them needs no room for a second copy.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import InputError
from .checkpoint import MOTION_KEY, PART

FOLDER_FILES = tuple(  # of a diffusers network, the first that is there is read
    f"diffusion_pytorch_model.{ending}" for ending in ("safetensors", "fp16.safetensors", "bin", "fp16.bin")
)
PICKLE, ZIP = b"\x80", b"PK"  # what PyTorch's files start with: the old ones, and those since 1.6


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    source: its path, for messages.
    tensors: by the file's own names.
    others: names of entries that are no tensors (epoch, global_step, …).
    settings: a diffusers folder's config.json, or what the header of our motion-module files says; else empty.
    header: a .safetensors file's own metadata, text by name; else empty.
    """

    source: str
    tensors: dict[str, Tensor]
    others: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)


def read_weights(path: str | Path) -> Weights:
    """Read a weight file of any kind, or a diffusers folder (a network's or a pipeline's). For the command line.

    Raises:
        InputError: it does not exist, is truncated or no weight file, or is a folder without weights.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    return read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path)


def read_safetensors(path: str | Path) -> Weights:
    """Read a .safetensors file: the only kind that ComfyUI nodes may read.

    Raises:
        InputError: it is truncated or of another kind.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header, names = file.metadata() or {}, [*file.keys()]
        tensors = {}
        for start in range(0, len(names), PART):  # a mapping each, so that its memory is free as soon as they are
            with safe_open(str(path), framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in names[start : start + PART]}
    except (SafetensorError, OSError) as error:
        size = Path(path).stat().st_size
        raise InputError(
            f"{path} ({size} bytes) is not a complete .safetensors file: copy or download it again"
        ) from error
    return Weights(str(path), tensors, settings=json.loads(header.get(MOTION_KEY, "{}")), header=header)


def read_pickled(path: str | Path) -> Weights:
    """Read a .pth, .pt, .ckpt or .bin file as weights only: code in it is refused, never run. For the command line.

    The tensors may lie in an entry `state_dict`, as training scripts save them.
    Raises:
        InputError: it is truncated, holds more than weights, or is no such file.
    """
    content = _unpickled(Path(path))
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not named tensors: give a file of weights")
    others = {}
    if isinstance(content.get("state_dict"), Mapping):
        others = {name: value for name, value in content.items() if name != "state_dict"}
        content = content["state_dict"]
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    return Weights(str(path), tensors, (*others, *(str(name) for name in content if name not in tensors)))


def _unpickled(path: Path):
    zipped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        start = file.read(2)
    if not start.startswith((PICKLE, ZIP)):
        raise InputError(f"{path} ({path.stat().st_size} bytes) is no weight file: give .safetensors, .pth or .ckpt")
    try:
        with warnings.catch_warnings():  # torch's own remarks about odd files: the error says what matters
            warnings.simplefilter("ignore")
            # Scanners flag this call. It serves `inhabit convert` alone, no node; `weights_only` takes tensors and
            # plain containers, and refuses all code instead of running it (a test gives it a file with code).
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # whatever the unpickler stumbles on in a damaged file
        if type(error).__name__ == "UnpicklingError":
            named = re.search(r"GLOBAL (\S+)", str(error))
            code = f" ({named[1]})" if named else ""
            raise InputError(
                f"{path} holds code or other objects{code} beside weights, and was not run: get it as .safetensors, "
                "or save its tensors alone"
            ) from error
        raise InputError(
            f"{path} ({path.stat().st_size} bytes) is not a complete PyTorch file: copy or download it again"
        ) from error


def _read_folder(folder: Path) -> Weights:
    candidates = [place / name for place in (folder, folder / "unet") for name in FOLDER_FILES]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        raise InputError(
            f"{folder} is a folder without a diffusers network ({FOLDER_FILES[0]} or .bin, in it or in its unet/): "
            "give the weight files themselves"
        )
    weights = read_weights(file)
    try:
        settings = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        settings = {}
    except ValueError as error:
        raise InputError(f"{file.parent / 'config.json'} is not JSON: copy or download it again") from error
    return Weights(str(folder), weights.tensors, weights.others, settings)
