"""A tiny model file and the files of a small clip, made by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from inhabit.cli import main
from inhabit.media import Pose, to_keypoints, write_image, write_lossless, write_pose, write_video
from inhabit.models import AnimationModel, ModelConfig, PatchAutoencoder
from inhabit.models.config import (
    AutoencoderConfig,
    LatentConfig,
    MotionModuleConfig,
    PoseGuiderConfig,
    SamplingConfig,
    UNetConfig,
)
from inhabit.weights import save

FRAMES, HEIGHT, WIDTH = 3, 64, 48

TINY = ModelConfig(
    name="tiny",
    unet=UNetConfig(
        block_out_channels=(16, 32),
        attention=(False, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=None,
        norm_groups=8,
        motion_modules=MotionModuleConfig(heads=2, max_frames=8, mid_block=False, norm_groups=8),
    ),
    pose=PoseGuiderConfig(channels=(8, 8, 16), heads=2),
    latent=LatentConfig(downscale=4, scale=1.0),
    sampling=SamplingConfig(steps=1, guidance=1.0, window=8, overlap=2),
    autoencoder=AutoencoderConfig(encoder_channels=16, decoder_channels=16, blocks=1),
)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A model of random weights with its autoencoder, in one file."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    torch.manual_seed(0)
    save(path, AnimationModel(TINY), PatchAutoencoder(TINY.autoencoder))
    return path


@pytest.fixture(scope="session")
def blurring(tmp_path_factory) -> Path:
    """A model of random weights that reads the hands' motion-blur maps, the output of its branch included."""
    path = tmp_path_factory.mktemp("model") / "blurring.safetensors"
    torch.manual_seed(0)
    motion = TINY.pose.model_copy(update={"blur": (4, 4, 8)})
    model = AnimationModel(TINY.model_copy(update={"pose": motion}))
    torch.nn.init.normal_(model.pose.blur.conv_out.weight)
    save(path, model, PatchAutoencoder(TINY.autoencoder))
    return path


@pytest.fixture
def clip(tmp_path) -> SimpleNamespace:
    """`folder` with the files that `inhabit scene` writes, and `out`, an empty folder for results."""
    folder, out = tmp_path / "scene", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    random = np.random.default_rng(5)
    driving = np.broadcast_to(
        random.integers(60, 200, (1, HEIGHT, WIDTH, 3), dtype=np.uint8), (FRAMES, HEIGHT, WIDTH, 3)
    )
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    mask[:, 24:44, 16:32] = 255
    write_image(folder / "reference.png", random.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    write_video(folder / "driving.mp4", driving, 24)
    write_pose(folder / "pose.json", [stick_figure()] * FRAMES)
    write_lossless(folder / "mask.mkv", mask, 24)
    write_lossless(folder / "object.mkv", np.zeros_like(mask), 24)
    write_lossless(folder / "depth.mkv", torch.full((FRAMES, HEIGHT, WIDTH), 0.5), 24)
    return SimpleNamespace(folder=folder, out=out)


@pytest.fixture
def animate(clip, checkpoint, capsys):
    """Run `inhabit animate` on the clip; options replace or (with None) remove the usual ones."""

    def run(**changes) -> tuple[int, str]:
        usual = {
            "reference": clip.folder / "reference.png",
            "driving": clip.folder / "driving.mp4",
            "out": clip.out / "result.mkv",
            "model": checkpoint,
            "device": "cpu",
        }
        options = {name.replace("_", "-"): value for name, value in (usual | changes).items() if value is not None}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value)) if text != "True"]
        code = main(["animate", *arguments])
        return code, capsys.readouterr().err

    return run


def stick_figure(left_hand: np.ndarray | None = None) -> dict:
    body = np.zeros((18, 3), np.float32)
    body[[0, 1, 8, 11]] = [(24, 25, 1), (24, 30, 1), (21, 40, 1), (27, 40, 1)]
    missing = np.zeros((21, 3), np.float32)
    hand = missing if left_hand is None else left_hand
    return to_keypoints([Pose(body, hand, missing, np.zeros((70, 3), np.float32))], WIDTH, HEIGHT)


def figure_with_a_hand(x: float) -> dict:
    """Its left hand is a square of 8 pixels whose left edge is at `x`."""
    square = np.stack(np.meshgrid(np.linspace(0, 8, 5), np.linspace(0, 8, 5)), axis=-1).reshape(-1, 2)[:21]
    return stick_figure(np.column_stack([square + (x, 30), np.ones(21)]).astype(np.float32))
