"""Pictures on disk ⇄ arrays (Pillow): what colours and alpha mean, which way is up, which frames are animated."""

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, ImageSequence

from ..atomic import atomic_file
from ..errors import InputError
from .arrays import to_uint8

logger = logging.getLogger(__name__)

PICTURES = {".png", ".apng", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".tga", ".avif"}
ANIMATED = {".png", ".apng", ".webp", ".gif", ".avif"}
LOSSY = {".jpg", ".jpeg", ".webp", ".avif"}  # or may be
GREY_GROUND = 0.5  # what shows through transparent pixels of a picture
USUAL_DELAY = 0.1  # seconds: what browsers show a frame for that tells none
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)  # what Pillow raises for bad files


def open_picture(path: Path) -> Image.Image:
    """Raises InputError, by name, for what is no picture. Pixels are read later."""
    try:
        return Image.open(path)
    except BROKEN as error:
        raise _unreadable(path) from error


def count_pictures(path: Path) -> int:
    """Frames of an animated PNG, WebP, GIF or AVIF file; 1 for every other picture. Raises InputError."""
    with open_picture(path) as picture:
        try:
            return picture.n_frames if path.suffix.lower() in ANIMATED and getattr(picture, "is_animated", False) else 1
        except BROKEN as error:
            raise _unreadable(path) from error


def stored_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as its header says, which may lie on its side. Raises InputError."""
    with open_picture(path) as picture:
        return picture.size


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of an upright picture. Raises InputError."""
    with open_picture(path) as picture:
        return _upright(picture, path).size


def animation_times(path: Path) -> tuple[np.ndarray, float]:
    """When each frame of an animated picture is shown, float64 (F,) seconds, and its whole length in seconds."""
    with open_picture(path) as picture:
        try:
            delays = [_delay(frame) for frame in ImageSequence.Iterator(picture)]
        except BROKEN as error:
            raise _unreadable(path) from error
    ends = np.cumsum(delays)
    return np.concatenate([[0.0], ends[:-1]]), float(ends[-1])


def read_rgb(path: Path, ground: float = GREY_GROUND) -> np.ndarray:
    """One picture, upright, in sRGB → uint8 (h, w, 3). Transparent pixels show the `ground`, 0…1. Raises InputError."""
    with open_picture(path) as picture:
        return rgb_of(_upright(picture, path), ground)


def read_plane(path: Path, mean: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """One picture as `plane_of` gives it, upright. Raises InputError."""
    with open_picture(path) as picture:
        return plane_of(_upright(picture, path), mean)


def animation(path: Path, start: int, stop: int) -> Iterator[Image.Image]:
    """The frames start…stop of an animated picture, whole, one after the other. Raises InputError for a broken one."""
    with open_picture(path) as picture:
        try:
            for index in range(start, stop):
                picture.seek(index)
                picture.load()
                yield ImageOps.exif_transpose(picture)
        except BROKEN as error:
            raise _unreadable(path) from error


def rgb_of(picture: Image.Image, ground: float) -> np.ndarray:
    """uint8 (h, w, 3), sRGB; `ground`, 0…1, shows through transparent pixels and not what is hidden under them."""
    if picture.mode in DEEP or picture.mode == "F":
        return np.repeat(to_uint8(_deep(picture).astype(np.float32) / _limit(picture))[..., None], 3, axis=2)
    picture = _srgb(picture)
    if not picture.has_transparency_data:
        return np.array(picture.convert("RGB"))
    return over_ground(np.array(picture.convert("RGBA")), ground)


def over_ground(rgba: np.ndarray, ground: float) -> np.ndarray:
    """(h, w, 4), 0…255, straight alpha → uint8 (h, w, 3) over a `ground` of 0…1."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.rint(rgba[..., :3] * alpha + ground * 255 * (1 - alpha)).astype(np.uint8)


def plane_of(picture: Image.Image, mean: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture as `one_plane` of its colours and its alpha: (h, w) uint8, uint16 or float32, and uint8 or None."""
    if picture.mode in DEEP or picture.mode == "F":
        return _deep(picture), None
    alpha = np.array(picture.convert("RGBA"))[..., 3] if picture.has_transparency_data else None
    if picture.mode in ("1", "L", "LA"):
        return np.array(picture.convert("L") if picture.mode == "1" else picture.getchannel("L")), alpha
    colours = np.array(picture.convert("RGBA" if alpha is not None else "RGB"))[..., :3]
    return one_plane(colours, mean), alpha


def one_plane(colours: np.ndarray, mean: bool) -> np.ndarray:
    """uint8 (h, w, 3) → (h, w): the largest of a pixel's colours, or their mean."""
    return colours.mean(axis=-1).round().astype(np.uint8) if mean else colours.max(axis=-1)


def is_lossy(path: Path) -> bool:
    """Whether a picture's kind, by its name, keeps colours only nearly."""
    return path.suffix.lower() in LOSSY


def write_image(path: str | Path, picture) -> None:
    """Write one picture, (H, W, 3) or (1, H, W, 3), float 0…1 or uint8, whole or not at all."""
    pixels = np.ascontiguousarray(to_uint8(picture).reshape(picture.shape[-3:]))
    kind = Image.registered_extensions().get(Path(path).suffix.lower() or ".png")
    if kind not in Image.SAVE:
        raise InputError(f"cannot write a picture as {path}: use a name that ends in .png or .jpg")
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded.getvalue())


def _upright(picture: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except BROKEN as error:
        raise _unreadable(path) from error


def _srgb(picture: Image.Image) -> Image.Image:
    """Colours of an embedded profile (Display P3, Adobe RGB, a printer's CMYK) → sRGB; a broken profile is told."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    try:
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
        colours = ImageCms.profileToProfile(
            picture.convert("RGB") if alpha else picture,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        logger.warning("the colour profile of a picture cannot be used (%s): it is taken as sRGB", error)
        return picture
    if alpha:
        colours.putalpha(alpha)
    return colours


def _deep(picture: Image.Image) -> np.ndarray:
    """Grey of more than 8 bits: uint16, or float32 as it is."""
    pixels = np.array(picture)
    return pixels.astype(np.float32) if picture.mode == "F" else pixels.clip(0, 65535).astype(np.uint16)


def _limit(picture: Image.Image) -> float:
    return 1.0 if picture.mode == "F" else 65535.0


def _delay(frame: Image.Image) -> float:
    """Seconds for which a frame of an animation is shown."""
    frame.load()  # some formats tell it then
    delay = float(frame.info.get("duration") or 0) / 1000
    shortest = 0.011 if frame.format == "GIF" else 0.0  # browsers take GIFs of 0 or 10 ms for ones that tell none
    return delay if delay > shortest else USUAL_DELAY


def _unreadable(path: Path) -> InputError:
    size = path.stat().st_size if path.exists() else 0
    return InputError(f"{path} is not a readable picture ({size} bytes): give a PNG or JPEG")
