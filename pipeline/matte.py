"""Where the new character is in what the model drew: what Paste Back keeps where the place is known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..media import resize, to_uint8
from ..media.opencv import cv2
from ..perception import dilate, feather
from ..perception.backends import PoseEstimator
from ..perception.follow import Along, Follower
from ..perception.masks import inside
from ..perception.person_crop import mask_boxes
from .conditions import DrivingConditions
from .fitting import frame_numbers
from .mask_input import SKELETON_MARGIN, drawn_on, height_of, limbs
from .streams import LazyFrames, packed

logger = logging.getLogger(__name__)

LONGER_SIDE = 512  # pixels of the frames that the estimator sees
LIKELY = 0.5  # probability from which a pixel is the character's
GROWN = 0.008  # of the shorter side: hair and soft edges around what the estimator found
TRUNK = 0.11  # of the skeleton's height: lines twice as far apart enclose what lies between them
LEAST_ON_SKELETON = 0.5  # of the skeleton, that the found person covers; another person covers less


def character_mattes(
    drawn: Callable[[], Iterator[Tensor]], conditions: DrivingConditions, estimator: PoseEstimator
) -> LazyFrames:
    """Return the matte (F, H, W) 0…1 of the new character, packed: found in the result by a pose estimator.

    drawn: starts the result's frames (H, W, 3) 0…1. The drawn skeleton, a little grown, and the objects belong to the
    matte always, so that no limb is cut off. Where the estimator finds nobody on the skeleton, the skeleton is grown
    to a body; without a skeleton, too, the whole frame is the matte. Tells in which frames.
    """
    height, width = conditions.size
    scale = LONGER_SIDE / max(height, width)
    seen = round(width * scale), round(height * scale)
    unfound: list[int] = []

    def pictures() -> Iterator[np.ndarray]:
        for frame, driving, mask in zip(drawn(), conditions.driving, conditions.mask, strict=True):
            whole = torch.where(inside(mask).unsqueeze(-1), frame, driving)
            yield resize(to_uint8(whole)[None], *seen)[0]

    def mattes() -> Iterator[np.ndarray]:
        objects = conditions.object_mask
        boxes = mask_boxes(list(map(drawn_on, conditions.skeleton))) * (seen[0] / width)
        follow = Along(boxes) if np.isfinite(boxes).any() else Follower()
        for index, person in enumerate(estimator.estimate(pictures(), follow)):
            skeleton = drawn_on(conditions.skeleton[index])
            found = torch.from_numpy(resize(person.mask[None], width, height)[0]) >= LIKELY
            if not _is_on(found, skeleton):
                unfound.append(index)
                found = None
            kept = torch.ones_like(skeleton) if found is None and not skeleton.any() else _body(skeleton, found is None)
            if objects is not None:
                kept = kept | inside(objects[index])
            matte = feather(kept.float()[None], 1)[0]
            yield to_uint8(matte if found is None else torch.maximum(matte, _soft(found)))

    result = packed(mattes())
    logger.info("%s finds the new character in %d frames", estimator.name, len(result) - len(unfound))
    if unfound:
        logger.info("the new character is not found in %s: its grown skeleton is kept there", frame_numbers(unfound))
    return result


def _is_on(found: Tensor, skeleton: Tensor) -> bool:
    if not skeleton.any():
        return bool(found.any())
    return bool(found.any()) and float(found[skeleton].float().mean()) >= LEAST_ON_SKELETON


def _body(skeleton: Tensor, whole: bool) -> Tensor:
    """(H, W) bool: the skeleton grown to limbs; whole: to a body, with what its lines nearly enclose, as a trunk."""
    if not whole:
        return limbs(skeleton[None])[0]
    wide = limbs(skeleton[None], TRUNK)[0]
    outlines, _ = cv2.findContours(wide.numpy().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(wide.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    reach = 2 * round((TRUNK - SKELETON_MARGIN) * height_of(skeleton)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return torch.from_numpy(cv2.erode(filled, disc, borderValue=1)).bool()


def _soft(found: Tensor) -> Tensor:
    """(H, W) 0…1: a bool region a little grown, with an edge that is soft by a pixel to both sides."""
    planes = dilate(found.float()[None], max(1.0, GROWN * min(found.shape)))[None]
    return functional.avg_pool2d(functional.pad(planes, [1] * 4, mode="replicate"), 3, stride=1)[0, 0]
