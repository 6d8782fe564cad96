"""Weight files that others publish: .safetensors, PyTorch's pickled formats, diffusers folders, files in parts.

Tensors are mapped into memory, not read: renaming and saving them needs no room for a second copy.
"""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from .checkpoint import MOTION_KEY
from .file_kinds import kind_of, open_safetensors
from .finite import PART, refuse_not_finite, refuse_not_finite_in
from .quantised import in_full

NETWORK, MODEL = "diffusion_pytorch_model", "model"  # what diffusers and transformers name a network's files
FOLDER_FILES = tuple(  # of a network's folder, the first that is there is read
    f"{name}.{ending}" for name in (NETWORK, MODEL) for ending in ("safetensors", "fp16.safetensors", "bin", "fp16.bin")
)
WRAPPERS = ("state_dict", "model_state_dict", "module", "model", "unet", "ema_state_dict", "ema", "weights", "params")
SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)(\.\w+)")  # …-00001-of-00003.safetensors


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
    """Read a weight file of any kind, by its content, or a diffusers folder (a network's or a pipeline's).

    Of a file in several parts, give its index, its folder, or any of the parts. For the command line: pickled files
    are read, as weights only. Weights of 8 bits are read as float16, with the scales beside them multiplied in.
    Raises:
        InputError: it does not exist, is truncated or no weight file, is quantised otherwise, holds NaN or infinity,
            or is a folder without weights.
    """
    path = Path(path)
    return _read_folder(path) if path.is_dir() else _in_full(_read_parts(path, _parts(path)))


def read_safetensors(path: str | Path) -> Weights:
    """Read a .safetensors file, whatever its name ends in: the only kind that ComfyUI nodes may read.

    Raises:
        InputError: it is of another kind, or see `read_weights`.
    """
    path = Path(path)
    parts = _parts(path)
    for part in parts:
        if part.is_file():
            open_safetensors(part, "make one of it with `inhabit convert`")
    return _in_full(_read_parts(path, parts))


def read_pickled(path: str | Path) -> Weights:
    """Read a .pth, .pt, .ckpt or .bin file as weights only: code in it is refused, never run. For the command line.

    The tensors may lie in an entry such as `state_dict`, as training scripts save them.
    Raises:
        InputError: it is truncated, holds more than weights, NaN or infinity, or is no such file.
    """
    return _in_full(_stored_pickled(Path(path)))


def _in_full(weights: Weights) -> Weights:
    return dataclasses.replace(weights, tensors=in_full(weights.tensors, weights.source, weights.header))


def _stored_safetensors(path: Path) -> Weights:
    with open_safetensors(path) as file:
        header, names = file.metadata() or {}, [*file.keys()]
    refuse_not_finite_in(path)
    tensors = {}
    for start in range(0, len(names), PART):  # a mapping each, so that its memory is free as soon as they are
        with open_safetensors(path) as file:
            tensors |= {name: file.get_tensor(name) for name in names[start : start + PART]}
    return Weights(str(path), tensors, settings=json.loads(header.get(MOTION_KEY, "{}")), header=header)


def _stored_pickled(path: Path) -> Weights:
    content = _unpickled(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not named tensors: give a file of weights")
    others, wrapper = {}, _wrapper(content)
    while wrapper is not None:
        others |= {name: value for name, value in content.items() if name != wrapper}
        content = content[wrapper]
        wrapper = _wrapper(content)
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    refuse_not_finite(tensors, str(path))
    return Weights(str(path), tensors, (*others, *(str(name) for name in content if name not in tensors)))


def _wrapper(content: Mapping) -> str | None:
    """The entry that holds the tensors, where they do not lie open."""
    if isinstance(content.get("state_dict"), Mapping):
        return "state_dict"
    if any(isinstance(value, Tensor) and value.dim() > 0 for value in content.values()):
        return None
    return next((name for name in WRAPPERS if isinstance(content.get(name), Mapping) and content[name]), None)


def _unpickled(path: Path):
    misnamed = path.suffix.lower() == ".safetensors"  # torch would believe the name; an open file has none
    zipped = zipfile.is_zipfile(path) and not misnamed
    try:
        with warnings.catch_warnings():  # torch's own remarks about odd files: the error says what matters
            warnings.simplefilter("ignore")
            # Scanners flag this call. It serves the command line alone, no node; `weights_only` takes tensors and
            # plain containers, and refuses all code instead of running it (a test gives it a file with code).
            with path.open("rb") as file:
                return torch.load(file if misnamed else path, map_location="cpu", weights_only=True, mmap=zipped)
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
    file = next((found for place in (folder, folder / "unet") if (found := _file_in(place)) is not None), None)
    if file is None:
        raise InputError(
            f"{folder} is a folder without a diffusers network ({FOLDER_FILES[0]} or .bin, in it or in its unet/): "
            "give the weight files themselves"
        )
    weights = read_weights(file)
    settings = file.parent / "config.json"
    try:
        stated = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    except ValueError as error:
        raise InputError(f"{settings} is not JSON: give the one that belongs to the weights, or none") from error
    return Weights(str(folder), weights.tensors, weights.others, stated)


def _file_in(folder: Path) -> Path | None:
    """A network's one file, or the index of its parts; else the folder's only .safetensors file."""
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return folder / name
    for name in (NETWORK, MODEL, "pytorch_model"):
        indices = sorted(folder.glob(f"{name}*.index*.json"))
        if indices:
            return indices[0]
    parts = sorted(folder.glob("*.safetensors"))
    return parts[0] if len(parts) == 1 or (parts and all(SHARD.fullmatch(path.name) for path in parts)) else None


def _parts(path: Path) -> list[Path]:
    """The files that a path stands for: itself, or all parts of a file in several."""
    if path.exists() and kind_of(path) == "index":
        names = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        if not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise InputError(f"{path} names parts that are not in its own folder: give the parts themselves")
        return [path.parent / name for name in sorted(set(names))]
    part = SHARD.fullmatch(path.name)
    if part is None:
        return [path]
    stem, number, count, ending = part.groups()
    return [path.with_name(f"{stem}-{i:0{len(number)}}-of-{count}{ending}") for i in range(1, int(count) + 1)]


def _read_parts(path: Path, parts: list[Path]) -> Weights:
    """All parts of a file as one, as they are stored. Raises InputError, naming one, for parts that are not there."""
    missing = [part for part in parts if not part.is_file()]
    if missing and missing != [path]:
        raise InputError(
            f"{path} is one file in {len(parts)} parts, and {len(missing)} of them are not beside it, as "
            f"{missing[0].name}: put all parts into one folder"
        )
    read = [(_stored_safetensors if kind_of(part) == "safetensors" else _stored_pickled)(part) for part in parts]
    if len(read) == 1:
        return dataclasses.replace(read[0], source=str(path))
    tensors = {name: tensor for part in read for name, tensor in part.tensors.items()}
    return Weights(str(path), tensors, tuple(name for part in read for name in part.others), header=read[0].header)
