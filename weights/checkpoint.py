"""The single checkpoint file: safetensors with the model's configuration as JSON in the header.

Keys: `denoiser.* reference.* pose.* objects.*`, and `vae.*` when an autoencoder is bundled; files of earlier versions
say `motion.*` for `pose.*`. Position tables are not stored where they are what their formula gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ..atomic import atomic_file
from ..errors import InputError
from ..models.autoencoder import LatentCodec, PatchAutoencoder
from ..models.config import ModelConfig
from ..models.layers import for_inference, sinusoids
from ..models.model import AnimationModel
from .file_kinds import open_safetensors
from .finite import PART, refuse_not_finite_in
from .kinds import what_it_is
from .wrapped_names import COMPILED

BUNDLED = Path(__file__).resolve().parent.parent / "assets" / "inhabit-puppets.safetensors"
CONFIG_KEY = "inhabit.config"
MOTION_KEY = "inhabit.motion_modules"  # in the header of files that hold motion modules alone
TABLE = ".pos_embed.pe"  # ends the names of position tables
BLOCK = re.compile(r"motion_modules\..*\.norm1\.weight$")  # of motion modules, which have a table each
_COMFY_PREFIX = "model.diffusion_model."  # ComfyUI's ModelSave puts it before every key of ours,
_COMFY_KEYS = {"v_pred", "ztsnr"}  # adds these, and keeps no header, so that the configuration travels as a tensor


def checkpoint_file(name: str | Path) -> Path:
    """The file that a checkpoint's name stands for: "puppets" is the bundled one, all others are paths."""
    return BUNDLED if str(name) == "puppets" else Path(name)


