"""A video file: which stream is the film, when each of its frames is shown, and its frames one by one (PyAV)."""

import bisect
import functools
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import InputError
from .timing import frame_times

logger = logging.getLogger(__name__)

FRAMES_COUNTED = {"avi", "h264", "hevc", "m4v"}  # containers that tell no presentation times: FFmpeg's are a guess
NO_VIDEO = {"tty", "lrc", "srt", "ass", "webvtt", "sdp", "concat", "hls", "ffmetadata"}  # text that FFmpeg would draw
ONE_FRAME_A_PACKET = {"av1", "dnxhd", "ffv1", "h264", "hevc", "huffyuv", "libdav1d", "mjpeg", "png", "prores", "vp9"}
DEFAULT = 0x0001  # AV_DISPOSITION_DEFAULT
HIDDEN = 0x0400 | 0x0800  # AV_DISPOSITION_ATTACHED_PIC, AV_DISPOSITION_TIMED_THUMBNAILS
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave the alpha layer out
MOST_ERRORS = 1000  # in a row, of a file that gives nothing but errors
SQUARE, ODDEST = 0.01, 10.0  # pixels this near to square are; ones this many times wider or higher are a mistake
SEEK_FROM = 8  # frames: below, decoding from the first frame costs no more than seeking
# How exact the length is that a file states, besides a frame and a half.
CUT_SECONDS = {"mov": 0.05, "matroska": 0.05, "avi": 0.05}
USUAL_CUT_SECONDS = 0.3


@dataclass(frozen=True)
class Timeline:
    """What a file's film is, known before its frames are decoded.

    stream: its index in the file. pts: presentation times of the frames in `time_base`, sorted, where packets tell
    them; None: only decoding tells, and frames are counted. times: float64 (F,), seconds from the first shown frame,
    strictly increasing. fps: mean rate. start: seconds on the file's own clock at which the first frame is shown.
    sample_aspect: width / height of a stored pixel. damaged: frames or packets are known to be missing.
    transfer, primaries: its tags, AVCOL_TRC_* and AVCOL_PRI_*.
    alpha: a decoder that gives a VP8 or VP9 alpha layer, or None. lossless: its codec keeps every pixel.
    complaints: what is wrong with the file.
    """

    stream: int
    time_base: Fraction
    pts: list[int] | None
    times: np.ndarray
    fps: float
    start: float
    sample_aspect: float = 1.0
    transfer: int = 2
    primaries: int = 2
    damaged: bool = False
    alpha: str | None = None
    lossless: bool = False
    complaints: tuple[str, ...] = ()


@dataclass
class _Track:
    """The packets of one video stream, as the file gives them."""

    stream: int
    key: tuple
    rate: Fraction | None
    time_base: Fraction
    pts: list[int | None] = field(default_factory=list)  # of packets that are shown
    dts: list[int | None] = field(default_factory=list)  # of the same
    in_order: bool = False  # every packet has a time, the clock goes forward, the first is a key frame, and shown first
    last_dts: int | None = None
    corrupt: int = 0
    first: int | None = None

    @property
    def tells_frames(self) -> bool:
        """Whether the packets' times are those of the frames that will come out of the decoder."""
        return self.in_order and not self.corrupt and len(set(self.pts)) == len(self.pts)

    def add(self, packet: av.Packet) -> None:
        if not self.pts and self.first is None:
            self.first = packet.pts
            self.in_order = packet.is_keyframe and packet.pts is not None
        elif self.in_order:
            back = None not in (packet.dts, self.last_dts) and packet.dts <= self.last_dts
            self.in_order = not back and packet.pts is not None and packet.pts >= self.first
        self.last_dts = packet.dts
        self.corrupt += packet.is_corrupt
        if not packet.is_discard:
            self.pts.append(packet.pts)
            self.dts.append(packet.dts)


