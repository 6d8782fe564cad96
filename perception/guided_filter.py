"""The edges of a rough mask moved onto the picture's own edges: the guided filter with a colour guide.

Source: He, Sun and Tang 2013, "Guided Image Filtering", §3.4; the linear coefficients at half the size, as in He and
Sun 2015, "Fast Guided Filter".
"""

from __future__ import annotations

import numpy as np

from ..media.opencv import cv2

RADIUS = 0.047  # of the longer side: 24 pixels of 512
FLAT = 1e-5  # ε of the paper, a variance of colours 0…1: below it a place counts as flat
SHRINKS = 2
PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def guided_filter(picture_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    """A float32 mask (H, W), 0…1 → the same with the edges of a uint8 RGB picture (H, W, 3) that are near its own."""
    height, width = mask_HW.shape
    small = (max(1, width // SHRINKS), max(1, height // SHRINKS))
    guide = cv2.resize(picture_HWC, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    slope, offset = _coefficients(guide, cv2.resize(mask_HW, small, interpolation=cv2.INTER_AREA))
    planes = cv2.resize(np.dstack([slope, offset]), (width, height), interpolation=cv2.INTER_LINEAR)
    values = (planes[..., :3] * (picture_HWC.astype(np.float32) / 255)).sum(axis=-1) + planes[..., 3]
    return values.clip(0, 1)


def _coefficients(guide_HWC: np.ndarray, mask_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a (H, W, 3) and b (H, W) of mask ≈ a · guide + b, averaged over the windows around each pixel (eqs. 14 to 16)."""
    side = 2 * max(1, round(RADIUS * max(mask_HW.shape))) + 1

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side))

    colour, share = mean(guide_HWC), mean(mask_HW)
    covariance = mean(guide_HWC * mask_HW[..., None]) - colour * share[..., None]
    variance = np.empty((*mask_HW.shape, 3, 3), np.float32)
    for one, other in PAIRS:
        both = mean(guide_HWC[..., one] * guide_HWC[..., other]) - colour[..., one] * colour[..., other]
        variance[..., one, other] = variance[..., other, one] = both
    slope = np.linalg.solve(variance + FLAT * np.eye(3, dtype=np.float32), covariance[..., None])[..., 0]
    return mean(slope), mean(share - (slope * colour).sum(axis=-1))
