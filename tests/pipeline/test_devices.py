"""The animate loop on every device at hand."""

import pytest
import torch
from inhabit.models.autoencoder import LatentCodec, PatchAutoencoder

from .conftest import TINY, animated, drive

HALVES = [torch.bfloat16, torch.float16]


def run(model, reference_image, conditions, device: str, dtype: torch.dtype, **given) -> torch.Tensor:
    torch.manual_seed(1)
    vae = PatchAutoencoder(TINY.autoencoder).eval().to(device)
    settings = {"steps": 3, "guidance": 2.0, "seed": 5, "window": 8, "overlap": 2, "progress": False} | given
    return animated(
        model.to(device, dtype), LatentCodec(vae, scale=1.0, downscale=4), reference_image, conditions, **settings
    )


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_every_device_gives_the_same_frames(tiny_model, reference_image, device, long_video):
    conditions = drive(20, objects=True)
    expected = run(tiny_model, reference_image, conditions, "cpu", torch.float32, long_video=long_video)
    got = run(tiny_model, reference_image, conditions, device, torch.float32, long_video=long_video)
    torch.testing.assert_close(got, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_gives_nearly_the_same_frames(tiny_model, reference_image, device, dtype):
    conditions = drive(8, objects=True)
    expected = run(tiny_model, reference_image, conditions, "cpu", torch.float32)
    error = run(tiny_model, reference_image, conditions, device, dtype) - expected
    assert 0 < error.abs().max() and error.square().mean().sqrt() < 0.02


@pytest.mark.cuda
def test_a_long_video_takes_no_more_of_the_gpu(tiny_model, reference_image):
    """200 frames in windows against 24: on the device lies one window, never the video."""
    peaks = {}
    for frames in (24, 200):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        run(tiny_model, reference_image, drive(frames, 64), "cuda", torch.bfloat16, steps=2, window=24, overlap=4)
        peaks[frames] = torch.cuda.max_memory_allocated()
    assert peaks[200] <= 1.05 * peaks[24]
