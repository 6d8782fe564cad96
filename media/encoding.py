"""Writing videos: frames, whole or one after the other, with their times and another video's sound (PyAV)."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from torch import Tensor

from ..errors import InputError
from .arrays import to_uint8
from .atomic import atomic_file
from .colour import CONVERSION, ITU601, ITU709
from .sound import Sound
from .timing import is_steady

Frames = Tensor | np.ndarray | Iterable[Tensor | np.ndarray]

INDEX_IN_FRONT = {".mp4", ".m4v", ".mov"}
TICKS = 90_000  # a second: the clock of frames that come at no constant rate
HD_LINES = 720  # from this height on the colours of .mp4 are BT.709's, below BT.601's: what players take them for
BT709, SMPTE170M, LIMITED = 1, 6, 1  # AVCOL_SPC_BT709 (also of primaries and transfer), AVCOL_SPC_SMPTE170M, …_MPEG


@dataclass(frozen=True)
class _Form:
    """source, stored: formats of the given frames and of the file; matrix (SWS_CS_*), range: of its colours."""

    codec: str
    source: str
    stored: str
    options: dict[str, str]
    matrix: int | None = None
    range: str | None = None


def write_video(
    path: str | Path,
    frames: Frames,
    fps: float,
    sound_of: str | Path | None = None,
    times: np.ndarray | None = None,
) -> None:
    """Write frames as H.264 4:2:0, crf 12, whole or not at all.

    frames: (F, H, W, 3), float 0…1 or uint8; or an iterable of frames (H, W, 3) or of chunks (n, H, W, 3), of which one
    at a time is held. 4:2:0 needs even sizes: an odd width or height grows by one repeated column or row.
    times: (F,) seconds at which each frame is shown, increasing; None: one every 1 / fps.
    sound_of: a video whose sound track is taken along, its sound in step with the frames as it was with its own: copied
    as it is where this kind of file holds it well, else encoded anew as AAC; see `sound.Sound`.
    Raises InputError for no frames, frames of more than one size, and another number of times than of frames.
    """
    first, rest = _first(_each(frames), path)
    pixels = (_even(to_uint8(frame)) for frame in chain([first], rest))
    hd = first.shape[0] + first.shape[0] % 2 >= HD_LINES
    options = {"crf": "12", "preset": "medium"}
    form = _Form("libx264", "rgb24", "yuv420p", options, ITU709 if hd else ITU601, "MPEG")
    _write(Path(path), pixels, form, fps, sound_of, times)


def write_lossless(
    path: str | Path,
    frames: Frames,
    fps: float,
    sound_of: str | Path | None = None,
    times: np.ndarray | None = None,
) -> None:
    """Write an FFV1 video (.mkv) that reads back exactly, whole or not at all; the rest as in `write_video`.

    frames: (F, H, W) uint8 → gray 8 bit; (F, H, W) uint16 or float 0…1 → gray 16 bit; (F, H, W, 3) → RGB 8 bit. Or an
    iterable of frames (H, W) or (H, W, 3), or of chunks of them.
    """
    first, rest = _first(_each(frames), path)
    if first.ndim == 3:
        convert, source, stored = to_uint8, "rgb24", "bgr0"
    elif first.dtype == np.uint8:
        convert, source, stored = np.asarray, "gray", "gray"
    else:
        convert, source, stored = _to_uint16, "gray16le", "gray16le"
    pixels = (convert(frame) for frame in chain([first], rest))
    _write(Path(path), pixels, _Form("ffv1", source, stored, {}), fps, sound_of, times)


def _each(frames: Frames) -> Iterator[np.ndarray]:
    """Single frames, on the CPU, of anything the writers take."""
    parts = [frames] if isinstance(frames, Tensor | np.ndarray) else frames
    for part in parts:
        part = part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
        is_frame = part.ndim == 2 or (part.ndim == 3 and part.shape[-1] == 3)
        if is_frame and parts is frames:
            yield part
        else:
            yield from part


def _first(frames: Iterator[np.ndarray], path: str | Path) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    first = next(frames, None)
    if first is None:
        raise InputError(f"0 frames to write to {Path(path).name}: give at least one frame")
    return first, frames


def _to_uint16(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.uint16:
        return frame
    return np.clip(np.rint(frame * 65535.0), 0, 65535).astype(np.uint16)


def _even(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _write(
    path: Path,
    pixels: Iterator[np.ndarray],
    form: _Form,
    fps: float,
    sound_of: str | Path | None,
    times: np.ndarray | None,
) -> None:
    if times is not None:
        times = np.asarray(times, np.float64) - times[0]
        if len(times) > 1 and not (np.diff(times) > 0).all():
            raise InputError(f"times for {path.name} stand still or go back: give increasing seconds")
    with atomic_file(path) as temporary:
        options = {"movflags": "+faststart"} if path.suffix.lower() in INDEX_IN_FRONT else {}
        try:
            container = av.open(str(temporary), "w", options=options)
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"cannot write a video as '{path.suffix}': use a name that ends in .mp4 or .mkv"
            ) from error
        with container, ExitStack() as opened:
            _mux(container, opened, path, pixels, form, fps, sound_of, times)


def _mux(
    container: av.container.OutputContainer,
    opened: ExitStack,
    path: Path,
    pixels: Iterator[np.ndarray],
    form: _Form,
    fps: float,
    sound_of: str | Path | None,
    times: np.ndarray | None,
) -> None:
    """Encode frame by frame; sound goes into the file where its time is, so that both alternate."""
    clock = _Clock(fps, times, path.name)
    options = form.options if clock.ticks is None or not form.options else form.options | {"bf": "0"}  # see _Clock
    stream = container.add_stream(form.codec, rate=clock.rate, options=options)
    _describe(stream, form, clock)
    sound = None if sound_of is None else Sound.of(Path(sound_of), container, opened)
    reformatter = VideoReformatter()

    def mux(packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            packet.duration = clock.duration(packet.pts)
            if sound is not None:
                sound.mux_until(float(packet.dts * packet.time_base))
            container.mux(packet)

    for index, picture in enumerate(pixels):
        if index == 0:
            stream.height, stream.width = picture.shape[:2]
        elif (stream.height, stream.width) != picture.shape[:2]:
            size, first = (f"{w}x{h}" for h, w in (picture.shape[:2], (stream.height, stream.width)))
            raise InputError(f"frame {index} of {path.name} is {size}, the first is {first}: give frames of one size")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=form.source)
        frame = reformatter.reformat(
            frame, format=form.stored, interpolation=CONVERSION, dst_colorspace=form.matrix, dst_color_range=form.range
        )
        frame.pts, frame.time_base = clock.tick(index), clock.time_base
        mux(stream.encode(frame))
    clock.check(index + 1)
    mux(stream.encode())
    if sound is not None:
        sound.mux_until(float("inf"))


def _describe(stream: av.VideoStream, form: _Form, clock: "_Clock") -> None:
    """Say in the file what its pixels and ticks are."""
    stream.pix_fmt = form.stored
    stream.time_base = stream.codec_context.time_base = clock.time_base
    if form.matrix is not None:
        context = stream.codec_context
        context.sample_aspect_ratio = Fraction(1)
        context.colorspace = BT709 if form.matrix == ITU709 else SMPTE170M
        context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED


class _Clock:
    """Ticks of the frames: one each where they come at a constant rate, else 1/90000 s.

    In .mp4 a track is as long as its decoding times say, which B-frames at changing rates make too short.
    """

    def __init__(self, fps: float, times: np.ndarray | None, name: str):
        self.rate, self.name, self.count = Fraction(fps).limit_denominator(1001), name, None
        if times is None or is_steady(times, fps):
            self.ticks, self.time_base = None, 1 / self.rate
        else:
            self.ticks, self.time_base = np.rint(times * TICKS).astype(np.int64), Fraction(1, TICKS)
        self.count = None if times is None else len(times)

    def tick(self, index: int) -> int:
        """Raises InputError for more frames than times."""
        if self.count is not None and index >= self.count:
            raise InputError(f"{self.name} has {self.count} times and more frames: give one time a frame")
        return index if self.ticks is None else int(self.ticks[index])

    def duration(self, tick: int) -> int:
        """Ticks for which the frame of this tick is shown; the last one as long as a usual one."""
        if self.ticks is None:
            return 1
        place = int(np.searchsorted(self.ticks, tick)) + 1
        usual = round(1 / self.rate / self.time_base)
        return int(self.ticks[place]) - tick if place < len(self.ticks) else max(1, usual)

    def check(self, frames: int) -> None:
        """Raise InputError for fewer frames than times."""
        if self.count is not None and frames != self.count:
            raise InputError(f"{self.name} has {self.count} times and {frames} frames: give one time a frame")
