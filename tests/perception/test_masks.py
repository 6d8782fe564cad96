"""Shape-agnostic masks against a pixel-by-pixel reading of AA2 equation 2, and growing and softening."""

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.perception import dilate, feather, inside, mask_preview, shape_agnostic_mask
from inhabit.pipeline import DrivingConditions
from inhabit.pipeline.conditions import environment_frames, latent_mask, object_frames, selected
from inhabit.pipeline.paste_back import paste_back

HEIGHT, WIDTH = 50, 64


def blob(seed: int) -> np.ndarray:
    """A ragged random shape, 0 or 1."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    shape = np.zeros((HEIGHT, WIDTH))
    for _ in range(4):
        y, x, radius = random.uniform(12, HEIGHT - 12), random.uniform(12, WIDTH - 12), random.uniform(2, 9)
        shape[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = 1
    return shape


def block_maxima(mask: np.ndarray, blocks_high: int, blocks_wide: int) -> np.ndarray:
    """Equation 2 by loops over single pixels; only for boxes that the blocks divide evenly."""
    ys, xs = np.nonzero(mask)
    top, left, height, width = ys.min(), xs.min(), np.ptp(ys) + 1, np.ptp(xs) + 1
    out = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            block = (y * blocks_high // height, x * blocks_wide // width)
            for j in range(height):
                for i in range(width):
                    if (j * blocks_high // height, i * blocks_wide // width) == block and mask[top + j, left + i]:
                        out[top + y, left + x] = 1
    return out


@pytest.mark.parametrize(("blocks_high", "blocks_wide"), [(1, 1), (2, 3), (4, 6)])
def test_equals_equation_2(blocks_high, blocks_wide):
    mask = np.zeros((HEIGHT, WIDTH))
    mask[6:18, 8:26] = np.random.default_rng(0).random((12, 18)) < 0.08
    mask[6, 8] = mask[17, 25] = 1  # a box of 12 × 18 pixels
    made = shape_agnostic_mask(torch.from_numpy(mask)[None], blocks_high, blocks_wide)[0].numpy()
    assert np.array_equal(made, block_maxima(mask, blocks_high, blocks_wide))


@pytest.mark.parametrize("settings", [{}, {"stable": True}, {"snap": 8}, {"blocks_high": 200, "blocks_wide": 7}])
def test_always_covers_the_character_inside_its_box(settings):
    masks = torch.from_numpy(np.stack([blob(seed) for seed in range(6)]))
    made = shape_agnostic_mask(masks, **settings)
    assert (made >= masks).all()
    assert set(made.unique().tolist()) <= {0.0, 1.0}
    if not settings:
        for one, other in zip(masks, made, strict=True):
            for axis in (0, 1):
                assert np.array_equal(one.any(axis).nonzero()[[0, -1]], other.any(axis).nonzero()[[0, -1]])


def test_as_many_blocks_as_pixels_give_the_mask_itself():
    mask = blob(1)
    ys, xs = np.nonzero(mask)
    made = shape_agnostic_mask(torch.from_numpy(mask)[None], int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1)
    assert np.array_equal(made[0], mask)


def test_default_blocks_are_about_ten_pixels():
    mask = torch.zeros(1, 64, 64)
    mask[0, 2:42, 2:62] = torch.eye(60)[:40]
    made = shape_agnostic_mask(mask)[0]
    assert made[2:12, 2:12].all() and not made[2:12, 12:].any()


def test_stable_mode_keeps_the_blocks_in_place():
    mask = torch.zeros(2, 40, 40)
    mask[0, 5:25, 5:25] = 1
    mask[1, 8:35, 8:35] = 1
    made = shape_agnostic_mask(mask, 3, 3, stable=True)
    assert made[0].nonzero().amin(0).tolist() == [5, 5]
    assert made[0].nonzero().amax(0).tolist() == [24, 24]  # the union box 5…34 in three blocks of 10
    assert made[1].nonzero().amin(0).tolist() == [5, 5] and made[1].nonzero().amax(0).tolist() == [34, 34]


def test_snap_puts_every_edge_on_the_grid():
    masks = torch.from_numpy(np.stack([blob(seed) for seed in range(4)]))[:, :48]
    made = shape_agnostic_mask(masks, snap=8)
    cells = made.reshape(4, 6, 8, 8, 8)
    assert torch.equal(cells.amax((2, 4)), cells.amin((2, 4)))


def test_empty_frames_stay_empty():
    assert not shape_agnostic_mask(torch.zeros(2, 16, 16)).any()
    assert not shape_agnostic_mask(torch.zeros(2, 16, 16), stable=True).any()
    assert not dilate(torch.zeros(1, 16, 16), 3).any() and not feather(torch.zeros(1, 16, 16), 3).any()


def test_block_numbers_below_one_are_refused():
    with pytest.raises(InputError, match="block_px is 0"):
        shape_agnostic_mask(torch.zeros(1, 8, 8), block_px=0)


def test_dilate_and_feather_measure_distance_from_the_mask():
    mask = torch.zeros(1, 21, 21)
    mask[0, 10, 10] = 1
    rows, columns = np.mgrid[:21, :21]
    distance = np.hypot(rows - 10, columns - 10)
    assert np.array_equal(dilate(mask, 4)[0].numpy(), distance <= 4)
    np.testing.assert_allclose(feather(mask, 4)[0].numpy(), np.clip(1 - distance / 5, 0, 1), atol=1e-3)


def soft(level: float, seed: int = 3) -> torch.Tensor:
    """Three frames of blobs at `level`, with a softer rim, as segmentation networks return them."""
    masks = torch.from_numpy(np.stack([blob(seed + i) for i in range(3)])).float()
    rim = torch.nn.functional.max_pool2d(masks[:, None], 3, stride=1, padding=1)[:, 0]
    return level * torch.maximum(masks, 0.3 * rim)


GRIDS = [{}, {"block_px": 4}, {"blocks_high": 1, "blocks_wide": 1}, {"stable": True}, {"snap": 8}]
GRIDS += [{"blocks_high": 5, "blocks_wide": 3, "stable": True, "stable_frames": 2, "snap": 4}]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("level", [0.11, 0.4, 0.6, 1.0])
def test_growing_by_more_never_covers_less(level, grid):
    """And what is covered is the grown character, whatever level a soft mask has."""
    masks, before = soft(level), torch.zeros(3, HEIGHT, WIDTH)
    distances = np.stack([distance_to(frame) for frame in (masks > 0.1).numpy()])
    for grow in (0, 1, 2, 3, 5, 8, 11, 16, 40, 200):
        made = shape_agnostic_mask(masks, **grid, grow=grow)
        assert (made >= before).all(), f"grow {grow} covers less than the one before"
        assert made.numpy()[distances <= grow].all()
        before = made
    assert made.all(), "grown by more than the picture's size, it covers the picture"


def distance_to(chosen: np.ndarray) -> np.ndarray:
    """Distance of every pixel (H, W) to the nearest chosen one, by looking at all of them."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ys, xs = np.nonzero(chosen)
    return np.hypot(rows[..., None] - ys, columns[..., None] - xs).min(-1)