def open_container(path: Path) -> av.container.InputContainer:
    """Open a file, never an address, whatever its name or content say. Raises InputError when it is no video file."""
    try:
        container = av.open(
            f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file,crypto,data"}
        )
    except av.FFmpegError as error:
        if _lacks_index(path):
            raise InputError(
                f"{path} is cut short: its index (moov) is missing, as when a recording or a download does not end. "
                "Copy or download it again, or repair it with a tool that rebuilds the index"
            ) from error
        if path.stat().st_size == 0 or isinstance(error, av.EOFError):
            raise InputError(f"{path} holds 0 frames: give a video with at least one frame") from error
        raise InputError(f"{path} is not a readable video ({error.strerror}): give an .mp4 or .mkv") from error
    if NO_VIDEO & set(container.format.name.split(",")):
        container.close()
        raise InputError(f"{path} is text, not a video: give a video file or a folder of PNGs")
    return container


def read_timeline(path: Path) -> Timeline:
    """Learn the film of a file from its packets, and from its frames where packets do not tell.

    A file that has not changed is read once. Raises InputError for a file without a film or without one frame.
    """
    state = path.stat()
    return _read_timeline(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=16)
def _read_timeline(path: Path, _changed: int, _size: int) -> Timeline:
    with open_container(path) as container:
        track, end, broken = _read_packets(container, path)
        kind = container.format.name.split(",")[0]
        stream, context = container.streams[track.stream], container.streams[track.stream].codec_context
        length = _stated_length(container, stream)
        stated = _stated_frames(stream, kind)
        described = {
            "sample_aspect": _sample_aspect(stream),
            "transfer": int(context.color_trc),
            "primaries": int(context.color_primaries),
            "alpha": ALPHA_DECODERS.get(context.name) if _has_alpha_layer(stream) else None,
            "lossless": not context.codec.lossy,
        }
        exact = track.tells_frames and context.name in ONE_FRAME_A_PACKET and kind not in FRAMES_COUNTED and not broken
    damaged = bool(broken or track.corrupt)
    pts = sorted(track.pts) if exact else _decoded_pts(path, track, damaged)
    if kind in FRAMES_COUNTED:
        pts = track.dts[: len(pts)] + [None] * (len(pts) - len(track.dts))
    if not pts:
        raise InputError(f"{path} holds 0 frames that can be read: give a video with at least one frame")
    seconds = [None if p is None else float(p * track.time_base) for p in pts]
    times, fps, mended = frame_times(seconds, track.rate)
    start = float(next((p for p in pts if p is not None), 0) * track.time_base)
    if kind in FRAMES_COUNTED:
        end = start + float(times[-1]) + 1 / fps
    cut = broken or (length is not None and end < length - CUT_SECONDS.get(kind, USUAL_CUT_SECONDS) - 1.5 / fps)
    total = len(pts)
    if cut or damaged:
        span = (length if cut and length else end) - start
        rate = fps if kind in FRAMES_COUNTED else track.rate or fps
        total = max(total, len(track.pts), stated or round(span * rate))
    return Timeline(
        stream=track.stream,
        time_base=track.time_base,
        pts=pts if exact else None,
        times=times,
        fps=fps,
        start=start,
        damaged=damaged,
        complaints=tuple(_complaints(path, cut, len(pts), total, mended, float(times[-1]) + 1 / fps)),
        **described,
    )


def _stated_length(container: av.container.InputContainer, film: av.VideoStream) -> float | None:
    """Seconds on the file's clock at which it ends by its own word; None where it gives none (or FFmpeg guesses)."""
    if container.format.name == "avi":
        return float(film.frames * film.time_base) if film.frames else None
    if not container.duration or "mpegts" in container.format.name:
        return None
    return (container.duration + max(0, container.start_time or 0)) / av.time_base


