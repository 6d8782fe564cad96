"""Environment, object frames and the latent mask, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from inhabit.errors import InputError
from inhabit.models.config import ModelConfig
from inhabit.pipeline.conditions import environment_frames, latent_mask, motion_inputs, object_frames

from .conftest import TINY, drive


def test_environment_and_objects_share_the_pixels_between_them():
    driving, mask = torch.rand(2, 3, 8, 8, 3), torch.rand(2, 3, 8, 8)
    environment, objects = environment_frames(driving, mask), object_frames(driving, mask)
    for where in torch.cartesian_prod(*map(torch.arange, mask.shape))[::7].tolist():
        where = tuple(where)
        inside = mask[where] > 0.1
        assert torch.equal(environment[where], torch.full((3,), 0.5) if inside else driving[where])
        assert torch.equal(objects[where], driving[where] if inside else torch.full((3,), 0.5))


def test_fills_take_the_colours_around_the_hole():
    driving = torch.rand(2, 24, 32, 3)
    driving[:, :, 16:] = torch.tensor([0.9, 0.1, 0.2])
    mask = torch.zeros(2, 24, 32)
    mask[0, 6:18, 20:31] = 1
    mask[1] = 1
    mean, blurred = (environment_frames(driving, mask, fill) for fill in ("mean", "blurred"))
    outside = mask[0] < 0.5
    torch.testing.assert_close(mean[0, 10, 25], driving[0][outside].mean(dim=0))
    torch.testing.assert_close(blurred[0, 10, 25], torch.tensor([0.9, 0.1, 0.2]))  # all around is red
    for filled in (mean, blurred):
        assert torch.equal(filled[0][outside], driving[0][outside])
        assert torch.equal(filled[1], torch.full_like(filled[1], 0.5)), "nothing to take a colour from"
    with pytest.raises(InputError, match='fill is "pink": give one of blank, mean, blurred'):
        environment_frames(driving, mask, "pink")


def test_a_plate_fills_the_hole_where_it_is_known():
    driving, plate = torch.rand(2, 3, 8, 8, 3)
    mask, known = torch.zeros(2, 3, 8, 8)
    mask[..., 2:6, 2:6], known[..., :4] = 1, 1
    filled = environment_frames(driving, mask, plate=plate, known=known)
    assert torch.equal(filled[..., 2:6, 2:4, :], plate[..., 2:6, 2:4, :])
    assert filled[..., 2:6, 4:6, :].eq(0.5).all()
    assert torch.equal(filled[mask == 0], driving[mask == 0])
    assert torch.equal(environment_frames(driving, mask, plate=plate)[mask == 1], plate[mask == 1])
    with pytest.raises(InputError, match="plate has shape"):
        environment_frames(driving, mask, plate=plate[:2])
    with pytest.raises(InputError, match="known has shape"):
        environment_frames(driving, mask, plate=plate, known=known[:2])


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_a_latent_cell_is_generated_when_one_pixel_is(lead):
    mask = torch.zeros(*lead, 16, 24)
    mask[..., 9, 23] = 1.0
    mask[..., 0, 0] = 0.09  # a lossy video's leftover is not a mask
    result = latent_mask(mask, 8)
    expected = torch.zeros(*lead, 1, 2, 3)
    expected[..., 0, 1, 2] = 1
    assert torch.equal(result, expected)


def test_a_size_that_the_latents_do_not_divide_is_refused():
    with pytest.raises(InputError, match="12 x 16 pixels.* 8 divides"):
        latent_mask(torch.zeros(1, 16, 12), 8)


def test_motion_inputs_are_the_windows_frames_for_which_the_model_has_networks():
    conditions = drive(6)
    given = motion_inputs(conditions, [2, 3], with_motion(depth=True, blur=(8, 8, 8)))
    skeleton, depth, blur = given["skeleton"], given["depth"], given["blur"]
    assert skeleton.shape == blur.shape == (1, 2, 3, 16, 16) and depth.shape == (1, 2, 1, 16, 16)
    assert torch.equal(skeleton[0, 1, 2], conditions.skeleton[3, :, :, 2])
    assert torch.equal(depth[0, 0, 0], conditions.depth[2])
    assert torch.equal(blur[0, 1, 0], conditions.blur[3, :, :, 0])
    assert set(motion_inputs(conditions, [0], with_motion(depth=False, blur=None))) == {"skeleton"}
    assert set(motion_inputs(replace(conditions, depth=None, blur=None), [0], TINY)) == {"skeleton"}


def with_motion(**changed: bool) -> ModelConfig:
    return TINY.model_copy(update={"pose": TINY.pose.model_copy(update=changed)})


@pytest.mark.parametrize("name", ["mask", "skeleton", "depth", "object_mask", "blur"])
def test_another_length_is_refused_with_both_shapes(name):
    conditions = drive(4, objects=True)
    with pytest.raises(InputError, match=rf"{name} has shape \(3, .*needs \(4, "):
        replace(conditions, **{name: getattr(conditions, name)[:3]})


def test_no_number_is_refused_with_its_frame():
    conditions = drive(4)
    depth = conditions.depth.clone()
    depth[2, 0, 0] = float("nan")
    with pytest.raises(InputError, match="depth has NaN or infinite values in frame 2"):
        replace(conditions, depth=depth)


@pytest.mark.parametrize("shape", [(0, 16, 16, 3), (4, 16, 16), (4, 16, 16, 4)])
def test_a_driving_video_of_another_layout_is_refused(shape):
    with pytest.raises(InputError, match="the driving video has shape"):
        replace(drive(4), driving=torch.zeros(shape))


def test_an_empty_object_mask_means_no_objects():
    conditions = drive(3)
    assert not conditions.has_objects
    assert not replace(conditions, object_mask=torch.zeros(3, 16, 16)).has_objects
    assert drive(3, objects=True).has_objects
