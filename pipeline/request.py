"""One run of the animation from files to a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..errors import InputError
from ..media import write_lossless, write_video
from ..media.outputs import check_output
from ..models import LatentCodec, ModelConfig
from ..weights import checkpoint_file, load, load_codec, read_config
from ..weights.companions import image_context, load_vae
from ..weights.lora import merge_lora
from .animate import KeptParts, Settings, decoded, sample_latents
from .conditions import DrivingConditions
from .inputs import InputFiles, Inputs, open_inputs, with_neighbours
from .matte import character_mattes
from .paste_back import SeenPlace, pasted_back
from .perceived import default_estimator
from .resume import progress_of
from .uncrop import uncropped

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """With which model to animate, and how. Every None is the model's own default.

    model: a checkpoint, or "puppets" for the bundled one.
    vae, clip_vision: for models that bundle no VAE or read an image embedding; see `weights.companions`.
    loras: LoRA files and their strengths, merged into the model in this order.
    paste_back: put the driving video's own pixels back outside the generated region.
    plate: "auto" puts back also, inside that region and around the new character, what other frames show of the place;
        "off" does not.
    device: "cpu" or "cuda"; None: cuda where there is one.
    dtype: a key of DTYPES; None: bfloat16 on cuda, else float32.
    compile: run the denoiser through torch.compile, which starts slowly and then takes faster steps.
    resume: go on where a run that wrote the same file was cut off.
    """

    model: str = "puppets"
    vae: Path | None = None
    clip_vision: Path | None = None
    loras: Sequence[tuple[Path, float]] = ()
    paste_back: bool = True
    plate: Literal["auto", "off"] = "auto"
    device: str | None = None
    dtype: str | None = None
    compile: bool = False
    resume: bool = False

    @property
    def checkpoint(self) -> Path:
        return checkpoint_file(self.model)


@dataclass(frozen=True)
class Animation:
    """frames: IMAGE, the result; raw: IMAGE as the model drew it; inputs: what it was drawn from."""

    frames: Tensor
    raw: Tensor
    inputs: Inputs


@dataclass(frozen=True)
class Written:
    """A result as it was written: `frames` of `size` (width, height)."""

    path: Path
    frames: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Drawing:
    """What the model drew, as latents (F, C, h, w), and what it was drawn from; frames are made when they are read."""

    latents: Tensor
    codec: LatentCodec
    window: int
    inputs: Inputs

    @property
    def conditions(self) -> DrivingConditions:
        return self.inputs.conditions

    def raw(self) -> Iterator[Tensor]:
        """Frames (H, W, 3) 0…1 as the model drew them, a window decoded at a time."""
        return decoded(self.codec, self.latents, self.window)

    def frames(self, with_paste_back: bool, with_plate: bool) -> Iterator[Tensor]:
        """Frames (H, W, 3) 0…1 of the result, of which a few exist at once."""
        if not with_paste_back:
            return self.raw()
        place = self._place() if with_plate else None
        return pasted_back(self.raw, self.conditions.driving, self.conditions.mask, place=place)

    def _place(self) -> SeenPlace | None:
        """What the driving video shows of the place elsewhere; None without one or an estimator for the matte."""
        if self.inputs.plate is None:
            return None
        estimator = default_estimator()
        reason = estimator.available()
        if reason is not None:
            logger.info("no clean plate, since the new character cannot be found in the result: %s", reason)
            return None
        plate = self.inputs.plate()
        if not plate.known:
            return None
        return SeenPlace(plate, character_mattes(self.raw, self.conditions, estimator))


def animate_files(files: InputFiles, out: Path, settings: RunSettings, progress: bool = True) -> Written:
    """Animate the reference file by the driving file and write `out`, whole or not at all.

    Memory holds the latents of the whole video, and of its pictures only what is kept packed (see `open_inputs`).
    Beside `out` a file keeps what is done until the result is written, see `resume`.
    out: .mp4 (H.264) or .mkv (lossless). Raises InputError for inputs, models or settings that cannot work, and for an
    `out` that is one of the inputs or cannot be written, before anything is written.
    """
    files = with_neighbours(files)
    _check_out(files, out, settings)
    choose_device(settings.device)
    done = progress_of(out, files, settings)
    kept = KeptParts(*(done.start(settings.resume) or (0, None)), done.save)
    inputs = open_inputs(files, read_config(settings.checkpoint))
    drawing = draw(inputs, settings, progress, kept)
    write = write_lossless if out.suffix.lower() == ".mkv" else write_video
    frames = in_the_whole_picture(drawing.frames(settings.paste_back, settings.plate == "auto"), inputs)
    write(out, frames, inputs.fps, sound_of=files.driving, times=inputs.times)
    done.finish()
    height, width = inputs.conditions.size
    return Written(out, inputs.conditions.frames, (width, height) if inputs.crop is None else inputs.crop.picture)


def in_the_whole_picture(frames: Iterator[Tensor], inputs: Inputs) -> Iterator[Tensor]:
    """The result's frames as they are, or put back where the inputs are a window of the driving video."""
    if inputs.crop is None:
        return frames
    return uncropped(frames, inputs.conditions.driving, inputs.video.frames(), inputs.crop)


