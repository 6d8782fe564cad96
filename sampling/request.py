"""One run of the animation from files to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..media import write_lossless, write_video
from ..models import BUNDLED, LatentCodec, ModelConfig, load, load_codec, read_config
from .animate import LongVideo, animate
from .external import image_context, load_vae
from .inputs import InputFiles, Inputs, load_inputs
from .paste_back import paste_back

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class AnimateRequest:
    """What to animate, with which model, and how. Every None is the model's own default.

    out: .mp4 (H.264) or .mkv (lossless). model: a checkpoint, or "puppets" for the bundled one.
    vae, clip_vision: for models that bundle no VAE or read an image embedding; see `external`.
    paste_back: put the driving video's own pixels back outside the generated region.
    device: "cpu" or "cuda"; None: cuda where there is one.
    dtype: a key of DTYPES; None: bfloat16 on cuda, else float32.
    The rest is described at `animate`.
    """

    files: InputFiles
    out: Path
    model: str = "puppets"
    vae: Path | None = None
    clip_vision: Path | None = None
    paste_back: bool = True
    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    window: int | None = None
    overlap: int | None = None
    long_video: LongVideo = "windows"
    device: str | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class Animation:
    """frames: IMAGE as written; raw: IMAGE as the model drew it; inputs: what it was drawn from."""

    frames: Tensor
    raw: Tensor
    inputs: Inputs


def animate_files(request: AnimateRequest, progress: bool = True) -> Animation:
    """Animate the request's reference by its driving video and write `request.out`, whole or not at all.

    Raises InputError for inputs, models or settings that cannot work, before anything is written.
    """
    if request.out.suffix.lower() not in (".mp4", ".mkv") or request.out.is_dir():
        raise InputError(f"--out {request.out} names no video: give a name that ends in .mp4, or .mkv for lossless")
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device)
    path = BUNDLED if request.model == "puppets" else Path(request.model)
    config = read_config(path)
    inputs = load_inputs(request.files, config)
    context = _context(request, config, inputs.reference, device)
    codec = _codec(request, config, path, device)
    raw = animate(
        load(path, device, dtype),
        codec,
        inputs.reference,
        inputs.conditions,
        steps=request.steps,
        guidance=request.guidance,
        seed=request.seed,
        window=request.window,
        overlap=request.overlap,
        long_video=request.long_video,
        context=context,
        progress=progress,
    )
    conditions = inputs.conditions
    frames = paste_back(raw, conditions.driving, conditions.mask) if request.paste_back else raw
    write = write_lossless if request.out.suffix.lower() == ".mkv" else write_video
    write(request.out, frames, inputs.fps)
    return Animation(frames, raw, inputs)


def choose_device(name: str | None) -> str:
    """The device to compute on. Raises InputError when cuda is asked for and not there."""
    available = torch.cuda.is_available()
    if name is None:
        return "cuda" if available else "cpu"
    if name not in ("cpu", "cuda"):
        raise InputError(f"--device is {name}: give cpu or cuda")
    if name == "cuda" and not available:
        raise InputError(
            "--device is cuda, but PyTorch sees no CUDA GPU here: give --device cpu, or install a CUDA build"
        )
    return name


def choose_dtype(name: str | None, device: str) -> torch.dtype:
    """The dtype of the network's weights and activations. Raises InputError for an unknown name."""
    name = name or ("bfloat16" if device == "cuda" else "float32")
    if name not in DTYPES:
        raise InputError(f"--dtype is {name}: give one of {', '.join(DTYPES)}")
    return DTYPES[name]


def _codec(request: AnimateRequest, config: ModelConfig, path: Path, device: str) -> LatentCodec:
    if request.vae is not None:
        return load_vae(request.vae, config.latent, device)
    codec = load_codec(path, device)
    if codec is None:
        raise InputError(f"{path} bundles no VAE: give --vae, e.g. the .safetensors file of sd-vae-ft-mse")
    return codec


def _context(request: AnimateRequest, config: ModelConfig, reference: Tensor, device: str) -> Tensor | None:
    width = config.unet.cross_attention_dim
    if width is None and request.clip_vision is not None:
        raise InputError(
            f"--clip-vision {request.clip_vision} is given, but model {config.name} reads none: leave it out"
        )
    if width is not None and request.clip_vision is None:
        raise InputError(
            f"model {config.name} reads a CLIP image embedding: give --clip-vision, the folder of a ViT-L/14"
        )
    return None if width is None else image_context(request.clip_vision, reference, width, device)
