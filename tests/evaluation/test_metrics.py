"""The measures against their formulas, written out in NumPy."""

import math

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation.metrics import (
    PSNR_LIMIT,
    character_region,
    mean_scores,
    measure_regions,
    psnr,
    seam_error,
    ssim,
    unsteadiness,
)

FRAMES, HEIGHT, WIDTH = 3, 24, 20


def measure(prediction: torch.Tensor, target: torch.Tensor, character: torch.Tensor) -> dict:
    return measure_regions(prediction, target, {"character": character, "outside": ~character, "frame": None})


@pytest.fixture
def clip() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(FRAMES, HEIGHT, WIDTH, 3, generator=generator)
    prediction = (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    region = torch.zeros(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    region[0, 4:12, 3:9], region[1, 10:20, 8:15] = True, True
    return prediction, target, region


def numpy_ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Wang et al. 2004, equation 13, pixel by pixel on one gray picture with reflected borders."""
    offsets = np.arange(-5, 6)
    gauss = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(gauss, gauss) / gauss.sum() ** 2
    first, second = (np.pad(picture.astype(np.float64), 5, mode="reflect") for picture in (first, second))
    result = np.empty((first.shape[0] - 10, first.shape[1] - 10))
    for y, x in np.ndindex(*result.shape):
        a, b = first[y : y + 11, x : x + 11], second[y : y + 11, x : x + 11]
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
        covariance = (window * (a - mean_a) * (b - mean_b)).sum()
        luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        result[y, x] = luminance * (2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2)
    return result


def test_psnr_is_the_formula_pooled_over_the_clip(clip):
    prediction, target, region = clip
    squared = (prediction.numpy().astype(np.float64) - target.numpy().astype(np.float64)) ** 2
    assert psnr(prediction, target) == pytest.approx(-10 * math.log10(squared.mean()), abs=1e-6)
    assert psnr(prediction, target, region) == pytest.approx(-10 * math.log10(squared[region.numpy()].mean()), abs=1e-6)


def test_known_error_gives_known_decibels():
    target = torch.full((2, 16, 16, 3), 0.5)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-4)


def test_ssim_is_the_formula(clip):
    prediction, target, region = clip
    maps = np.stack(
        [
            np.mean([numpy_ssim_map(p[..., colour], t[..., colour]) for colour in range(3)], axis=0)
            for p, t in zip(prediction.numpy(), target.numpy(), strict=True)
        ]
    )
    assert ssim(prediction, target) == pytest.approx(maps.mean(), abs=1e-4)
    assert ssim(prediction, target, region) == pytest.approx(maps[region.numpy()].mean(), abs=1e-4)


def test_regions_do_not_leak_into_one_another(clip):
    _, target, region = clip
    prediction = torch.where(region[..., None], 1 - target, target)
    scores = measure(prediction, target, region)
    assert scores["outside"]["psnr"] == PSNR_LIMIT
    assert scores["character"]["psnr"] < scores["frame"]["psnr"] < PSNR_LIMIT


def test_empty_region_has_no_number(clip):
    prediction, target, region = clip
    scores = measure(prediction, target, torch.zeros_like(region))
    assert scores["character"] == {"psnr": None, "ssim": None}
    assert scores["outside"] == pytest.approx(scores["frame"])
    mean = mean_scores([scores, measure(prediction, target, region)])
    assert mean["character"]["psnr"] == pytest.approx(psnr(prediction, target, region))


def test_character_region_is_the_union():
    first, second = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)
    first[0, 0, 0], second[0, 1, 1], second[0, 0, 1] = 1.0, 0.6, 0.4
    assert character_region(first, None, second).tolist() == [[[True, False], [False, True]]]


def test_wrong_input_is_named(clip):
    prediction, target, region = clip
    with pytest.raises(InputError, match="3 × 24 × 20 × 3.*2 × 24 × 20 × 3"):
        measure(prediction, target[:2], region)
    with pytest.raises(InputError, match="Mask is 1 × 24 × 20"):
        measure(prediction, target, region[:1])
    with pytest.raises(InputError, match="NaN"):
        measure(prediction * float("nan"), target, region)
    with pytest.raises(InputError, match="at least 1 frame"):
        measure(prediction[:0], target[:0], region[:0])
    with pytest.raises(InputError, match="equal"):
        character_region(region.float(), region[:1].float())


def test_unsteadiness_is_the_change_of_the_error_alone():
    target = torch.rand(6, 16, 16, 3)
    offset = torch.tensor([0.0, 0.1, 0.1, 0.4, 0.4, 0.4]).view(-1, 1, 1, 1)
    torch.testing.assert_close(unsteadiness(target + offset, target), torch.tensor([0.1, 0.0, 0.3, 0.0, 0.0]))
    half = torch.zeros(6, 16, 16)
    half[:, :, 8:] = 1
    torch.testing.assert_close(unsteadiness(target + offset * half.unsqueeze(-1), target, 1 - half), torch.zeros(5))


def test_seam_error_compares_borders_with_the_rest():
    changes = torch.tensor([1.0, 3.0, 1.0, 1.0, 5.0])
    assert seam_error(changes, [2, 5]) == pytest.approx(4.0)
    for borders in ([0], [6], [], [1, 2, 3, 4, 5]):
        with pytest.raises(InputError, match="of a clip of 6 frames"):
            seam_error(changes, borders)
