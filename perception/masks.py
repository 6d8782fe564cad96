"""Masks that hide the character's shape, and the growing and softening of masks."""

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media.opencv import cv2

PREVIEW_COLOUR, PREVIEW_WEIGHT = (1.0, 0.1, 0.2), 0.6
MASK_THRESHOLD = 0.1  # Not in paper: soft masks; a pixel belongs to the character above this (lossy mask videos ring)


def shape_agnostic_mask(
    mask_FHW: Tensor,
    blocks_high: int | None = None,
    blocks_wide: int | None = None,
    block_px: int = 10,
    stable: bool = False,
    snap: int = 1,
    stable_frames: int | None = None,
) -> Tensor:
    """Cover the character by blocks, so that the mask does not tell its outline (AA2 eq. 2).

    The box around the character is split into blocks_high × blocks_wide non-overlapping blocks, and every block takes
    its maximum. Where a number of blocks is not given it is the box's size / block_px (AA2 inference: 10).

    mask_FHW: MASK (F, H, W), 0…1. Returns MASK (F, H, W), each pixel exactly 0 or 1; empty frames stay empty.
    stable: one box for all frames, around the character's whole way, so that the blocks do not flicker with the box;
    with stable_frames, one box for every so many frames, which stays nearer to a character that walks far.
    snap: block edges lie on multiples of this many pixels (8 for WanAnimateToVideo, which takes every 8th pixel).
    Raises InputError for numbers below 1.
    """
    given = {
        "blocks_high": blocks_high,
        "blocks_wide": blocks_wide,
        "block_px": block_px,
        "snap": snap,
        "stable_frames": stable_frames,
    }
    for name, value in given.items():
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give 1 or more")
    on_FHW = (mask_FHW > MASK_THRESHOLD).cpu().numpy()
    covered = np.zeros_like(on_FHW)
    length = stable_frames or len(on_FHW) if stable else 1
    for index, (on, out) in enumerate(zip(on_FHW, covered, strict=True)):
        if not on.any():
            continue
        first = index // length * length
        box = on_FHW[first : first + length].any(axis=0)
        rows = _block_edges(box.any(axis=1), blocks_high, block_px, snap)
        columns = _block_edges(box.any(axis=0), blocks_wide, block_px, snap)
        inside = on[rows[0] : rows[-1], columns[0] : columns[-1]]
        blocks = np.logical_or.reduceat(inside, rows[:-1] - rows[0], axis=0)
        blocks = np.logical_or.reduceat(blocks, columns[:-1] - columns[0], axis=1)
        blocks = blocks.repeat(np.diff(rows), axis=0).repeat(np.diff(columns), axis=1)
        out[rows[0] : rows[-1], columns[0] : columns[-1]] = blocks
    return torch.from_numpy(covered).to(mask_FHW)


def _block_edges(occupied: np.ndarray, blocks: int | None, block_px: int, snap: int) -> np.ndarray:
    """Edges of the blocks along one axis, in pixels: from the first occupied pixel to past the last."""
    places = np.flatnonzero(occupied)
    start = places[0] // snap * snap
    stop = min(-(-(places[-1] + 1) // snap) * snap, len(occupied))
    count = blocks or max(1, round((stop - start) / block_px))
    edges = start + np.rint(np.arange(count + 1) * (stop - start) / count / snap).astype(int) * snap
    edges[-1] = stop
    return np.unique(np.minimum(edges, stop))


def mask_preview(mask_FHW: Tensor, image_FHWC: Tensor | None = None) -> Tensor:
    """Show a mask: red over the picture, or white on black without one → IMAGE (F, H, W, 3).

    image_FHWC: IMAGE (F, H, W, 3) of the mask's length and size.
    """
    weight = mask_FHW.unsqueeze(-1)
    if image_FHWC is None:
        return weight.expand(-1, -1, -1, 3).contiguous()
    return torch.lerp(image_FHWC, torch.tensor(PREVIEW_COLOUR).to(image_FHWC), PREVIEW_WEIGHT * weight)


def dilate(mask_FHW: Tensor, radius: float) -> Tensor:
    """Grow a mask by a disc of `radius` pixels; the result is 0 or 1. Pixels count as inside above 0.5."""
    return (_distance_outside(mask_FHW) <= radius).to(mask_FHW)


def feather(mask_FHW: Tensor, width: float) -> Tensor:
    """Soften a mask outward: 1 inside, falling linearly to 0 at `width` pixels outside. Inside is above 0.5."""
    return (1 - _distance_outside(mask_FHW) / (width + 1)).clamp(0, 1).to(mask_FHW)


def _distance_outside(mask_FHW: Tensor) -> Tensor:
    """(F, H, W) float32: distance in pixels to the nearest pixel inside; 0 inside; infinite for an empty frame."""
    outside_FHW = (mask_FHW <= 0.5).cpu().numpy().astype(np.uint8)
    distance = np.empty(outside_FHW.shape, np.float32)
    for index, outside in enumerate(outside_FHW):
        empty = outside.all()
        distance[index] = np.inf if empty else cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distance)
