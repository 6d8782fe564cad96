"""Mask, depth and object files → planes at the working size, checked for what they mean next to the skeletons."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media import Clip, open_depth, open_mask
from ..perception import dilate, shape_agnostic_mask, structured_depth
from ..perception.masks import inside
from ..perception.skeleton import SKELETON_THRESHOLD
from .fitting import Target, check_length, check_shape, fitted, frame_numbers
from .streams import CHUNK, LazyFrames, chunks, packed

logger = logging.getLogger(__name__)

SKELETON_MARGIN = 0.05  # of the skeleton's height: how far head, hair and clothes reach beyond the drawn lines
LIMB = 0.02  # of the skeleton's height: how far a limb reaches beyond its drawn line, at least
LEAST_ON_SKELETON = 0.25  # of a frame's skeleton that its mask covers; a mask of the same person covers nearly all
MOST_OF_FRAME = 0.5  # a mask that covers more and misses the skeleton is inverted


def read_mask_of(
    path: Path | None,
    skeletons: LazyFrames,
    target: Target,
    pose: Path,
    characters: LazyFrames | None = None,
    grown: bool = False,
) -> LazyFrames:
    """The formulated mask (F, H, W), 0 or 1, of AA2 eq. 2, from the character's mask or, without a file, the skeletons.

    characters: (F, H, W) 0…1 at the target's size, the character's mask where it is not to be read from the file.
    grown: the skeletons are another body's, which must find room, too: the mask covers the character and them.
    Tells the frames in which the mask is empty or misses the skeleton. Raises InputError for a mask that is empty in
    every frame, and as `read_planes`.
    """
    if characters is None:
        characters = _grown(skeletons) if path is None else read_planes("mask", path, target)
    look = _MaskLook()

    def blocks() -> Iterator[np.ndarray]:
        bodies = _grown(skeletons) if grown else repeat(None, len(skeletons))
        for skeleton, character, body in zip(skeletons, characters, bodies, strict=True):
            look.add(inside(character), drawn_on(skeleton))
            covered = character if body is None else torch.maximum(character, body)
            yield shape_agnostic_mask(covered[None])[0].bool().numpy()

    mask = packed(blocks())
    what = f"the pose {pose}" if path is None else f"the mask {path}"
    if not any(look.covered):
        raise InputError(f"{what} is empty in every frame, so that there is nothing to generate: give another")
    if path is not None:
        look.tell(what)
    return mask


def read_characters(path: Path, target: Target) -> LazyFrames:
    """The character's mask (F, H, W), 1 where it is `inside`, else 0, kept packed. Raises as `read_planes`."""
    return packed(inside(plane).numpy() for plane in read_planes("mask", path, target))


def read_objects(path: Path | None, target: Target) -> LazyFrames | None:
    """The objects' mask (F, H, W) 0…1; None without a file. Raises InputError as `read_planes`."""
    if path is None:
        return None
    return packed(plane.numpy() for plane in read_planes("object-mask", path, target))


def read_structured_depth(path: Path | None, skeletons: LazyFrames, target: Target) -> LazyFrames | None:
    """Structured depth (F, H, W) of AA2 §3.4; None without a file. Raises InputError as `read_planes`."""
    if path is None:
        return None
    planes = read_planes("depth", path, target)
    both = zip(planes, skeletons, strict=True)
    return packed(structured_depth(depth[None], skeleton[None])[0].numpy() for depth, skeleton in both)


def read_planes(option: str, path: Path, target: Target) -> Iterator[Tensor]:
    """One plane (H, W) 0…1 for each of the target's frames, at its size. The file is checked before the first.

    A mask of one frame holds for all. Raises InputError for another length or shape, and for values that are no
    numbers or not 0…1.
    """
    clip = (open_depth if option == "depth" else open_mask)(path)
    check_length(option, path, len(clip), target, one_for_all=option != "depth")
    check_shape(path, clip.size, target)
    return fitted(_checked(option, clip, target), target.count)


def _checked(option: str, clip: Clip, target: Target) -> Iterator[Tensor]:
    for index, plane in enumerate(target.clip(clip).frames(target.size)):
        if not np.isfinite(plane).all():
            raise InputError(
                f"--{option} {clip.path} has NaN or infinite values in frame {index}: give finite values from 0 to 1"
            )
        low, high = float(plane.min()), float(plane.max())
        if low < 0 or high > 1:
            raise InputError(
                f"--{option} {clip.path} has values from {low:g} to {high:g}: scale them to 0…1 (depth: 1 is near)"
            )
        yield torch.from_numpy(plane)


def drawn_on(skeletons: Tensor) -> Tensor:
    """Where (…, H, W) bool drawn skeletons (…, H, W, 3) have a line."""
    return skeletons.amax(dim=-1) > SKELETON_THRESHOLD


def limbs(lines: Tensor, reach: float = LIMB) -> Tensor:
    """The lines of skeletons (F, H, W) bool, grown by `reach` of each one's height, bool."""
    return torch.cat([dilate(plane.float()[None], reach * height_of(plane)) for plane in lines]).bool()


def _grown(skeletons: LazyFrames) -> Iterator[Tensor]:
    """Masks (H, W), 0 or 1: drawn skeletons grown by 5 % of the tallest one's height.

    # Not in paper: stands in for the character's mask where a skeleton is all there is.
    """
    tallest = max(height_of(drawn_on(skeleton)) for skeleton in skeletons)
    for part in chunks(len(skeletons), CHUNK):
        yield from dilate(drawn_on(skeletons[part]).float(), SKELETON_MARGIN * tallest)


def height_of(region: Tensor) -> int:
    """Height in pixels of what a bool region (H, W) covers; 0 without any."""
    places = region.any(dim=1).nonzero()
    return int(places[-1] - places[0]) + 1 if len(places) else 0


class _MaskLook:
    """How much of the picture and of the skeleton the mask covers, frame by frame."""

    def __init__(self) -> None:
        self.covered: list[float] = []  # share of the frame
        self.on_skeleton: list[float | None] = []  # share of the frame's skeleton; None without one

    def add(self, mask: Tensor, skeleton: Tensor) -> None:
        self.covered.append(float(mask.float().mean()))
        self.on_skeleton.append(float(mask[skeleton].float().mean()) if skeleton.any() else None)

    def tell(self, name: str) -> None:
        with_skeleton = [index for index, share in enumerate(self.on_skeleton) if share is not None]
        empty = [index for index in with_skeleton if not self.covered[index]]
        missing = [i for i in with_skeleton if self.covered[i] and self.on_skeleton[i] < LEAST_ON_SKELETON]
        if empty:
            logger.warning(
                "%s is empty in %s, where there is a skeleton: the old character stays there",
                *(name, frame_numbers(empty)),
            )
        if not missing:
            return
        share = float(np.median([self.covered[index] for index in missing]))
        if 2 * len(missing) > len(with_skeleton) and share > MOST_OF_FRAME:
            logger.warning(
                "%s looks inverted: it covers %.0f%% of the picture and misses the skeleton in %s; "
                "give one that is white on the character",
                *(name, 100 * share, frame_numbers(missing)),
            )
        else:
            logger.warning(
                "%s misses the skeleton in %s: white must be on the character whose poses are given",
                *(name, frame_numbers(missing)),
            )
