"""What one gets without any model: the three clips that a result is compared with."""

from __future__ import annotations

import numpy as np
import torch

from ..media import to_float, to_uint8
from ..media.opencv import cv2
from ..perception.masks import inside

INPAINT_RADIUS = 3  # px
GRABCUT_ROUNDS = 5


def inpainted_environment(driving_FHWC: torch.Tensor, mask_FHW: torch.Tensor) -> torch.Tensor:
    """Return the driving frames with the mask's hole (1 = hole) filled by OpenCV's Telea inpainting, frame by frame.

    Shapes: IMAGE (F, H, W, 3) float 0…1 and MASK (F, H, W); the result is an IMAGE.
    """
    frames = [
        cv2.inpaint(frame, hole, INPAINT_RADIUS, cv2.INPAINT_TELEA)
        for frame, hole in zip(to_uint8(driving_FHWC), to_uint8(inside(mask_FHW)), strict=True)
    ]
    return to_float(np.stack(frames))


def pasted_reference(
    environment_FHWC: torch.Tensor,
    reference_HWC: torch.Tensor,
    character_FHW: torch.Tensor,
    reference_mask_HW: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the environment with the reference picture stretched over the character's box of every frame.

    Args:
        environment_FHWC: IMAGE to paste into, usually `inpainted_environment`.
        reference_HWC: the reference picture, float 0…1.
        character_FHW: the driving character's own mask; its bounding box is where the reference goes.
        reference_mask_HW: the reference's character mask: then the character alone is cut out and pasted.
    """
    picture, alpha = reference_HWC, torch.ones(reference_HWC.shape[:2])
    if reference_mask_HW is not None:
        top, bottom, left, right = bounding_box(reference_mask_HW) or (0, len(picture), 0, picture.shape[1])
        picture, alpha = picture[top:bottom, left:right], reference_mask_HW[top:bottom, left:right].float()
    result = environment_FHWC.clone()
    for frame, character in zip(result, character_FHW, strict=True):
        box = bounding_box(character)
        if box is not None:
            top, bottom, left, right = box
            size = (right - left, bottom - top)
            pasted, weight = _resize(picture, size), _resize(alpha, size)[..., None]
            frame[top:bottom, left:right] = weight * pasted + (1 - weight) * frame[top:bottom, left:right]
    return result


def cut_out(picture_HWC: torch.Tensor) -> torch.Tensor:
    """Return the mask (H, W), 0 or 1, of a person who stands in the middle of a picture, by OpenCV's GrabCut.

    The whole picture where GrabCut finds nobody.
    """
    height, width = picture_HWC.shape[:2]
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[int(0.02 * height) : int(0.98 * height), int(0.2 * width) : int(0.8 * width)] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)  # its colour clusters start at random
    state = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(to_uint8(picture_HWC), labels, None, *state, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    mask = torch.from_numpy(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32))
    return mask if mask.any() else torch.ones_like(mask)


def bounding_box(mask_HW: torch.Tensor) -> tuple[int, int, int, int] | None:
    """Return (top, bottom, left, right) of a mask's pixels ≥ 0.5, ends exclusive; `None` where there are none.

    0.5 as in `metrics.character_region`: the character without its rim.
    """
    rows, columns = torch.nonzero(mask_HW >= 0.5, as_tuple=True)
    if len(rows) == 0:
        return None
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def baselines(
    driving_FHWC: torch.Tensor,
    mask_FHW: torch.Tensor,
    reference_HWC: torch.Tensor,
    character_FHW: torch.Tensor,
    reference_mask_HW: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the three baseline clips by name.

    `mask_FHW` is the formulated mask, the hole that the model fills. The reference is cut out by its mask, or by
    `cut_out` where none is given: a stronger baseline than pasting the whole picture with its background.
    """
    environment = inpainted_environment(driving_FHWC, mask_FHW)
    reference_mask_HW = cut_out(reference_HWC) if reference_mask_HW is None else reference_mask_HW
    return {
        "inpainted_environment": environment,
        "pasted_reference": pasted_reference(environment, reference_HWC, character_FHW, reference_mask_HW),
        "driving": driving_FHWC,
    }


def _resize(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    shrinks = size[0] < picture.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(picture.float().numpy(), size, interpolation=interpolation))
