"""Full-size companions of the denoiser from local files: Stable Diffusion's VAE and CLIP's vision tower.

Nothing here reaches the network: a file that is incomplete raises InputError.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError
from ..models.autoencoder import LatentCodec
from ..models.config import LatentConfig
from .files import read_weights
from .finite import refuse_not_finite
from .kinds import what_it_is
from .wrapped_names import below_one_prefix

CLIP_SIDE = 224
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
VIT_LARGE = dict(  # openai/clip-vit-large-patch14, the vision tower of Animate Anyone's weights
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    patch_size=14,
    projection_dim=768,
)
SD15_VAE = dict(  # stabilityai/sd-vae-ft-mse and the VAE inside Stable Diffusion 1.5
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    latent_channels=4,
)
# Names of the attention in the files of 2022, sd-vae-ft-mse's among them; diffusers renames them in folders only.
FIRST_ATTENTION_NAMES = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


class DiffusersAutoencoder(nn.Module):
    """A diffusers AutoencoderKL with the two methods that `LatentCodec` calls; latents are the distribution's mean."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """(B, 3, H, W) in -1…1 → latents (B, 4, H/8, W/8), not yet scaled."""
        return self.vae.encode(images_BCHW).latent_dist.mode()

    def decode(self, latents_BCHW: Tensor) -> Tensor:
        """Latents (B, 4, h, w), not scaled → pictures (B, 3, 8h, 8w) in about -1…1."""
        return self.vae.decode(latents_BCHW).sample