def save(
    path: str | Path,
    model: AnimationModel,
    vae: PatchAutoencoder | None = None,
    *,
    dtype: torch.dtype | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write one checkpoint; the file appears complete or not at all.

    Args:
        path: ends in `.safetensors`.
        model: networks to save, with `model.config` in the header.
        vae: bundled autoencoder, saved under `vae.`.
        dtype: storage type; None keeps each tensor's own.
        metadata: further header entries (ModelSpec: `modelspec.author`, `modelspec.description`, …).
    """
    tensors = {name: tensor for name, tensor in model.state_dict().items() if not _is_formula(name, tensor)}
    if vae is not None:
        tensors |= {f"vae.{name}": tensor for name, tensor in vae.state_dict().items()}
    header = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"inhabit/{model.config.name}",
        "modelspec.implementation": "inhabit",
        "modelspec.title": f"Inhabit {model.config.name}",
        "modelspec.prediction_type": model.config.schedule.prediction,
        CONFIG_KEY: model.config.model_dump_json(),
        **(metadata or {}),
    }
    write_tensors(path, tensors, header, dtype)


def write_tensors(
    path: str | Path, tensors: dict[str, Tensor], header: dict[str, str], dtype: torch.dtype | None = None
) -> None:
    """Write a .safetensors file, see `save`; it appears complete or not at all.

    Raises:
        InputError: there is no room for it.
    """
    try:
        with atomic_file(path) as partial:
            partial.touch()
            mode = partial.stat().st_mode  # what the user's umask gives; safetensors writes for the owner alone
            save_file({name: _stored(tensor, dtype) for name, tensor in tensors.items()}, partial, metadata=header)
            partial.chmod(mode)
    except SafetensorError as error:
        raise InputError(f"{path} could not be written ({error}): free some space, or give another folder") from error


def read_config(path: str | Path) -> ModelConfig:
    """The configuration in a checkpoint's header.

    Raises:
        InputError: the file is missing, truncated, not safetensors, or not an Inhabit checkpoint, by what it is.
    """
    with _open(path) as file:
        header = file.metadata() or {}
        text = header.get(CONFIG_KEY) or _config_tensor_text(file)
    if text is None and MOTION_KEY in header:
        raise InputError(
            f"{path} holds motion modules alone, no whole model: put it into ComfyUI's models/animatediff_models, or "
            "make a model of it and a Stable Diffusion 1.5 checkpoint with `inhabit convert --kind animatediff`"
        )
    if text is None:
        raise InputError(f"{path} is not an Inhabit checkpoint {_what_instead(path)}")
    try:
        return ModelConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} has a configuration this version cannot read ({place}: {first['msg']})") from error


def load(
    path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32, operations=nn
) -> AnimationModel:
    """Load the animation model of a checkpoint, ready for inference.

    On a CPU, weights already of type `dtype` stay in the file, mapped into memory and read when first used; all others
    are converted one by one, so that the weights never exist twice.

    Args:
        path: checkpoint written by `save` (or by ComfyUI's ModelSave from such a MODEL).
        device: where the weights go.
        dtype: storage type of the weights, and compute type where `operations` do not cast; of 8 bits: the matrices'
            storage type, vectors and tables then are float32.
        operations: namespace of the layers, `torch.nn` or `comfy.ops…`.
    Raises:
        InputError: see `read_config`; keys are missing or left over, or a tensor holds NaN or infinity, by name.
    """
    with torch.device("meta"):
        model = AnimationModel(read_config(path), operations)
    _assign(model, _read(path, device, dtype, keep=lambda name: not name.startswith("vae.")), path)
    return for_inference(model)


def build(
    config: ModelConfig,
    tensors: dict[str, Tensor],
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    operations=nn,
) -> AnimationModel:
    """A model of all its tensors by name, ready for inference; see `load` for device, dtype and operations.

    `tensors` is empty afterwards: each is let go as soon as it is converted. What several names share stays shared.
    """
    with torch.device("meta"):
        model = AnimationModel(config, operations)
    model.load_state_dict(_placed_all(tensors, device, dtype), assign=True)
    return for_inference(model)


def read_as_stored(path: str | Path, keep: Callable[[str], bool]) -> dict[str, Tensor]:
    """Those tensors of a checkpoint whose names (`denoiser.…`) are to be kept, mapped into memory as stored."""
    return _read(path, "cpu", None, keep)


def load_codec(
    path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> LatentCodec | None:
    """The bundled autoencoder as a `LatentCodec`, or None when the checkpoint carries none.

    Raises:
        InputError: see `load`.
    """
    config = read_config(path)
    if config.autoencoder is None:
        return None
    with torch.device("meta"):
        vae = PatchAutoencoder(config.autoencoder)
    tensors = _read(path, device, dtype, keep=lambda name: name.startswith("vae."))
    _assign(vae, {name.removeprefix("vae."): tensor for name, tensor in tensors.items()}, path)
    return LatentCodec(for_inference(vae), scale=config.latent.scale, downscale=config.latent.downscale)


def config_tensor(config: ModelConfig) -> Tensor:
    """The configuration as a tensor (bytes,) uint8, for files whose header somebody else writes."""
    return torch.tensor(list(config.model_dump_json().encode()), dtype=torch.uint8)


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, those that share memory copied, since a .safetensors file holds every tensor for itself."""
    found, seen = {}, set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return found


def our_key(key: str) -> str:
    """A tensor's name, as today's networks have it."""
    name = key.removeprefix(_COMFY_PREFIX).replace(COMPILED, "")
    return f"pose.{name.removeprefix('motion.')}" if name.startswith("motion.") else name


def _what_instead(path: str | Path) -> str:
    """What a .safetensors file without a configuration is, and what to do."""
    with _open(path) as file:
        names = [*file.keys()]
        what = what_it_is({name: file.get_slice(name).get_shape() for name in names})
    fixes = {
        "a LoRA": "give the model that it was trained on, and in ComfyUI the LoRA to Inhabit LoRA Loader",
        "a VAE": "give it as --vae, and a model made by `inhabit train` or `inhabit convert`",
        "a CLIP vision model": "give it as --clip-vision, and a model made by `inhabit train` or `inhabit convert`",
        "an Inhabit checkpoint": "its configuration is lost, save it again with Inhabit",
    }
    if what is not None and what.startswith("a Stable Diffusion "):
        fixes[what] = "make a model of it with `inhabit convert`, which takes Stable Diffusion 1.5"
    shown = f"no {CONFIG_KEY} in its header; first key {names[0] if names else 'missing: it is empty'}"
    fix = fixes.get(what, "give a file made by `inhabit train`, or `puppets` for the bundled model")
    return f"{f'but {what} ' if what else ''}({shown}): {fix}"


def _config_tensor_text(file) -> str | None:
    keys = [key for key in file.keys() if key.removeprefix(_COMFY_PREFIX) == CONFIG_KEY]
    return bytes(file.get_tensor(keys[0]).tolist()).decode(errors="replace") if keys else None


def _stored(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    dtype = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype).contiguous()


def _is_formula(name: str, tensor: Tensor) -> bool:
    """Whether a tensor is a position table that `sinusoids` gives again, to the last bit."""
    if not name.endswith(TABLE) or tensor.dtype != torch.float32:
        return False
    return torch.equal(tensor.cpu(), sinusoids(tensor.shape[2], tensor.shape[1]))


def _open(path: str | Path):
    return open_safetensors(path, "give a file made by `inhabit train` or `inhabit convert`")


def _read(path: str | Path, device, dtype: torch.dtype | None, keep: Callable[[str], bool]) -> dict[str, Tensor]:
    """The tensors to keep, by our names (`denoiser.…`, …, `vae.…`); dtype None: as they are stored.

    Each network has a mapping of the file of its own, so that its memory is free as soon as it is; and what is
    converted is read in small parts, so that the file's pages do not pile up beside the copies.
    """
    with _open(path) as file:
        keys = {our_key(key): key for key in file.keys()}
    names: dict[str, list[str]] = {}
    for name in keys:
        if name not in _COMFY_KEYS and name != CONFIG_KEY and keep(name):
            names.setdefault(name.split(".")[0], []).append(name)
    refuse_not_finite_in(path, [keys[name] for network in names.values() for name in network])
    tensors = {}
    for network in names.values():
        size = len(network) if _as_stored(path, keys[network[0]], device, dtype) else PART
        for start in range(0, len(network), size):
            with _open(path) as file:
                for name in network[start : start + size]:
                    tensors[name] = _placed(file.get_tensor(keys[name]), name, device, dtype)
    return tensors | _tables_left_out(tensors, path, device, dtype)


def _tables_left_out(tensors: dict[str, Tensor], path: str | Path, device, dtype: torch.dtype | None) -> dict:
    """The position tables that `save` left out, one for each block of the motion modules read."""
    blocks = {name.removesuffix(".norm1.weight"): norm for name, norm in tensors.items() if BLOCK.search(name)}
    missing = {block + TABLE: norm for block, norm in blocks.items() if block + TABLE not in tensors}
    length = read_config(path).unet.motion_modules.max_frames if missing else 0
    return {
        name: _placed(sinusoids(len(norm), length), name, device, norm.dtype if dtype is None else dtype)
        for name, norm in missing.items()
    }


def _as_stored(path: str | Path, key: str, device, dtype: torch.dtype | None) -> bool:
    with _open(path) as file:
        return torch.device(device).type == "cpu" and dtype in (None, file.get_tensor(key).dtype)


def _placed_all(tensors: dict[str, Tensor], device, dtype: torch.dtype) -> dict[str, Tensor]:
    """All tensors as `_placed` gives them, in the order of their files; takes them out of `tensors`."""
    names: dict[int, list[str]] = {}
    for name in sorted(tensors, key=lambda name: tensors[name].data_ptr()):
        names.setdefault(id(tensors[name]), []).append(name)
    placed = {}
    for sharing in names.values():
        [tensor, *_] = [tensors.pop(name) for name in sharing]
        placed |= dict.fromkeys(sharing, _placed(tensor, sharing[0], device, dtype))
    return placed


def _placed(tensor: Tensor, name: str, device, dtype: torch.dtype | None) -> Tensor:
    """The tensor itself where it already is what is wanted, else a copy, pictures' kernels in channels-last memory."""
    dtype = tensor.dtype if dtype is None else dtype
    if not tensor.is_floating_point():
        return tensor.to(device)
    if dtype.itemsize == 1 and (tensor.dim() == 1 or name.endswith(".pe")):
        dtype = torch.float32
    if tensor.device == torch.device(device) and tensor.dtype == dtype:
        return tensor
    layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
    return tensor.to(device, dtype, memory_format=layout)


def _assign(module: nn.Module, tensors: dict[str, Tensor], path: str | Path) -> None:
    """Give the tensors to a module built on the meta device, all of them or an error that names the difference."""
    expected = module.state_dict()
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unexpected:
        raise InputError(
            f"{path} does not fit its configuration: {len(missing)} keys missing {missing[:3]}, "
            f"{len(unexpected)} unexpected {unexpected[:3]}"
        )
    wrong = [name for name, tensor in tensors.items() if tensor.shape != expected[name].shape]
    if wrong:
        name = wrong[0]
        raise InputError(
            f"{path} does not fit its configuration: {name} has shape {tuple(tensors[name].shape)}, "
            f"expected {tuple(expected[name].shape)} ({len(wrong)} such keys)"
        )
    module.load_state_dict(tensors, assign=True)
