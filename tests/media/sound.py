"""Videos with a sound track, and what is in it."""

from pathlib import Path

import av
import numpy as np


def video_with_sound(path: Path, codec: str = "aac", seconds: float = 1.0) -> Path:
    """Grey frames and a tone."""
    rate = 44_100
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=8), container.add_stream(codec, rate=rate)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        for _ in range(int(8 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        tone = (np.sin(np.arange(int(rate * seconds)) * 0.06) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            sound.format, sound.layout, rate, frame_size=sound.codec_context.frame_size or None
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux([*pictures.encode(), *sound.encode()])
    return path


def sound_packets(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        return [(round(1000 * packet.dts * stream.time_base), bytes(packet)) for packet in packets]
