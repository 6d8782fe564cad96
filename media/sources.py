"""What holds frames on disk, behind one interface: files, folders and pictures, animations, arrays."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from . import pictures
from .colour import ToRGB, grey_of, has_alpha, is_grey
from .decoding import Timeline, decode_frames, read_timeline
from .names import natural_order
from .orientation import orientation
from .timing import is_steady

logger = logging.getLogger(__name__)

FOLDER_FPS = 24.0  # a folder of pictures carries no rate

Plane = tuple[np.ndarray, np.ndarray | None]  # (h, w) uint8, uint16 or float; alpha (h, w) uint8 or none


class Source(Protocol):
    """size, stored_size, times, fps: see `media.video.Clip`. lossless: pixels are to the last bit what was saved."""

    size: tuple[int, int]
    stored_size: tuple[int, int]
    times: np.ndarray
    fps: float
    lossless: bool

    def rgb(self, start: int, stop: int, ground: float, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
        """Frames as uint8 (h, w, 3), upright; as stored or, where that is less work, of the `size` that is wanted."""

    def planes(self, start: int, stop: int, mean: bool = False) -> Iterator[Plane]:
        """Frames as one plane each, upright: the largest of their colours, or the mean."""


class FileSource:
    """A video file. told: what was warned of."""

    def __init__(self, path: Path):
        self.path, self.told = path, set()
        self.timeline: Timeline = read_timeline(path)
        for complaint in self.timeline.complaints:
            self.tell(complaint)
        self.times, self.fps, self.lossless = self.timeline.times, self.timeline.fps, self.timeline.lossless
        first = next(decode_frames(path, self.timeline, 0, 1))
        self.orientation = orientation(first)
        self.stored_size = self.orientation.size(first.width, first.height)
        aspect = self.timeline.sample_aspect
        square = first.width if aspect == 1 else max(2, 2 * round(first.width * aspect / 2))
        self.size = self.orientation.size(square, first.height)

    def tell(self, message: str) -> None:
        """Warn of something once, however often frames are read again."""
        if message not in self.told:
            logger.warning(message)
        self.told.add(message)

    def rgb(self, start: int, stop: int, ground: float, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
        lying = size and self.orientation.size(*size)
        to_rgb = ToRGB(ground, self.timeline.transfer, self.timeline.primaries, lying)
        for frame in decode_frames(self.path, self.timeline, start, stop, True, self.tell):
            yield self.orientation.turn(to_rgb(frame))

    def planes(self, start: int, stop: int, mean: bool = False) -> Iterator[Plane]:
        to_rgb = ToRGB(0.0)
        for frame in decode_frames(self.path, self.timeline, start, stop, True, self.tell):
            plane, alpha = self._plane(frame, to_rgb, mean)
            yield self.orientation.turn(plane), None if alpha is None else self.orientation.turn(alpha)

    def _plane(self, frame, to_rgb: ToRGB, mean: bool) -> Plane:
        if is_grey(frame):
            return grey_of(frame), None
        colours = to_rgb.convert(frame, "rgba" if has_alpha(frame) else "rgb24")
        alpha = colours[..., 3] if has_alpha(frame) else None
        return pictures.one_plane(colours[..., :3], mean), alpha


class PictureSource:
    """A folder of pictures, or one picture: a file a frame."""

    def __init__(self, files: list[Path], path: Path):
        self.files = files
        stored = {pictures.stored_size(file) for file in files}
        sizes = {pictures.picture_size(file) for file in (files if len(stored) > 1 else files[:1])}
        if len(sizes) > 1:
            names = ", ".join(sorted(f"{width}x{height}" for width, height in sizes))
            raise InputError(f"{path} holds pictures of sizes {names}: make them all one size")
        self.size = self.stored_size = sizes.pop()
        self.times, self.fps = np.arange(len(files)) / FOLDER_FPS, FOLDER_FPS
        self.lossless = not any(pictures.is_lossy(file) for file in files)

    def rgb(self, start: int, stop: int, ground: float, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
        return (pictures.read_rgb(file, ground) for file in self.files[start:stop])

    def planes(self, start: int, stop: int, mean: bool = False) -> Iterator[Plane]:
        return (pictures.read_plane(file, mean) for file in self.files[start:stop])


class AnimationSource:
    """An animated PNG, WebP, GIF or AVIF."""

    def __init__(self, path: Path):
        self.path, self.lossless = path, not pictures.is_lossy(path)
        self.size = self.stored_size = pictures.picture_size(path)
        shown, length = pictures.animation_times(path)
        self.fps = len(shown) / length
        self.times = np.arange(len(shown)) / self.fps if is_steady(shown, self.fps) else shown

    def rgb(self, start: int, stop: int, ground: float, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
        return (pictures.rgb_of(picture, ground) for picture in pictures.animation(self.path, start, stop))

    def planes(self, start: int, stop: int, mean: bool = False) -> Iterator[Plane]:
        return (pictures.plane_of(picture, mean) for picture in pictures.animation(self.path, start, stop))


class ArraySource:
    """Planes (F, h, w) of numbers in memory or mapped from a file."""

    lossless = True

    def __init__(self, planes: np.ndarray):
        self.array = planes
        self.size = self.stored_size = (planes.shape[2], planes.shape[1])
        self.times, self.fps = np.arange(len(planes)) / FOLDER_FPS, FOLDER_FPS

    def rgb(self, start: int, stop: int, ground: float, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
        raise InputError("an array of numbers is no video: give a video file or a folder of PNGs")

    def planes(self, start: int, stop: int, mean: bool = False) -> Iterator[Plane]:
        return ((np.array(plane), None) for plane in self.array[start:stop])


def find_source(path: Path) -> Source:
    """What holds the frames at `path`, which exists. Raises InputError when nothing does."""
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if _is_frame(file)), key=lambda file: natural_order(file.name))
        if not files:
            raise InputError(f"folder {path} holds 0 pictures: put one .png a frame into it")
        return PictureSource(files, path)
    if path.suffix.lower() not in pictures.PICTURES:
        return FileSource(path)
    return AnimationSource(path) if pictures.count_pictures(path) > 1 else PictureSource([path], path)


def _is_frame(file: Path) -> bool:
    """Whether a file in a folder is one of its pictures; hidden ones are another system's notes."""
    return file.suffix.lower() in pictures.PICTURES and not file.name.startswith(".")