def animate_inputs(inputs: Inputs, settings: RunSettings, progress: bool = True) -> Animation:
    """Load the model, animate, and put the driving video's own pixels back. Raises InputError as `animate_files`."""
    drawing = draw(inputs, settings, progress)
    raw = torch.stack(list(drawing.raw()))
    frames = raw
    if settings.paste_back:
        frames = torch.stack(list(drawing.frames(True, settings.plate == "auto")))
    return Animation(frames, raw, inputs)


def draw(inputs: Inputs, settings: RunSettings, progress: bool = True, kept: KeptParts | None = None) -> Drawing:
    """Load the model and animate. kept: see `sample_latents`. Raises InputError as `animate_files`."""
    device = choose_device(settings.device)
    config = read_config(settings.checkpoint)
    settings = settings.filled(config, inputs.conditions.size)
    context = _context(settings, config, inputs, device)
    codec = _codec(settings, config, device)
    model = load(settings.checkpoint, device, choose_dtype(settings.dtype, device))
    for path, strength in settings.loras:
        merge_lora(model, path, strength)
    if settings.compile:
        model.denoiser.compile()
    latents = sample_latents(
        model,
        codec,
        inputs.reference,
        inputs.conditions,
        settings,
        context=context,
        release_reference=True,
        progress=progress,
        kept=kept,
    )
    return Drawing(latents, codec, settings.window, inputs)


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


def _check_out(files: InputFiles, out: Path, settings: RunSettings) -> None:
    """Raise InputError for what can be known to fail when the result is written, or to replace one of the inputs."""
    if out.suffix.lower() not in (".mp4", ".mkv"):
        raise InputError(f"--out {out} names no video: give a name that ends in .mp4, or .mkv for lossless")
    inputs = {f"--{field.name.replace('_', '-')}": getattr(files, field.name) for field in fields(files)}
    paths = {name: path for name, path in inputs.items() if isinstance(path, Path)}
    models = {"--model": settings.checkpoint, "--vae": settings.vae, "--clip-vision": settings.clip_vision}
    models |= {f"--lora {path}": path for path, _ in settings.loras}
    check_output(out, {**paths, **models})


def _codec(settings: RunSettings, config: ModelConfig, device: str) -> LatentCodec:
    if settings.vae is not None:
        return load_vae(settings.vae, config.latent, device)
    codec = load_codec(settings.checkpoint, device)
    if codec is None:
        raise InputError(
            f"{settings.checkpoint} bundles no VAE: give --vae, e.g. the .safetensors file of sd-vae-ft-mse"
        )
    return codec


def _context(settings: RunSettings, config: ModelConfig, inputs: Inputs, device: str) -> Tensor | None:
    width = config.unet.cross_attention_dim
    if width is None and settings.clip_vision is not None:
        raise InputError(
            f"--clip-vision {settings.clip_vision} is given, but model {config.name} reads none: leave it out"
        )
    if width is not None and settings.clip_vision is None:
        raise InputError(
            f"model {config.name} reads a CLIP image embedding: give --clip-vision, the folder of a ViT-L/14"
        )
    if width is None:
        return None
    picture = inputs.reference if inputs.picture is None else inputs.picture
    return image_context(settings.clip_vision, picture, width, device)
