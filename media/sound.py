"""The sound of another video in step with new pictures: copied packet by packet, or encoded anew as AAC."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

from ..errors import InputError
from .decoding import DEFAULT, disposition, open_container, packets_of, read_timeline
from .video import is_picture

logger = logging.getLogger(__name__)

MP4_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus", "libopus"}  # what players take in .mp4
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
AAC_LAYOUTS = {"mono": 1, "stereo": 2, "5.1": 6}
BIT_RATE = 96_000  # bits a second and channel
FRAME = 1024  # samples of an AAC packet
GAP_SECONDS = 0.05  # a hole in the source's sound from which it is filled with silence
ASIDE = 0x0008 | 0x0080 | 0x0100  # AV_DISPOSITION_COMMENT, …_HEARING_IMPAIRED, …_VISUAL_IMPAIRED


class Sound:
    """Packets of one source's sound, for a new stream of one container, in order of time."""

    def __init__(self, container: av.container.OutputContainer, packets: Iterator[av.Packet]):
        self.container, self.packets = container, packets
        self.waiting = next(packets, None)

    @classmethod
    def of(cls, path: Path, container: av.container.OutputContainer, opened: ExitStack) -> "Sound | None":
        """The default sound track of `path`, no commentary where there is another; None without a usable track.

        A track that cannot be read is warned of.
        Time 0 is the first shown frame of `path`: sound from before it is cut, sound that begins later stays later.
        """
        if is_picture(path):
            return None
        source = opened.enter_context(open_container(path))
        theirs = choose_track(source)
        if theirs is None:
            return None
        codec = theirs.codec_context and theirs.codec_context.name
        if codec is None:
            logger.warning("the sound of %s is of a kind that cannot be read here: it is left out", path)
            return None
        origin = _first_picture(path, theirs)
        held_well = MP4_SOUND if container.format.name == "mp4" else container.supported_codecs
        if codec in held_well:
            return cls(container, _copy(source, theirs, container.add_stream_from_template(theirs), origin))
        logger.info("the sound of %s is %s: it is encoded as AAC", path, codec)
        return cls(container, _encode(source, theirs, container, origin))

    def mux_until(self, seconds: float) -> None:
        """Write the packets that begin at or before this time."""
        while self.waiting is not None:
            packet = self.waiting
            if float(packet.dts * packet.time_base) > seconds:
                return
            self.container.mux(packet)
            self.waiting = next(self.packets, None)


def choose_track(source: av.container.InputContainer) -> av.AudioStream | None:
    """The sound track that players take: the default one, else the first; commentaries only where all are."""
    tracks = list(source.streams.audio)
    plain = [track for track in tracks if not _is_aside(track)] or tracks
    return min(plain, key=lambda track: not disposition(track) & DEFAULT, default=None)


def _is_aside(track: av.AudioStream) -> bool:
    return bool(disposition(track) & ASIDE) or "commentary" in track.metadata.get("title", "").lower()


def _first_picture(path: Path, track: av.AudioStream) -> float:
    """Seconds on the file's clock at which its first picture is shown; of a file without: at which its sound begins."""
    try:
        return read_timeline(path).start
    except InputError:
        return max(0.0, float((track.start_time or 0) * track.time_base))


def _copy(source, theirs: av.AudioStream, ours: av.AudioStream, origin: float) -> Iterator[av.Packet]:
    """Packets as they are; one that ends as the pictures begin goes along, since decoders start with it (priming)."""
    shift, last, lost = round(origin / theirs.time_base), None, 0
    for packet in packets_of(source, [theirs]):
        if isinstance(packet, av.FFmpegError):
            lost += 1
            continue
        if packet.dts is None or packet.is_discard:  # the last, empty one ends the stream
            continue
        if packet.pts is None:
            packet.pts = packet.dts
        if packet.pts + (packet.duration or 0) < shift:
            continue
        if last is not None and packet.dts <= last:  # a clock that goes back, which no file may hold
            lost += 1
            continue
        last = packet.dts
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = ours
        yield packet
    _tell_lost(source, lost)


def _encode(source, theirs: av.AudioStream, container, origin: float) -> Iterator[av.Packet]:
    """AAC packets of the decoded sound, from time 0 on."""
    rate = theirs.codec_context.sample_rate
    rate = rate if rate in AAC_RATES else 48_000
    layout = theirs.codec_context.layout.name
    if layout not in AAC_LAYOUTS:
        layout = "mono" if theirs.codec_context.channels == 1 else "stereo"
    ours = container.add_stream("aac", rate=rate)
    ours.codec_context.layout, ours.codec_context.format = layout, "fltp"
    ours.codec_context.bit_rate = BIT_RATE * ours.codec_context.channels
    return _packets(ours, _samples(source, theirs, layout, rate, origin), layout, rate)


def _packets(ours: av.AudioStream, samples: Iterator[np.ndarray], layout: str, rate: int) -> Iterator[av.Packet]:
    """Samples (channels, n) of any lengths, one after the other → packets."""
    place, held = 0, None
    for part in samples:
        held = part if held is None else np.concatenate([held, part], axis=1)
        whole = held.shape[1] - held.shape[1] % FRAME
        for begin in range(0, whole, FRAME):
            yield from ours.encode(_sound_frame(held[:, begin : begin + FRAME], place, layout, rate))
            place += FRAME
        held = held[:, whole:]
    if held is not None and held.shape[1]:
        yield from ours.encode(_sound_frame(held, place, layout, rate))
    yield from ours.encode()


def _sound_frame(samples: np.ndarray, place: int, layout: str, rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), "fltp", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
    return frame


def _samples(source, theirs: av.AudioStream, layout: str, rate: int, origin: float) -> Iterator[np.ndarray]:
    """Decoded sound from time 0 on, float32 (channels, n), without holes: silence stands where the source has none."""
    resampler = av.AudioResampler("fltp", layout, rate)
    channels = AAC_LAYOUTS[layout]
    place = None  # the sample, counted from time 0, that comes next
    for frame in chain(_decoded(source, theirs), [None]):
        begins = None
        if frame is not None and frame.pts is not None:
            begins = round((float(frame.pts * theirs.time_base) - origin) * rate)
        if place is None:
            place, hole = min(begins or 0, 0), max(begins or 0, 0)
        else:
            hole = begins - place if begins is not None and begins - place > GAP_SECONDS * rate else 0
        for begin in range(0, hole, rate):
            yield np.zeros((channels, min(rate, hole - begin)), np.float32)
        place += hole
        for part in resampler.resample(frame):
            samples = part.to_ndarray()
            before = min(max(0, -place), samples.shape[1])
            place += samples.shape[1]
            yield samples[:, before:]


def _decoded(source, theirs: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Frames of the sound; packets that cannot be decoded are left out, and counted in the log."""
    lost = 0
    for packet in packets_of(source, [theirs]):
        if isinstance(packet, av.FFmpegError):
            lost += 1
            continue
        try:
            yield from packet.decode()
        except av.EOFError:
            continue
        except av.FFmpegError:
            lost += 1
    _tell_lost(source, lost)


def _tell_lost(source: av.container.InputContainer, lost: int) -> None:
    if lost:
        path = source.name.removeprefix("file:")
        logger.warning("the sound of %s is damaged: %d parts of it cannot be read and are left out", path, lost)
