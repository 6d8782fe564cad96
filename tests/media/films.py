"""Films made with PyAV alone: frames whose brightness is their number, at any times, with a beep in the sound."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIDE = 32
RATE = 48_000
STEP = 5  # of brightness from frame to frame


def grey_frame(index: int, side: int = SIDE) -> np.ndarray:
    return np.full((side, side, 3), 20 + STEP * index, np.uint8)


def numbers(frames: np.ndarray) -> list[int]:
    """Which frame each one shows."""
    return [round((float(frame.mean()) - 20) / STEP) for frame in frames]


def beep(at: float, seconds: float) -> np.ndarray:
    """Silence with a tone of 0.1 s from `at` on, (1, n) float32."""
    time = np.arange(int(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 1000 * time) * ((time >= at) & (time < at + 0.1))).astype(np.float32)[None]


def film(
    path: Path,
    times: list[float],
    beep_at: float | None = None,
    sound_codec: str = "aac",
    sound_from: float = 0.0,
    encoding: dict | None = None,
    tracks: int = 1,
) -> Path:
    """Frames at `times`; sound of a second more, whose clock and so whose beep is the frames' own."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=24, options={"g": "12", "crf": "5"} | (encoding or {}))
        pictures.width = pictures.height = SIDE
        pictures.pix_fmt = "yuv420p"
        pictures.time_base = pictures.codec_context.time_base = Fraction(1, 90_000)
        sounds = [
            container.add_stream(sound_codec, rate=RATE, options={"strict": "experimental"})
            for _ in range(tracks if beep_at is not None else 0)
        ]
        for sound in sounds:
            sound.codec_context.layout = "stereo" if sound_codec == "vorbis" else "mono"
        packets = []
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(grey_frame(index), format="rgb24")
            frame.pts, frame.time_base = round(time * 90_000), Fraction(1, 90_000)
            packets += pictures.encode(frame)
        packets += pictures.encode()
        for number, sound in enumerate(sounds):
            samples = beep(beep_at + number * 0.3 - sound_from, times[-1] + 1 - sound_from)
            packets += encode_sound(sound, samples, round(sound_from * RATE))
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def encode_sound(stream: av.AudioStream, samples: np.ndarray, first: int = 0) -> list[av.Packet]:
    packets = []
    frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
    resampler = av.AudioResampler(
        stream.format, stream.layout, RATE, frame_size=stream.codec_context.frame_size or 1024
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        packets += stream.encode(part)
    return packets + stream.encode()


def picture_times(path: Path) -> list[float]:
    """When the file shows its frames, on its own clock."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [float(frame.pts * stream.time_base) for frame in container.decode(stream)]


def onset(path: Path, track: int = 0) -> float | None:
    """Seconds on the file's own clock at which the sound begins to be heard."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        for frame in container.decode(stream):
            samples = np.atleast_2d(frame.to_ndarray().astype(np.float64))
            if frame.format.name.startswith("s"):
                samples /= 32768
            samples = samples if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels)).T
            loud = np.flatnonzero(np.abs(samples[0]) > 0.2)
            if loud.size:
                return float(frame.pts * stream.time_base) + loud[0] / frame.sample_rate
    return None