def test_without_growth_the_blocks_are_those_of_the_box_and_growth_adds_blocks_around_it():
    mask = torch.zeros(1, 60, 60)
    mask[0, 20:40, 20:40] = 1
    made = shape_agnostic_mask(mask, grow=13)[0]  # blocks of 10, then 3 pixels of the next
    assert made[7:53, 20:40].all() and not made[:7].any() and not made[53:].any()
    corner = shape_agnostic_mask(mask, grow=3)[0]
    assert corner[17:43, 17:43].all() and not corner[:17].any()
    with pytest.raises(InputError, match="grow is -1"):
        shape_agnostic_mask(mask, grow=-1)


@pytest.mark.parametrize("level", [0.05, 0.09, 0.11, 0.3, 0.49, 0.51, 1.0])
def test_one_threshold_for_all_masks(level):
    """What a mask selects is the same for blocks, growth, softening, the environment, objects and the latent mask."""
    mask = torch.zeros(2, 16, 16)
    mask[:, 4:12, 4:12] = level
    picture = torch.rand(2, 16, 16, 3)
    expected = mask > 0.1
    found = [
        inside(mask),
        inside(torch.round(mask * 255).byte()),
        selected(mask),
        shape_agnostic_mask(mask, 8, 8) == 1,
        dilate(mask, 0) == 1,
        feather(mask, 0) == 1,
        (environment_frames(picture, mask) == 0.5).all(-1),
        (object_frames(picture, mask) == picture).all(-1),
        latent_mask(mask, 4)[:, 0].repeat_interleave(4, 1).repeat_interleave(4, 2) == 1,
        (paste_back(1 - picture, picture, mask, feather=0, grow=0) == 1 - picture).all(-1),
    ]
    assert all(torch.equal(one, expected) for one in found)
    given = DrivingConditions(picture, mask, picture, object_mask=mask)
    assert given.has_objects == bool(expected.any())


def test_stable_frames_make_one_grid_for_every_so_many_frames():
    masks = torch.from_numpy(np.stack([blob(seed) for seed in range(7)]))
    made = shape_agnostic_mask(masks, stable=True, stable_frames=3)
    for start in (0, 3, 6):
        part = masks[start : start + 3]
        assert torch.equal(made[start : start + 3], shape_agnostic_mask(part, stable=True))
    with pytest.raises(InputError, match="stable_frames is 0"):
        shape_agnostic_mask(masks, stable=True, stable_frames=0)


def test_preview_shows_the_mask_over_the_picture():
    mask, image = torch.zeros(1, 4, 6), torch.rand(1, 4, 6, 3)
    mask[0, 1, 2] = 1
    shown = mask_preview(mask, image)
    expected = image.clone()
    expected[0, 1, 2] = 0.4 * image[0, 1, 2] + 0.6 * torch.tensor([1.0, 0.1, 0.2])
    torch.testing.assert_close(shown, expected)
    assert torch.equal(mask_preview(mask)[..., 1], mask)
