"""Reading: video files, folders of pictures, pictures (animated ones, too) and arrays, frame by frame or whole.

`open_video`, `open_mask` and `open_depth` give a `Clip`: what it is (size, times, rate, length) is known at once, its
frames are decoded one by one, turned upright, with square pixels, and shrunk while they are read.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import InputError
from .arrays import resize, to_float
from .masks import MaskMeaning, read_array
from .pictures import GREY_GROUND, PICTURES, read_rgb
from .sources import Source, find_source


@dataclass(frozen=True)
class VideoFrames:
    """frames: uint8 (F, H, W, 3) RGB; fps: frames per second; times: float64 (F,) seconds of every frame."""

    frames: np.ndarray
    fps: float
    times: np.ndarray


class Clip(ABC):
    """A sequence of pictures on disk.

    path: where it is. size: (width, height) of its frames as people see them: upright, with square pixels.
    stored_size: (width, height) of the upright frames with the file's own pixels; it differs from `size` where those
    are not square (anamorphic video). Poses and masks that were made on the file's own pixels have the shape of
    `stored_size` and mean the same places as ones of the shape of `size`: accept both and resize to the same working
    size.
    times: float64 (F,), seconds from the first shown frame to each, strictly increasing, the first is 0.
    fps: the mean rate.
    """

    def __init__(self, path: Path, source: Source):
        self.path, self.source = path, source
        self.size, self.stored_size = source.size, source.stored_size
        self.times, self.fps = source.times, source.fps

    def __len__(self) -> int:
        return len(self.times)

    def frames(
        self, size: tuple[int, int] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yield the frames start…stop, one by one, of `size` (width, height), or as large as they are.

        Memory holds a few frames whatever the length. Raises InputError for what cannot be read.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        for index, frame in enumerate(self._frames(start, stop, size or self.size), start):
            if frame.shape[1::-1] not in (self.size, self.stored_size, size):
                sizes = (f"{width}x{height}" for width, height in (frame.shape[1::-1], self.size))
                raise InputError(
                    "frame {} of {} is {}, the first is {}: make them one size".format(index, self.path, *sizes)
                )
            resized = resize(frame[None], *(size or self.size))[0]
            if frame.dtype == np.float32:  # bicubic overshoots
                resized = resized.clip(min(0.0, float(frame.min())), max(1.0, float(frame.max())))
            yield np.ascontiguousarray(resized)

    def read(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """All frames, stacked on a first dim."""
        width, height = size or self.size
        frames, stacked = self.frames(size), None
        for index, frame in enumerate(frames):
            if stacked is None:
                stacked = np.empty((len(self), height, width, *frame.shape[2:]), frame.dtype)
            stacked[index] = frame
        return stacked

    @abstractmethod
    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """Frames of the clip's own size, its stored size, or the `size` that is wanted."""


class Video(Clip):
    """Frames are uint8 (h, w, 3) RGB, SDR. `ground`, 0…1, shows through transparent pixels."""

    def __init__(self, path: Path, source: Source, ground: float = GREY_GROUND):
        super().__init__(path, source)
        self.ground = ground

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        return self.source.rgb(start, stop, self.ground, size)


class Mask(Clip):
    """Frames are float32 (h, w), 0…1; what their pixels mean is `MaskMeaning`'s to say."""

    def __init__(self, path: Path, source: Source):
        super().__init__(path, source)
        self._meaning: MaskMeaning | None = None

    @property
    def meaning(self) -> MaskMeaning:
        """Learnt from the frames when it is first asked for."""
        if self._meaning is None:
            self._meaning = MaskMeaning.of(self.source.planes(0, len(self)), self.source.lossless)
        return self._meaning

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        for plane, alpha in self.source.planes(start, stop):
            yield self.meaning.value(plane, alpha)


class Depth(Clip):
    """Frames are float32 (h, w), 1 = near: integers scaled to 0…1, floats as they are."""

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        for plane, _ in self.source.planes(start, stop, mean=True):
            yield to_float(plane).numpy()


def open_video(path: str | Path, ground: float = GREY_GROUND) -> Video:
    """Open a video file, a folder of pictures (in natural order of their names), one picture or an animated one.

    ground: what shows through transparent pixels, 0 black … 1 white; a video of drawn skeletons wants black.
    Raises InputError when it is missing, not readable as pictures, or holds no frame.
    """
    path = _existing(path)
    return Video(path, find_source(path), ground)


def open_mask(path: str | Path) -> Mask:
    """Open a mask as `open_video` does, or a .npy array (F, H, W), (H, W) or (F, H, W, 1) of bools or numbers."""
    path = _existing(path)
    return Mask(path, read_array(path, "mask") if path.suffix.lower() == ".npy" else find_source(path))


def open_depth(path: str | Path) -> Depth:
    """Open depth as `open_video` does, or a .npy array (F, H, W) of floats."""
    path = _existing(path)
    return Depth(path, read_array(path, "depth") if path.suffix.lower() == ".npy" else find_source(path))


def read_video(path: str | Path) -> VideoFrames:
    """Read what `open_video` opens, whole. Raises InputError as it does."""
    video = open_video(path)
    return VideoFrames(video.read(), video.fps, video.times)


def read_image(path: str | Path) -> Tensor:
    """Read one picture, upright and in sRGB → IMAGE (1, H, W, 3), 0…1. Raises InputError.

    Transparent pixels show a neutral grey (0.5): what colours a program left under them is never seen.
    """
    path = _existing(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder where one picture is wanted: give a PNG or JPEG")
    return to_float(read_rgb(path)[None])


def read_mask(path: str | Path) -> Tensor:
    """Read what `open_mask` opens, whole → MASK (F, H, W), 0…1. Raises InputError."""
    return to_float(open_mask(path).read())


def read_depth(path: str | Path) -> Tensor:
    """Read depth → (F, H, W) float32, 1 = near: a video, folder or picture as `read_mask` reads it, or a .npy array.

    Integer formats are scaled to 0…1; float formats (.npy, float .tiff) are taken as they are. Raises InputError.
    """
    return to_float(open_depth(path).read())


def is_picture(path: Path) -> bool:
    """Whether a path is a folder or by its name a picture, and so has no sound."""
    return path.is_dir() or path.suffix.lower() in PICTURES


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path")
    return path
