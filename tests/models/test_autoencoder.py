"""The small autoencoder's starting point and the codec's layout, ranges and chunks."""

import torch
from inhabit.models import LatentCodec, PatchAutoencoder
from inhabit.models.config import AutoencoderConfig
from torch.nn import functional

from .conftest import randomise

CONFIG = AutoencoderConfig(encoder_channels=16, decoder_channels=16, blocks=1)


def test_starts_as_box_downsampling_and_bilinear_upsampling():
    vae = PatchAutoencoder(CONFIG)
    pictures = torch.rand(2, 3, 24, 32) * 2 - 1
    with torch.no_grad():
        latents = vae.encode(pictures)
        decoded = vae.decode(latents)
    boxes = pictures.reshape(2, 3, 6, 4, 8, 4).mean(dim=(3, 5))
    torch.testing.assert_close(latents[:, :3], boxes)
    torch.testing.assert_close(decoded, functional.interpolate(boxes, (24, 32), mode="bilinear"))


def test_codec_scales_and_chunks_exactly():
    vae = randomise(PatchAutoencoder(CONFIG))
    frames = torch.rand(5, 16, 24, 3)
    whole, chunked = (LatentCodec(vae, scale=2.5, downscale=4, chunk=n) for n in (5, 2))
    latents = whole.encode(frames)
    assert latents.shape == (5, 4, 4, 6)
    with torch.no_grad():
        direct = vae.encode(frames.permute(0, 3, 1, 2) * 2 - 1) * 2.5
        decoded = (vae.decode(direct / 2.5) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(latents, direct, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(chunked.encode(frames), latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(chunked.decode(latents), decoded, atol=1e-5, rtol=1e-5)
