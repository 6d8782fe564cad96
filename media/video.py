"""Videos, folders of pictures and single pictures on disk ⇄ arrays (PyAV and OpenCV)."""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from ..errors import InputError
from .arrays import to_float, to_uint8
from .atomic import atomic_file
from .opencv import cv2

logger = logging.getLogger(__name__)

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
FOLDER_FPS = 24.0  # a folder of pictures carries no rate
MP4_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus", "libopus"}  # what players take in .mp4
BT601, LIMITED_RANGE = 6, 1  # AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG: what swscale makes of RGB by default
BICUBIC, FULL_CHROMA, ACCURATE = 4, 0x2000, 0x40000
CONVERSION = BICUBIC | FULL_CHROMA | ACCURATE  # swscale's default loses 9 dB on the way to 4:2:0 and back


@dataclass(frozen=True)
class VideoFrames:
    """frames: uint8 (F, H, W, 3) RGB; fps: frames per second."""

    frames: np.ndarray
    fps: float


def read_video(path: str | Path) -> VideoFrames:
    """Read a video file, a folder of pictures (in natural order of their names) or one picture.

    Raises InputError when it is missing, not readable as pictures, or holds no frame.
    """
    frames, fps = _read_frames(Path(path), _rgb_of_video, _rgb_of_picture)
    return VideoFrames(frames, fps)


def read_image(path: str | Path) -> Tensor:
    """Read one picture → IMAGE (1, H, W, 3), 0…1. Transparency is dropped. Raises InputError."""
    path = _existing(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder where one picture is wanted: give a PNG or JPEG")
    return to_float(_rgb_of_picture(path)[None])


def read_mask(path: str | Path) -> Tensor:
    """Read a mask video, folder of pictures or one picture (8 or 16 bit) → MASK (F, H, W), 0…1. Raises InputError."""
    frames, _ = _read_frames(Path(path), _gray_of_video, _gray_of_picture)
    return to_float(frames)


def read_depth(path: str | Path) -> Tensor:
    """Read depth → (F, H, W) float32, 1 = near: a video, folder or picture as `read_mask` reads it, or a .npy array.

    Integer formats are scaled to 0…1; float formats (.npy, float .tiff) are taken as they are. Raises InputError.
    """
    path = _existing(path)
    if path.suffix.lower() != ".npy":
        return read_mask(path)
    try:
        depth = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is not a readable .npy array: save it with numpy.save") from error
    if depth.ndim != 3 or len(depth) == 0 or depth.dtype.kind != "f":
        raise InputError(f"{path} is {depth.dtype} of shape {depth.shape}: give floats 0…1 of (frames, height, width)")
    return to_float(depth)


def write_image(path: str | Path, picture: Tensor | np.ndarray) -> None:
    """Write one picture, (H, W, 3) or (1, H, W, 3), float 0…1 or uint8, whole or not at all."""
    pixels = to_uint8(picture).reshape(picture.shape[-3:])
    with atomic_file(path) as temporary:
        done, encoded = cv2.imencode(Path(path).suffix or ".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        if not done:
            raise InputError(f"cannot write a picture as {path}: use a name that ends in .png or .jpg")
        temporary.write_bytes(encoded.tobytes())


def write_video(path: str | Path, frames: Tensor | np.ndarray, fps: float, sound_of: str | Path | None = None) -> None:
    """Write (F, H, W, 3) frames, float 0…1 or uint8, as H.264 4:2:0, crf 12, whole or not at all.

    4:2:0 needs even sizes: an odd width or height grows by one repeated column or row.
    sound_of: a video whose first sound track is copied as it is; what cannot go into this kind of file is left out,
    and the log says so.
    """
    pixels = to_uint8(frames)
    pixels = np.pad(pixels, ((0, 0), (0, pixels.shape[1] % 2), (0, pixels.shape[2] % 2), (0, 0)), mode="edge")
    with atomic_file(path) as temporary:
        _encode(temporary, pixels, "rgb24", "libx264", "yuv420p", fps, {"crf": "12", "preset": "medium"}, sound_of)


def write_lossless(
    path: str | Path, frames: Tensor | np.ndarray, fps: float, sound_of: str | Path | None = None
) -> None:
    """Write an FFV1 video (.mkv) that reads back exactly, whole or not at all; sound_of as in `write_video`.

    frames: (F, H, W) uint8 → gray 8 bit; (F, H, W) uint16 or float 0…1 → gray 16 bit; (F, H, W, 3) → RGB 8 bit.
    """
    pixels = frames.detach().cpu().numpy() if isinstance(frames, Tensor) else frames
    if pixels.ndim == 4:
        pixels, source, stored = to_uint8(pixels), "rgb24", "bgr0"
    elif pixels.dtype == np.uint8:
        source = stored = "gray"
    else:
        if pixels.dtype != np.uint16:
            pixels = np.clip(np.rint(pixels * 65535.0), 0, 65535).astype(np.uint16)
        source = stored = "gray16le"
    with atomic_file(path) as temporary:
        _encode(temporary, pixels, source, "ffv1", stored, fps, {}, sound_of)


def _encode(
    path: Path,
    pixels: np.ndarray,
    source: str,
    codec: str,
    stored: str,
    fps: float,
    options: dict,
    sound_of: str | Path | None,
) -> None:
    if len(pixels) == 0:
        raise InputError(f"0 frames to write to {path.name}: give at least one frame")
    try:
        container = av.open(str(path), "w")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"cannot write a video as '{path.suffix}': use a name that ends in .mp4 or .mkv") from error
    with container, ExitStack() as opened:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = stored
        if stored == "yuv420p":
            stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED_RANGE
        sound = [] if sound_of is None else _sound(Path(sound_of), container, opened)
        for picture in pixels:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source)
            container.mux(stream.encode(frame.reformat(format=stored, interpolation=CONVERSION)))
        container.mux(stream.encode())
        for packet in sound:
            container.mux(packet)


