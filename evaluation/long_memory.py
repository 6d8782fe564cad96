"""Peak memory of `inhabit animate` over videos of several lengths: it must not grow by the pictures of a long one.

Each video is 1080p at 30 frames a second, animated at a small size in one step with a tiny model of random weights, in
a process of its own. The model is small because memory that grows with the video is asked for, not the model's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import torch

from ..errors import InputError
from ..media import write_image, write_lossless, write_pose, write_video
from ..models import AnimationModel, ModelConfig, PatchAutoencoder
from ..models.config import (
    AutoencoderConfig,
    LatentConfig,
    MotionModuleConfig,
    PoseGuiderConfig,
    SamplingConfig,
    UNetConfig,
)
from ..pipeline.request import InputFiles, RunSettings, animate_files
from ..weights import save
from .memory import elsewhere, status_mib

FPS, FULL, SMALL = 30, (1920, 1080), (128, 72)  # width, height
TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_out_channels=(8, 8),
        attention=(False, True),
        layers_per_block=1,
        heads=1,
        cross_attention_dim=None,
        norm_groups=4,
        motion_modules=MotionModuleConfig(heads=1, max_frames=32, mid_block=False, norm_groups=4),
    ),
    pose=PoseGuiderConfig(channels=(4, 4, 8), heads=1),
    latent=LatentConfig(downscale=4, scale=1.0),
    sampling=SamplingConfig(steps=1, guidance=1.0, window=16, overlap=4),
    autoencoder=AutoencoderConfig(encoder_channels=16, decoder_channels=16, blocks=1),
)


def memory_by_length(seconds: Sequence[int]) -> dict[str, float]:
    """Return seconds of video → MiB at the highest, what the process takes before it reads anything included.

    Raises InputError where the system does not tell a process' peak (it does on Linux).
    """
    if status_mib("VmHWM") is None:
        raise InputError("the peak memory of a process is told by Linux alone: run this there")
    return {str(length): _measured(length) for length in seconds}


def table(peaks: dict[str, float]) -> str:
    """The numbers as the lines that the command prints."""
    return "\n".join(f"{length:>6} s of 1080p at {SMALL[0]}x{SMALL[1]}: {mib:.0f} MiB" for length, mib in peaks.items())


def _measured(seconds: int) -> float:
    """Make the files in one process, animate them in another, and return the peak of that one."""
    with tempfile.TemporaryDirectory(prefix="inhabit-bench-") as name:
        elsewhere(_write_files, Path(name), seconds * FPS)
        return elsewhere(_peak, Path(name))


def _write_files(folder: Path, frames: int) -> None:
    _write_model(folder)
    _write_inputs(folder, frames)


def _peak(folder: Path) -> float:
    files = InputFiles(folder / "reference.png", folder / "driving.mp4", size=SMALL)
    settings = RunSettings(model=str(folder / "tiny.safetensors"), device="cpu", steps=1)
    animate_files(files, folder / "result.mp4", settings, progress=False)
    return status_mib("VmHWM")


def _write_model(folder: Path) -> None:
    torch.manual_seed(0)
    save(folder / "tiny.safetensors", AnimationModel(TINY), PatchAutoencoder(TINY.autoencoder))


def _write_inputs(folder: Path, frames: int) -> None:
    """A driving video whose first second is repeated, its mask, poses and a reference."""
    second = folder / "second.mp4"
    write_video(second, _pictures(), FPS)
    _repeat(second, folder / "driving.mp4", frames)
    mask = np.zeros((FULL[1] // 10, FULL[0] // 10), np.uint8)
    mask[20:100, 60:130] = 255
    write_lossless(folder / "mask.mkv", (mask for _ in range(frames)), FPS)
    write_pose(folder / "pose.json", [_figure()] * frames)
    write_image(folder / "reference.png", np.full((96, 64, 3), 120, np.uint8))


def _pictures() -> Iterator[np.ndarray]:
    y, x = np.mgrid[: FULL[1], : FULL[0]]
    for frame in range(FPS):
        yield np.stack([(x + 8 * frame) % 256, (y + x) % 256, (y - 8 * frame) % 256], axis=-1).astype(np.uint8)


def _figure() -> dict:
    """Somebody who stands in the middle of the picture."""
    x = [0.5, 0.5, 0.46, 0.44, 0.43, 0.54, 0.56, 0.57, 0.48, 0.47, 0.47, 0.52, 0.53, 0.53, 0.49, 0.51, 0.48, 0.52]
    y = [0.25, 0.35, 0.35, 0.45, 0.55, 0.35, 0.45, 0.55, 0.57, 0.72, 0.88, 0.57, 0.72, 0.88, 0.23, 0.23, 0.24, 0.24]
    points = np.column_stack([np.multiply(x, FULL[0]), np.multiply(y, FULL[1]), np.ones(18)])
    return {"people": [{"pose_keypoints_2d": points.ravel().tolist()}]}


def _repeat(source: Path, out: Path, frames: int) -> None:
    """Write the packets of a video again and again, later each time, until there are so many frames."""
    with av.open(str(out), "w") as container:
        stream, written, length = None, 0, 0
        while written < frames:
            with av.open(str(source)) as again:
                theirs = again.streams.video[0]
                stream = stream or container.add_stream_from_template(theirs)
                for packet in again.demux(theirs):
                    if packet.dts is not None and written < frames:
                        packet.pts, packet.dts, packet.stream = packet.pts + length, packet.dts + length, stream
                        container.mux(packet)
                        written += 1
                length += round(1 / theirs.time_base)