def _stated_frames(film: av.VideoStream, kind: str) -> int | None:
    """How many frames the film has by the file's own word."""
    if kind == "mov":
        return film.frames
    if film.metadata.get("NUMBER_OF_FRAMES", "").isdecimal():  # as Matroska's tools write it
        return int(film.metadata["NUMBER_OF_FRAMES"])
    clock = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", film.metadata.get("DURATION", ""))
    if clock is None or not film.average_rate:
        return None
    hours, minutes, seconds = (float(part) for part in clock.groups())
    return round((3600 * hours + 60 * minutes + seconds) * film.average_rate)


def _complaints(path: Path, cut: bool, count: int, total: int, mended: int, seconds: float) -> Iterator[str]:
    if cut or count < total:
        fault = "cut short or damaged" if cut else "damaged"
        yield f"{path} is {fault}: {count} of {total} frames can be read, {seconds:.2f} s"
    if mended:
        yield (
            f"{path}: {mended} of {count} frames have no time of their own or one that goes back: they are spread "
            "between their neighbours"
        )


def decode_frames(
    path: Path,
    timeline: Timeline,
    start: int = 0,
    stop: int | None = None,
    alpha: bool = False,
    tell: Callable[[str], None] = logger.warning,
) -> Iterator[av.VideoFrame]:
    """Yield the frames start…stop of a file as they are stored, exactly as many as its timeline tells.

    A frame that cannot be decoded is stood in for by the one before it (before the first: the first that can), and
    `tell` is told how many those are. alpha: decode an alpha layer, too. Raises InputError where nothing decodes.
    """
    stop = len(timeline.times) if stop is None else min(stop, len(timeline.times))
    if start >= stop:
        return
    index, standing_in, corrupt, last = start, 0, 0, None
    for place, frame in _placed(path, timeline, start, alpha):
        if place < index:
            last = frame
            continue
        for _ in range(min(place, stop) - index):
            standing_in += 1
            index += 1
            yield frame if last is None else last
        if index < stop:
            corrupt += frame.is_corrupt
            last, index = frame, index + 1
            yield frame
        if index >= stop:
            break
    if last is None and index == start:
        raise InputError(f"{path} holds 0 frames that can be read: give a video with at least one frame")
    standing_in += stop - index
    if standing_in or corrupt:
        how = "the frame before stands in for each of the others" if standing_in else f"{corrupt} of them in part"
        where = "" if stop - start == len(timeline.times) else f" from frame {start} on"
        tell(f"{path} is damaged: {stop - start - standing_in} of {stop - start} frames{where} can be read, {how}")
    for _ in range(index, stop):
        yield last


