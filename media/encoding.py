"""Writing videos: frames, whole or one after the other, with their times and another video's sound (PyAV)."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from torch import Tensor

from ..atomic import atomic_file
from ..errors import InputError
from .arrays import to_uint8
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
    """How frames are stored.

    convert: a given frame → an array of the pixel format `source`; stored: pixel format of the file; matrix (SWS_CS_*),
    range: of its colours.
    """

    codec: str
    convert: Callable[[np.ndarray], np.ndarray]
    source: str
    stored: str
    options: dict[str, str] = field(default_factory=dict)
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
    Raises InputError for no frames, frames of another kind or of more than one size, another number of times than of
    frames, and a name or rate that is none of a video.
    """
    _write(Path(path), frames, _h264_form, fps, sound_of, times)


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
    _write(Path(path), frames, _ffv1_form, fps, sound_of, times)


def _h264_form(first: np.ndarray) -> _Form:
    if not _is_coloured(first):
        raise InputError(f"frames of shape {first.shape} to write as colours: give ones of (height, width, 3)")
    matrix = ITU709 if first.shape[0] + first.shape[0] % 2 >= HD_LINES else ITU601
    # x264's fastest code gives other bytes from run to run where a width is no multiple of 16 (measured): without it
    options = {"crf": "12", "preset": "medium", "x264-params": "cpu-independent=1"}
    return _Form("libx264", lambda frame: _even(to_uint8(frame)), "rgb24", "yuv420p", options, matrix, "MPEG")


def _ffv1_form(first: np.ndarray) -> _Form:
    if _is_coloured(first):
        return _Form("ffv1", to_uint8, "rgb24", "bgr0")
    if first.ndim != 2:
        raise InputError(f"frames of shape {first.shape} to write: give ones of (height, width) or (height, width, 3)")
    if first.dtype == np.uint8:
        return _Form("ffv1", np.asarray, "gray", "gray")
    return _Form("ffv1", _to_uint16, "gray16le", "gray16le")


def _each(frames: Frames) -> Iterator[np.ndarray]:
    """Single frames, on the CPU, of anything the writers take."""
    parts = [frames] if isinstance(frames, Tensor | np.ndarray) else frames
    for part in parts:
        part = part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
        if parts is frames and (part.ndim == 2 or _is_coloured(part)):
            yield part
        else:
            yield from part


def _is_coloured(frame: np.ndarray) -> bool:
    return frame.ndim == 3 and frame.shape[-1] == 3


def _to_uint16(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.uint16:
        return frame
    return np.clip(np.rint(frame * 65535.0), 0, 65535).astype(np.uint16)


def _even(frame: np.ndarray) -> np.ndarray:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _write(
    path: Path,
    frames: Frames,
    form_of: Callable[[np.ndarray], _Form],
    fps: float,
    sound_of: str | Path | None,
    times: np.ndarray | None,
) -> None:
    """See `write_video`; form_of: the first frame → how all are stored."""
    each = _each(frames)
    first = next(each, None)
    if first is None:
        raise InputError(f"0 frames to write to {path.name}: give at least one frame")
    form, clock = form_of(first), _Clock(fps, times, path.name)
    pixels = (form.convert(frame) for frame in _alike(chain([first], each), path.name))
    options = {"fflags": "+bitexact"}  # no random number in Matroska's header: equal frames make equal files
    options |= {"movflags": "+faststart"} if path.suffix.lower() in INDEX_IN_FRONT else {}
    with atomic_file(path) as temporary, ExitStack() as opened:
        try:
            container = opened.enter_context(av.open(str(temporary), "w", options=options))
            stream = container.add_stream(form.codec, rate=clock.rate, options=form.options | clock.options(form))
            _describe(stream, form, clock, *form.convert(first).shape[:2])
            sound = None if sound_of is None else Sound.of(Path(sound_of), container, opened)
            container.start_encoding()
        except InputError:
            raise
        except (av.FFmpegError, ValueError) as error:
            raise InputError(
                f"cannot write a video as '{path.suffix}': use a name that ends in .mp4 or .mkv"
            ) from error
        _mux(container, stream, pixels, form, clock, sound)


def _alike(frames: Iterable[np.ndarray], name: str) -> Iterator[np.ndarray]:
    """Raises InputError for a frame that is not like the first one."""
    first = None
    for index, frame in enumerate(frames):
        first = frame if first is None else first
        if frame.shape != first.shape:
            raise InputError(
                f"frame {index} of {name} is {_shown(frame)}, the first is {_shown(first)}: give frames of one size"
            )
        yield frame


def _shown(frame: np.ndarray) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}{'' if _is_coloured(frame) else ' grey'}"


def _mux(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    pixels: Iterator[np.ndarray],
    form: _Form,
    clock: "_Clock",
    sound: Sound | None,
) -> None:
    """Encode frame by frame; sound goes into the file where its time is, so that both alternate."""
    reformatter = VideoReformatter()

    def mux(packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            packet.duration = clock.duration(packet.pts)
            if sound is not None:
                sound.mux_until(float(packet.dts * packet.time_base))
            container.mux(packet)

    for index, picture in enumerate(pixels):
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


def _describe(stream: av.VideoStream, form: _Form, clock: "_Clock", height: int, width: int) -> None:
    """Say in the file what its pixels and ticks are."""
    stream.height, stream.width, stream.pix_fmt = height, width, form.stored
    stream.time_base = stream.codec_context.time_base = clock.time_base
    if form.matrix is not None:
        context = stream.codec_context
        context.sample_aspect_ratio = Fraction(1)
        context.colorspace = BT709 if form.matrix == ITU709 else SMPTE170M
        context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED


class _Clock:
    """Ticks of the frames: one each where they come at a constant rate, else 1/90000 s, and no two the same.

    Raises InputError for a rate that is none, and for times that do not increase.
    """

    def __init__(self, fps: float, times: np.ndarray | None, name: str):
        if not 0 < fps < float("inf"):
            raise InputError(f"the rate of {name} is {fps}: give frames per second above 0")
        self.rate, self.name = Fraction(fps).limit_denominator(1001) or Fraction(1, round(1 / fps)), name
        self.ticks, self.time_base, self.count = None, 1 / self.rate, None
        if times is None:
            return
        times, self.count = np.asarray(times, np.float64), len(times)
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            raise InputError(f"times for {name} stand still, go back or are no numbers: give increasing seconds")
        if self.count and not is_steady(times, fps):
            ticks, order = np.rint((times - times[0]) * TICKS).astype(np.int64), np.arange(self.count)
            self.ticks, self.time_base = np.maximum.accumulate(ticks - order) + order, Fraction(1, TICKS)

    def options(self, form: _Form) -> dict[str, str]:
        """More options for the encoder: in .mp4, B-frames at a changing rate would make the track too short."""
        return {"bf": "0"} if self.ticks is not None and form.codec == "libx264" else {}

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
