"""Turned squares: points there and back, and pixels where the points say."""

import cv2
import numpy as np
import pytest
from inhabit.perception.backends.crops import Crop, around, upright, whole


def test_points_come_back():
    crop = Crop(30.0, 50.0, 40.0, 0.7)
    points = np.random.default_rng(0).uniform(0, 100, (20, 2))
    assert np.allclose(crop.to_picture(crop.from_picture(points)), points)
    assert np.allclose(crop.to_picture(np.array([[0.5, 0.5]])), [[30, 50]])


def test_the_top_of_an_upright_square_is_where_it_was_said():
    crop = upright(np.array([50.0, 50.0]), np.array([80.0, 50.0]), 60.0)  # the top is to the right
    assert np.allclose(crop.to_picture(np.array([[0.5, 0.0], [1.0, 0.5]])), [[80, 50], [50, 80]])
    moved = crop.grown(2.0, -0.5)
    assert (moved.x, moved.y, moved.side) == pytest.approx((80, 50, 120))


@pytest.mark.parametrize("angle", [0.0, 0.6, -2.0])
def test_the_square_around_points_touches_them(angle):
    points = np.random.default_rng(3).uniform(0, 100, (9, 2))
    inside = around(points, angle).from_picture(points)
    assert inside.min() >= -1e-9 and inside.max() <= 1 + 1e-9
    assert np.ptp(inside, axis=0).max() == pytest.approx(1)
    assert np.allclose(inside.min(axis=0) + inside.max(axis=0), 1)


@pytest.mark.parametrize(("side", "angle"), [(64.0, 0.0), (40.0, 0.5), (150.0, -1.1)])
def test_pixels_lie_where_points_do(side, angle):
    """A soft dot is cut out at the place its centre has in the square, and pasted back where it was."""
    rows, columns = np.mgrid[:120, :160] + 0.5
    dot = 255 * np.exp(-((columns - 70) ** 2 + (rows - 55) ** 2) / 50)
    crop = Crop(76.0, 60.0, side, angle)
    seen = crop.cut(np.repeat(dot[..., None], 3, axis=2).astype(np.uint8), 64)
    assert seen.shape == (64, 64, 3) and 0 <= seen.min() and seen.max() <= 1
    assert np.allclose(centre(seen[..., 0]) / 64, crop.from_picture(np.array([[70.0, 55.0]]))[0], atol=0.006)
    back = crop.paste(seen[..., 0], 160, 120, 0.0)
    assert back.shape == (120, 160) and np.allclose(centre(back), (70, 55), atol=0.2)


def centre(picture: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    return np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()


def test_what_shrinks_is_averaged():
    noise = np.random.default_rng(4).integers(0, 2, (512, 512, 3), np.uint8) * 255
    seen = whole(noise).cut(noise, 64)
    assert np.abs(seen - cv2.resize(noise, (64, 64), interpolation=cv2.INTER_AREA) / 255).max() < 0.01


def test_a_whole_picture_has_black_bars():
    seen = whole(np.full((50, 100, 3), 255, np.uint8)).cut(np.full((50, 100, 3), 255, np.uint8), 100)
    assert (seen[:24] == 0).all() and (seen[26:74] == 1).all() and (seen[76:] == 0).all()
