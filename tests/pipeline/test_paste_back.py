"""Paste back: exact outside, untouched inside, grown to what was drawn, steady in time."""

from __future__ import annotations

import pytest
import torch
from inhabit.errors import InputError
from inhabit.pipeline.paste_back import STEADY_FRAMES, paste_back

SIZE, FRAMES = 64, 13


def scene(noise: float = 0.02, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A smooth driving video, a result that differs inside the mask and by VAE-like noise outside, and the mask."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.2, 0.7, SIZE)
    driving = (ramp[:, None] * 0.5 + ramp[None, :] * 0.5)[None, :, :, None].repeat(FRAMES, 1, 1, 3)
    mask = torch.zeros(FRAMES, SIZE, SIZE)
    mask[:, 20:44, 24:40] = 1
    result = driving + noise * torch.randn(driving.shape, generator=generator)
    result[:, 20:44, 24:40] = 1.0
    return result.clamp(0, 1), driving, mask


def changed(output: torch.Tensor, driving: torch.Tensor) -> torch.Tensor:
    return (output != driving).any(dim=-1)


def box(mask: torch.Tensor, margin: int) -> torch.Tensor:
    wide = torch.zeros_like(mask, dtype=torch.bool)
    wide[:, 20 - margin : 44 + margin, 24 - margin : 40 + margin] = True
    return wide


@pytest.mark.parametrize("feather", [0, 1, 4, 7])
def test_outside_is_the_driving_video_bit_by_bit_and_inside_the_result(feather):
    result, driving, mask = scene()
    output = paste_back(result, driving, mask, feather=feather)
    assert torch.equal(output[mask == 1], result[mask == 1])
    assert not changed(output, driving)[~box(mask, feather)].any()
    assert torch.equal(output[~box(mask, feather)], driving[~box(mask, feather)])


def test_the_feather_falls_from_one_to_zero():
    _, driving, mask = scene()
    output = paste_back(torch.ones_like(driving), torch.zeros_like(driving), mask, feather=6, grow=0)
    across = output[0, 32, :, 0]
    assert across[24:40].eq(1).all() and across[:18].eq(0).all() and across[46:].eq(0).all()
    falling = across[39:47]
    assert (falling.diff() <= 0).all() and falling.diff().abs().max() <= 0.25
    torch.testing.assert_close(across.flip(0), across)


def test_the_region_grows_to_a_hand_that_left_the_mask():
    result, driving, mask = scene()
    result[:, 26:32, 40:47] = torch.tensor([1.0, 0.0, 0.0])  # joined to the mask, 7 px out of it
    output = paste_back(result, driving, mask, feather=2)
    assert torch.equal(output[:, 27:31, 40:46], result[:, 27:31, 40:46])
    assert not changed(output, driving)[:, :, 52:].any()
    alone = paste_back(result, driving, mask, feather=2, grow=0)
    assert torch.equal(alone[:, :, 43:], driving[:, :, 43:])


def test_a_difference_that_does_not_touch_the_mask_is_not_the_characters():
    result, driving, mask = scene()
    result[:, 4:12, 4:12] = 0.0
    output = paste_back(result, driving, mask)
    assert torch.equal(output[:, :14, :14], driving[:, :14, :14])


def test_growth_ends_at_its_limit():
    result, driving, mask = scene()
    result[:, 28:34, 40:] = 1.0  # to the picture's edge
    output = paste_back(result, driving, mask, feather=0, grow=6)
    assert torch.equal(output[:, :, 47:], driving[:, :, 47:])
    assert torch.equal(output[:, 29:33, 40:45], result[:, 29:33, 40:45])


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
def test_the_noise_of_the_autoencoder_does_not_grow_the_region(noise):
    result, driving, mask = scene(noise)
    touched = changed(paste_back(result, driving, mask, feather=0), driving)
    assert (touched & (mask == 0)).float().mean() < 0.005


def test_what_is_drawn_in_one_frame_fades_in_time():
    """A limb outside the mask in one frame only: full weight there, then a straight line down to none, no jump."""
    result, driving, mask = scene(noise=0)
    result[mask == 0] += 0.02  # below the threshold, but it shows how much of the result is used
    middle = FRAMES // 2
    result[middle, 26:34, 40:47] = 1.0
    output = paste_back(result, driving, mask, feather=0)
    probe = (29, 42, 0)
    assert torch.equal(output[middle][probe], result[middle][probe])
    for index in range(FRAMES):
        expected = max(0.0, 1 - abs(index - middle) / (2 * STEADY_FRAMES + 1))
        weight = (output[index] - driving[index])[probe] / (result[index] - driving[index])[probe]
        assert float(weight) == pytest.approx(expected, abs=1e-4)


def test_inputs_stay_as_they_were():
    result, driving, mask = scene()
    before = [x.clone() for x in (result, driving, mask)]
    paste_back(result, driving, mask)
    assert all(torch.equal(x, y) for x, y in zip((result, driving, mask), before, strict=True))


def test_a_full_mask_is_the_result_and_an_empty_one_the_driving_video():
    result, driving, mask = scene()
    assert torch.equal(paste_back(result, driving, torch.ones_like(mask)), result)
    assert torch.equal(paste_back(result, driving, torch.zeros_like(mask)), driving)


def test_shapes_that_disagree_are_refused():
    result, driving, mask = scene()
    with pytest.raises(InputError, match=r"result has shape \(12, "):
        paste_back(result[:-1], driving, mask)
    with pytest.raises(InputError, match=r"mask has shape \(12, "):
        paste_back(result, driving, mask[:-1])
    with pytest.raises(InputError, match="feather is -1"):
        paste_back(result, driving, mask, feather=-1)


def seen_place(seed: int = 0) -> dict[str, torch.Tensor]:
    """A plate that differs from everything else, known but for its right side, and a matte inside the mask."""
    known = torch.ones(FRAMES, SIZE, SIZE)
    known[:, :, 36:] = 0
    matte = torch.zeros(FRAMES, SIZE, SIZE)
    matte[:, 26:38, 26:32] = 1
    plate = torch.rand((FRAMES, SIZE, SIZE, 3), generator=torch.Generator().manual_seed(seed))
    return {"plate": plate, "known": known, "matte": matte}


def test_around_the_matte_is_exactly_the_plate_and_inside_it_the_result():
    result, driving, mask = scene()
    place = seen_place()
    output = paste_back(result, driving, mask, feather=2, **place)
    kept, known = place["matte"] == 1, place["known"] == 1
    known[:, :, 33:] = False  # within the feather of what is not known the result fades out
    assert torch.equal(output[kept], result[kept])
    assert torch.equal(output[known & ~kept], place["plate"][known & ~kept])
    unknown = (place["known"] == 0) & (mask == 1)
    assert torch.equal(output[unknown], result[unknown])
    far = (place["known"] == 0) & ~box(mask, 2)
    assert torch.equal(output[far], driving[far])


def test_a_plate_that_is_known_nowhere_changes_nothing():
    result, driving, mask = scene()
    place = seen_place() | {"known": torch.zeros(FRAMES, SIZE, SIZE)}
    assert torch.equal(paste_back(result, driving, mask, **place), paste_back(result, driving, mask))


def test_frames_without_a_region_stay_the_driving_videos():
    result, driving, mask = scene()
    output = paste_back(result, driving, torch.zeros_like(mask), **seen_place())
    assert torch.equal(output, driving)


def test_a_plate_of_another_shape_or_without_a_matte_is_told():
    result, driving, mask = scene()
    place = seen_place()
    with pytest.raises(InputError, match="only plate and known is given"):
        paste_back(result, driving, mask, plate=place["plate"], known=place["known"])
    with pytest.raises(InputError, match="only matte is given"):
        paste_back(result, driving, mask, matte=place["matte"])
    for name, value in place.items():
        with pytest.raises(InputError, match=rf"{name} has shape \(12, "):
            paste_back(result, driving, mask, **place | {name: value[:-1]})