def _placed(path: Path, timeline: Timeline, start: int, alpha: bool) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decoded frames, each with its index in the timeline; from some frame at or before `start` on."""
    decoder = timeline.alpha if alpha else None
    if timeline.pts is None:
        yield from enumerate(_decode(path, timeline.stream, not timeline.damaged, decoder))
        return
    begin = None if start < SEEK_FROM else timeline.pts[start]
    last, threads = -1, True
    while True:
        try:
            for frame in _decode(path, timeline.stream, threads, decoder, begin, strict=threads):
                place = bisect.bisect_left(timeline.pts, frame.pts) if frame.pts is not None else last + 1
                if begin is not None and last < 0 and place > start:
                    break  # the file cannot be searched
                if place > last and (frame.pts is None or timeline.pts[place : place + 1] == [frame.pts]):
                    last = place
                    yield place, frame
            else:
                return
            begin = None
        except av.FFmpegError:
            threads = False  # with threads, an error takes good frames along: go on without from the first frame
            begin = None


def _decode(
    path: Path, index: int, threads: bool, decoder: str | None, begin: int | None = None, strict: bool = False
) -> Iterator[av.VideoFrame]:
    """Decoded frames of one stream, in order; from the key frame before the time `begin` on.

    strict: raise what the decoder complains about, instead of going on with what it can decode.
    """
    with open_container(path) as container:
        stream = container.streams[index]
        context = stream.codec_context if decoder is None else av.CodecContext.create(decoder, "r")
        context.thread_type = "AUTO" if threads else "NONE"
        if begin is not None:
            container.seek(begin, stream=stream, backward=True)
        for packet in packets_of(container, [stream]):
            if isinstance(packet, av.FFmpegError) or not packet.size and packet.dts is not None:
                continue  # an empty packet within the film says that the frame before stays (Theora, .avi)
            try:
                frames = context.decode(packet if packet.size else None)
            except av.EOFError:
                continue
            except av.FFmpegError:
                if strict:
                    raise
                continue
            yield from frames


def packets_of(container: av.container.InputContainer, streams: list) -> Iterator[av.Packet | av.FFmpegError]:
    """Packets to the end of the file; places that cannot be read come as the error."""
    errors = 0
    while errors < MOST_ERRORS:
        try:
            for packet in container.demux(streams):
                errors = 0
                yield packet
            return
        except av.EOFError:
            return
        except av.FFmpegError as error:
            errors += 1
            yield error


def _read_packets(container: av.container.InputContainer, path: Path) -> tuple[_Track, float, bool]:
    """The film's packets, the seconds at which the last packet of any stream ends, whether places are unreadable."""
    tracks = {
        stream.index: _Track(stream.index, _rank(stream), _nominal_rate(stream), stream.time_base)
        for stream in container.streams.video
        if not disposition(stream) & HIDDEN and stream.codec_context is not None
    }
    if not tracks:
        raise InputError(f"{path} holds no video stream that can be read: give a video file or a folder of PNGs")
    end, broken = 0.0, False
    for packet in packets_of(container, list(container.streams)):
        if isinstance(packet, av.FFmpegError):
            broken = True
        elif packet.size:
            if packet.stream_index in tracks:
                tracks[packet.stream_index].add(packet)
            moment = packet.dts if packet.pts is None else packet.pts
            if moment is not None:
                end = max(end, float((moment + (packet.duration or 0)) * packet.time_base))
    best = max(tracks.values(), key=lambda track: (len(track.pts) > 1, *track.key))
    return best, end, broken


def _rank(stream: av.VideoStream) -> tuple:
    """The default stream is the film; of several the larger, then the first."""
    return bool(disposition(stream) & DEFAULT), (stream.width or 0) * (stream.height or 0), -stream.index


def disposition(stream: av.stream.Stream) -> int:
    """The bits of FFmpeg's AV_DISPOSITION_*."""
    bits = getattr(stream, "disposition", 0)
    return int(getattr(bits, "value", bits))  # a Flag in older versions of PyAV


def _nominal_rate(stream: av.VideoStream) -> Fraction | None:
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in rates if rate and 0.01 <= rate <= 1000), None)


def _sample_aspect(stream: av.VideoStream) -> float:
    """Width / height of a stored pixel; 1 where the file does not say, or says nonsense."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return 1.0 if abs(aspect - 1) <= SQUARE or not 1 / ODDEST <= aspect <= ODDEST else aspect


def _has_alpha_layer(stream: av.VideoStream) -> bool:
    """Whether a WebM's packets carry a second picture of alpha."""
    return "1" in (stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE"))


def _decoded_pts(path: Path, track: _Track, damaged: bool) -> list[int | None]:
    """Times of all frames that can be decoded, in order."""
    frames = _decode(path, track.stream, not damaged, None)
    return [frame.pts if frame.pts is not None else frame.dts for frame in frames]


def _lacks_index(path: Path) -> bool:
    """Whether a file begins as an .mp4 or .mov does and has no `moov` box."""
    with path.open("rb") as file:
        size, place, kinds = path.stat().st_size, 0, set()
        while place + 8 <= size and len(kinds) < 1000:
            file.seek(place)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            kinds.add(kind)
            if length < 8:
                break
            place += length
    return b"ftyp" in kinds and b"moov" not in kinds
