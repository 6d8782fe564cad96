"""What other nodes give, of any device and type, meets as float32 on the CPU; `nodes/inputs.py` needs no ComfyUI."""

import pytest
import torch
from inhabit.errors import InputError
from inhabit.nodes.inputs import checked_image, checked_latent, checked_mask, mask_of, same_frames

FRAMES, HEIGHT, WIDTH = 3, 16, 24


def test_pictures_and_masks_of_two_devices_meet(device):
    picture = torch.rand(FRAMES, HEIGHT, WIDTH, 4)
    mask = torch.rand(1, HEIGHT, WIDTH) > 0.5
    image = checked_image(picture.to(device, torch.float16), "driving")
    one = mask_of(image, mask.to("cpu"), "driving", "mask")
    other = mask_of(checked_image(picture, "driving"), mask.to(device), "driving", "mask")
    same_frames(image, one, "driving", "mask")
    assert {(tensor.device.type, tensor.dtype) for tensor in (image, one, other)} == {("cpu", torch.float32)}
    torch.testing.assert_close(image, picture[..., :3], atol=1e-3, rtol=0)
    assert torch.equal(one, other) and torch.equal(one[2], mask[0].float())


def test_faults_are_told_on_every_device(device):
    bad = torch.zeros(FRAMES, HEIGHT, WIDTH, 3, device=device)
    bad[1, 2, 3] = torch.nan
    with pytest.raises(InputError, match="skeleton has 3 NaN or infinite values, from frame 1 on"):
        checked_image(bad, "skeleton")
    with pytest.raises(InputError, match="mask has values from 0 to 255; scale them to 0…1"):
        checked_mask(torch.linspace(0, 255, 48, device=device).reshape(3, 4, 4), "mask")
    latent = {"samples": torch.full((FRAMES, 4, 4, 6), torch.inf, device=device)}
    with pytest.raises(InputError, match="latent has 288 NaN or infinite values, from frame 0 on"):
        checked_latent(latent, "latent")
    latent = {"samples": torch.zeros(FRAMES, 4, 4, 6), "noise_mask": torch.ones(2, 4, 6, device=device)}
    with pytest.raises(InputError, match="the noise mask of latent has 2 frames but latent has 3"):
        checked_latent(latent, "latent")
