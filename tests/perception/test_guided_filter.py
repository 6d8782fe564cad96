"""The guided filter against its definition, window by window, and against a rendered figure's exact mask."""

import numpy as np
from inhabit.perception import guided_filter as module
from inhabit.perception.guided_filter import FLAT, guided_filter
from inhabit.scenes import render_scene


def test_it_is_the_papers_least_squares_in_every_window(monkeypatch):
    """Equations 10 and 12: in each window the line that fits best, ridge ε; each pixel takes its windows' mean."""
    monkeypatch.setattr(module, "SHRINKS", 1)
    monkeypatch.setattr(module, "RADIUS", 2 / 16)
    rng = np.random.default_rng(0)
    picture, mask = rng.integers(0, 256, (12, 16, 3), np.uint8), rng.random((12, 16)).astype(np.float32)
    slopes, offsets = np.zeros((12, 16, 3)), np.zeros((12, 16))
    for y in range(2, 10):
        for x in range(2, 14):
            window = np.s_[y - 2 : y + 3, x - 2 : x + 3]
            colours, values = picture[window].reshape(-1, 3) / 255.0, mask[window].ravel().astype(float)
            centred = colours - colours.mean(axis=0)
            ridge = centred.T @ centred / len(values) + FLAT * np.eye(3)
            slopes[y, x] = np.linalg.solve(ridge, centred.T @ (values - values.mean()) / len(values))
            offsets[y, x] = values.mean() - slopes[y, x] @ colours.mean(axis=0)
    y, x = 5, 8  # all windows around it lie inside
    near = np.s_[y - 2 : y + 3, x - 2 : x + 3]
    expected = slopes[near].mean(axis=(0, 1)) @ (picture[y, x] / 255) + offsets[near].mean()
    assert np.isclose(guided_filter(picture, mask)[y, x], np.clip(expected, 0, 1), atol=1e-3)


def test_a_coarse_mask_gets_the_figures_edges():
    scene = render_scene(900_001, "dance", 1, 384, 384)
    truth = scene.character[0] > 127
    low = module.cv2.resize(truth.astype(np.float32), (48, 48), interpolation=module.cv2.INTER_AREA)
    rough = module.cv2.resize(low, (384, 384), interpolation=module.cv2.INTER_LINEAR)
    fine = guided_filter(scene.driving[0], rough)
    assert fine.dtype == np.float32 and fine.min() >= 0 and fine.max() <= 1

    def wrong(mask: np.ndarray) -> int:
        return int(((mask >= 0.5) ^ truth).sum())

    assert wrong(fine) < 0.7 * wrong(rough)


def test_a_flat_picture_and_odd_sizes_are_no_trouble():
    mask = np.zeros((31, 17), np.float32)
    mask[:, :8] = 1
    fine = guided_filter(np.full((31, 17, 3), 90, np.uint8), mask)
    assert fine.shape == mask.shape and np.isfinite(fine).all() and fine[0, 0] > 0.6 > 0.4 > fine[0, -1]
    assert np.isfinite(guided_filter(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32))).all()