def _sound(path: Path, container: av.container.OutputContainer, opened: ExitStack) -> Iterator[av.Packet]:
    """The packets of a video's first sound track, for a new stream of `container`; none where there is no sound."""
    if path.is_dir() or path.suffix.lower() in PICTURES:
        return iter(())
    source = opened.enter_context(av.open(str(path)))
    if not source.streams.audio:
        return iter(())
    theirs = source.streams.audio[0]
    codec = theirs.codec_context.codec.name
    if container.format.name == "mp4" and codec not in MP4_SOUND:
        logger.warning(
            "the sound of %s is %s, which .mp4 does not hold well: it is left out, .mkv keeps it", path, codec
        )
        return iter(())
    ours = container.add_stream_from_template(theirs)
    return _packets(source, theirs, ours)


def _packets(source: av.container.InputContainer, theirs, ours) -> Iterator[av.Packet]:
    for packet in source.demux(theirs):
        if packet.dts is not None:  # the last, empty one ends the stream
            packet.stream = ours
            yield packet


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    return path


def _read_frames(path: Path, of_video, of_picture) -> tuple[np.ndarray, float]:
    """Frames stacked on dim 0, and their rate, from a video, a folder or a picture."""
    path = _existing(path)
    if path.is_dir():
        files = sorted((f for f in path.iterdir() if f.suffix.lower() in PICTURES), key=_natural)
        pictures, fps = [of_picture(file) for file in files], FOLDER_FPS
        if not pictures:
            raise InputError(f"folder {path} holds 0 pictures: put one .png a frame into it")
    elif path.suffix.lower() in PICTURES:
        pictures, fps = [of_picture(path)], FOLDER_FPS
    else:
        pictures, fps = _decode(path, of_video)
    sizes = {f"{picture.shape[1]}x{picture.shape[0]}" for picture in pictures}
    if len(sizes) > 1:
        raise InputError(f"{path} holds pictures of sizes {', '.join(sorted(sizes))}: make them all one size")
    return np.stack(pictures), fps


def _natural(path: Path) -> list:
    """Sorting key in which frame9 comes before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name)]


def _decode(path: Path, of_video) -> tuple[list[np.ndarray], float]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no video stream: give a video file or a folder of PNGs")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = stream.average_rate or stream.guessed_rate or FOLDER_FPS
            pictures = list(_upright(container.decode(stream), of_video))
    except av.EOFError:
        pictures = []
    except av.FFmpegError as error:
        raise InputError(f"{path} is not a readable video ({error.strerror}): give an .mp4 or .mkv") from error
    if not pictures:
        raise InputError(f"{path} holds 0 frames: give a video with at least one frame")
    return pictures, float(rate)


def _upright(frames: Iterator[av.VideoFrame], of_video) -> Iterator[np.ndarray]:
    """Pictures turned as the file's display matrix asks (phones store portrait videos lying)."""
    for frame in frames:
        picture = of_video(frame)
        yield np.rot90(picture, frame.rotation // 90) if frame.rotation % 360 else picture


def _rgb_of_video(frame: av.VideoFrame) -> np.ndarray:
    return frame.reformat(format="rgb24", interpolation=CONVERSION).to_ndarray()


def _gray_of_video(frame: av.VideoFrame) -> np.ndarray:
    """uint16 for gray of more than 8 bits, else uint8. Colour gives the mean of its channels."""
    if frame.format.name.startswith("gray"):
        deep = frame.format.components[0].bits > 8
        return frame.to_ndarray(format="gray16le" if deep else "gray")
    return _rgb_of_video(frame).mean(axis=-1).round().astype(np.uint8)


def _load_picture(path: Path, flags: int) -> np.ndarray:
    encoded = np.fromfile(path, dtype=np.uint8)
    picture = cv2.imdecode(encoded, flags) if encoded.size else None
    if picture is None:
        raise InputError(f"{path} is not a readable picture ({encoded.size} bytes): give a PNG or JPEG")
    return picture


def _rgb_of_picture(path: Path) -> np.ndarray:
    return cv2.cvtColor(_load_picture(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _gray_of_picture(path: Path) -> np.ndarray:
    return _load_picture(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