def load_vae(path: str | Path, latent: LatentConfig, device: str = "cpu") -> LatentCodec:
    """Load an AutoencoderKL from a diffusers folder or a file, in diffusers' or the original key names.

    The file may be a whole Stable Diffusion checkpoint; see `read_weights` for its forms. Computes in float32, since
    this VAE overflows in float16. Raises InputError when it is missing, no such VAE, or holds NaN or infinity.
    """
    path = _existing(path, "--vae", "vae")
    from diffusers import AutoencoderKL  # slow to import

    if path.is_dir():
        try:
            vae = AutoencoderKL.from_pretrained(str(path), local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(
                f"{path} is not a diffusers VAE folder ({_line(error)}): give a folder or .safetensors"
            ) from error
    else:
        with torch.device("meta"):
            config = AutoencoderKL(**SD15_VAE).config
        found = _tensors(path, "vae.", "first_stage_model.")
        _refuse_others(found, path, "a Stable Diffusion 1.5 VAE", "a VAE")
        vae = _build_exactly(
            lambda: AutoencoderKL(**SD15_VAE), _vae_keys(found, config), path, "a Stable Diffusion 1.5 VAE"
        )
    refuse_not_finite(vae.state_dict(), str(path))
    downscale = 2 ** (len(vae.config.block_out_channels) - 1)
    if (vae.config.latent_channels, downscale) != (latent.channels, latent.downscale):
        raise InputError(
            f"the VAE in {path} has {vae.config.latent_channels} channels at 1/{downscale}, the model needs "
            f"{latent.channels} at 1/{latent.downscale}: give the VAE that belongs to the model"
        )
    adapter = DiffusersAutoencoder(vae.to(device)).train(False).requires_grad_(False)
    return LatentCodec(adapter, scale=latent.scale, downscale=latent.downscale)


def clip_pixels(pictures_BHWC: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) 0…1 → what CLIP's vision tower reads, (B, 3, 224, 224): squashed, 8 bits, normalised.

    The whole picture, whatever its shape, as the pipelines of Animate Anyone's public implementation resize it
    (`ref_image.resize((224, 224))`), though its data set for training cuts the middle out of video frames: a standing
    person would lose head and feet. ComfyUI's CLIP Vision Encode gives the same numbers with crop "none", not "center".
    """
    pictures = pictures_BHWC.movedim(-1, 1)
    pixels = functional.interpolate(pictures, (CLIP_SIDE, CLIP_SIDE), mode="bicubic", antialias=True)
    pixels = (pixels * 255).clamp(0, 255).round() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    return (pixels - mean.to(pixels)) / std.to(pixels)


class ImageEncoder:
    """CLIP's vision tower, loaded once: pictures of characters → context for the cross-attention.

    path: a transformers folder (config.json and model.safetensors) or a file of ViT-L/14, see `read_weights`.
    Raises InputError when it is missing, no CLIP vision model, of another embedding width, or holds NaN or infinity.
    """

    def __init__(self, path: str | Path, width: int, device: str = "cpu") -> None:
        model = _load_clip(_existing(path, "--clip-vision", "image_encoder"))
        if model.config.projection_dim != width:
            raise InputError(
                f"the CLIP in {path} embeds in {model.config.projection_dim} numbers, the model reads {width}: "
                "give the CLIP that belongs to the model"
            )
        self.model, self.device = model.to(device).train(False).requires_grad_(False), torch.device(device)

    @torch.no_grad()
    def __call__(self, pictures_BHWC: Tensor) -> Tensor:
        """Pictures (B, H, W, 3) 0…1 → float32 (B, 1, width), on the encoder's device; always in float32."""
        with torch.autocast(self.device.type, enabled=False):
            return self.model(clip_pixels(pictures_BHWC.float()).to(self.device)).image_embeds.unsqueeze(1).float()


def image_context(path: str | Path, picture: Tensor, width: int, device: str = "cpu") -> Tensor:
    """CLIP's image embedding of the character (1, H, W, 3) 0…1 → context (1, 1, width); see `ImageEncoder`.

    picture: as it is in its file, not shrunk to the frames' size.
    """
    return ImageEncoder(path, width, device)(picture).cpu()


def _load_clip(path: Path) -> nn.Module:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    if path.is_dir():
        try:
            model = CLIPVisionModelWithProjection.from_pretrained(
                str(path), local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(
                f"{path} is not a CLIP vision folder ({_line(error)}): give a folder or .safetensors"
            ) from error
        refuse_not_finite(model.state_dict(), str(path))
        return model
    config = CLIPVisionConfig(**VIT_LARGE)
    tensors = _tensors(path, "image_encoder.", "conditioner.embedders.0.model.")
    _refuse_others(tensors, path, "a CLIP ViT-L/14 vision model", "a CLIP vision model", "a text encoder")
    return _build_exactly(
        lambda: CLIPVisionModelWithProjection(config), tensors, path, "a CLIP ViT-L/14 vision model"
    ).train(False)


def _vae_keys(tensors: dict[str, Tensor], config) -> dict[str, Tensor]:
    """Diffusers' key names of today for a VAE that has these, its first ones, or the original Stable Diffusion's."""
    if any(".down_blocks." in name for name in tensors):
        return {_renamed(name): tensor for name, tensor in tensors.items()}
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    try:
        return convert_ldm_vae_checkpoint(dict(tensors), config)
    except (KeyError, IndexError, ValueError):
        return tensors  # of another kind: the names are compared next, and reported


def _renamed(name: str) -> str:
    for old, new in FIRST_ATTENTION_NAMES.items():
        name = name.replace(old, new)
    return name


def _build_exactly(build: Callable[[], nn.Module], tensors: dict[str, Tensor], path: Path, kind: str) -> nn.Module:
    """Build a module and load it by name. Raises InputError, naming one, unless every tensor of it is there."""
    with torch.device("meta"):
        expected = build().state_dict()  # first the names alone: building a large module takes seconds
    missing = [name for name, t in expected.items() if name not in tensors or tensors[name].shape != t.shape]
    if missing:
        raise InputError(
            f"{path} is not {kind}: {len(missing)} tensors such as {missing[0]} are missing; give another file"
        )
    module = build()
    module.load_state_dict({name: tensors[name].float() for name in expected})
    return module


def _tensors(path: Path, *prefixes: str) -> dict[str, Tensor]:
    """A file's tensors, below the first of the prefixes that it has."""
    return below_one_prefix(read_weights(path).tensors, *prefixes)


def _refuse_others(tensors: dict[str, Tensor], path: Path, kind: str, *expected: str) -> None:
    """Raise InputError for a network of another kind, by what it is. CLIP's text encoder may lie beside its vision."""
    what = what_it_is({name: tensor.shape for name, tensor in tensors.items()})
    if what not in (None, *expected):
        raise InputError(f"{path} is not {kind} but {what}: give another file")


def _existing(path: str | Path, option: str, part: str) -> Path:
    """The path, or `part` of a whole pipeline's folder. Raises InputError where there is nothing."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{option} {path} does not exist: check the path")
    return path / part if (path / part / "config.json").is_file() else path


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
