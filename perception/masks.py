"""Masks that hide the character's shape, and the growing and softening of masks."""

import math

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media.opencv import cv2

PREVIEW_COLOUR, PREVIEW_WEIGHT = (1.0, 0.1, 0.2), 0.6
# Not in paper: masks that are not 0 or 1. Above this a pixel is inside, wherever a mask of the pack's is asked: soft
# edges belong to what they surround, and the ringing of lossy mask videos stays below.
MASK_THRESHOLD = 0.1


def inside(mask: Tensor) -> Tensor:
    """Return where a mask selects, bool, of the same shape. mask: 0…1; uint8 as 0…255; bool as it is."""
    return mask > MASK_THRESHOLD * (255 if mask.dtype == torch.uint8 else 1)


def shape_agnostic_mask(
    mask_FHW: Tensor,
    blocks_high: int | None = None,
    blocks_wide: int | None = None,
    block_px: int = 10,
    stable: bool = False,
    snap: int = 1,
    stable_frames: int | None = None,
    grow: float = 0.0,
) -> Tensor:
    """Cover the character by blocks, so that the mask does not tell its outline (AA2 §3.2, eq. 2).

    The box around the character is split into blocks_high × blocks_wide non-overlapping blocks, and every block takes
    its maximum. Where a number of blocks is not given it is the box's size / block_px (AA2 inference: 10).

    mask_FHW: MASK (F, H, W), 0…1, see `inside`. Returns MASK (F, H, W), each pixel exactly 0 or 1; empty frames stay
    empty.
    grow: pixels that the character grows by, on all sides, before it is covered. # Not in paper. The blocks stay where
    they are without it, and further ones of their size lie around the box: more growth never covers less.
    # Not in paper: all of the following.
    stable: one box for all frames, around the character's whole way, so that the blocks do not flicker with the box;
    with stable_frames, one box for every so many frames, which stays nearer to a character that walks far.
    snap: block edges lie on multiples of this many pixels (8 for WanAnimateToVideo, which takes every 8th pixel).
    Raises InputError for numbers below 1, and a grow below 0.
    """
    if not grow >= 0:
        raise InputError(f"grow is {grow}: give 0 pixels or more")
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
    on_FHW = inside(mask_FHW).cpu().numpy()
    grown_FHW = dilate(mask_FHW, grow).bool().cpu().numpy() if grow else on_FHW
    covered = np.zeros_like(on_FHW)
    length = stable_frames or len(on_FHW) if stable else 1
    for index, (on, out) in enumerate(zip(grown_FHW, covered, strict=True)):
        if not on.any():
            continue
        first = index // length * length
        box = on_FHW[first : first + length].any(axis=0)
        rows = _block_edges(box.any(axis=1), blocks_high, block_px, snap, grow)
        columns = _block_edges(box.any(axis=0), blocks_wide, block_px, snap, grow)
        within = on[rows[0] : rows[-1], columns[0] : columns[-1]]
        blocks = np.logical_or.reduceat(within, rows[:-1] - rows[0], axis=0)
        blocks = np.logical_or.reduceat(blocks, columns[:-1] - columns[0], axis=1)
        blocks = blocks.repeat(np.diff(rows), axis=0).repeat(np.diff(columns), axis=1)
        out[rows[0] : rows[-1], columns[0] : columns[-1]] = blocks
    return torch.from_numpy(covered).to(mask_FHW)


def _block_edges(occupied: np.ndarray, blocks: int | None, block_px: int, snap: int, grow: float) -> np.ndarray:
    """Edges of the blocks along one axis, in pixels: from the first occupied pixel to past the last, and `grow` on."""
    places = np.flatnonzero(occupied)
    start = places[0] // snap * snap
    stop = min(-(-(places[-1] + 1) // snap) * snap, len(occupied))
    count = blocks or max(1, round((stop - start) / block_px))
    edges = start + np.rint(np.arange(count + 1) * (stop - start) / count / snap).astype(int) * snap
    edges[-1] = stop
    edges = np.unique(np.minimum(edges, stop))
    size = max(1, round((stop - start) / (len(edges) - 1) / snap)) * snap
    reach = -(-math.ceil(grow) // snap) * snap
    before = np.arange(start, start - reach, -size)[1:], [start - reach]
    after = np.arange(stop, stop + reach, size)[1:], [stop + reach]
    return np.unique(np.concatenate([*before, edges, *after]).clip(0, len(occupied)).astype(int))


def mask_preview(mask_FHW: Tensor, image_FHWC: Tensor | None = None) -> Tensor:
    """Show a mask: red over the picture, or white on black without one → IMAGE (F, H, W, 3).

    image_FHWC: IMAGE (F, H, W, 3) of the mask's length and size.
    """
    weight = mask_FHW.unsqueeze(-1)
    if image_FHWC is None:
        return weight.expand(-1, -1, -1, 3).contiguous()
    return torch.lerp(image_FHWC, torch.tensor(PREVIEW_COLOUR).to(image_FHWC), PREVIEW_WEIGHT * weight)


def dilate(mask_FHW: Tensor, radius: float) -> Tensor:
    """Grow what is `inside` a mask (F, H, W) by a disc of `radius` pixels; the result is 0 or 1."""
    return (_distance_outside(mask_FHW) <= radius).to(mask_FHW)


def feather(mask_FHW: Tensor, width: float) -> Tensor:
    """Soften a mask (F, H, W) outward: 1 where it is `inside`, falling linearly to 0 at `width` + 1 pixels."""
    return (1 - _distance_outside(mask_FHW) / (width + 1)).clamp(0, 1).to(mask_FHW)


def _distance_outside(mask_FHW: Tensor) -> Tensor:
    """(F, H, W) float32: distance in pixels to the nearest pixel inside; 0 inside; infinite for an empty frame."""
    outside_FHW = (~inside(mask_FHW)).cpu().numpy().astype(np.uint8)
    distance = np.empty(outside_FHW.shape, np.float32)
    for index, outside in enumerate(outside_FHW):
        empty = outside.all()
        distance[index] = np.inf if empty else cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distance)
