"""A result that was drawn in a window of the driving video, put back into the whole picture at its full size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..media import resize, to_float
from ..perception.person_crop import PersonCrop

FEATHER = 0.02  # of the window's shorter side: its border, over which the result fades into the picture


def uncropped(
    results: Iterable[Tensor], shown: Iterable[Tensor], whole: Iterable[np.ndarray], crop: PersonCrop
) -> Iterator[Tensor]:
    """Frames (H, W, 3) 0…1 of the whole picture, with the results where they differ from what was shown there.

    results, shown: frames (h, w, 3) 0…1, what was made of the window and what the window showed before, of one size.
    whole: the frames of the driving video, uint8 (H, W, 3). Where the two are equal, the picture's own pixels stay as
    they are; elsewhere the result is enlarged to the window's own size.
    """
    for index, (result, before, picture) in enumerate(zip(results, shown, whole, strict=True)):
        yield put_back(result, (result != before).any(dim=-1).float(), to_float(picture), crop, index)


def put_back(result: Tensor, weight: Tensor, picture: Tensor, crop: PersonCrop, index: int) -> Tensor:
    """One frame (H, W, 3) with a result (h, w, 3) in its window, as far as the weight (h, w), 0…1, says."""
    width, height = crop.size
    enlarged = torch.from_numpy(resize(result[None].numpy(), width, height)[0]).clamp(0, 1)
    alpha = torch.from_numpy(resize(weight[None].numpy(), width, height)[0]).clamp(0, 1) * _border(crop)
    rows, columns = crop.window(index)
    own = picture[rows, columns]
    mixed = torch.where(alpha[..., None] > 0, torch.lerp(own, enlarged, alpha[..., None]), own)
    whole = picture.clone()
    whole[rows, columns] = mixed
    return whole


def _border(crop: PersonCrop) -> Tensor:
    """Weights (height, width): 1 in the window, falling to 0 at those of its sides that are not the picture's.

    A moving window may touch the picture's side in one frame and not in another: it counts as its own side then.
    """
    width, height = crop.size
    reach = max(1, round(FEATHER * min(crop.size)))
    corners = torch.tensor(crop.corners)
    left, top = (corners == 0).all(dim=0).tolist()
    right, bottom = (corners + torch.tensor(crop.size) == torch.tensor(crop.picture)).all(dim=0).tolist()
    return _ramp(height, reach, top, bottom)[:, None] * _ramp(width, reach, left, right)[None]


def _ramp(length: int, reach: int, first_is_free: bool, last_is_free: bool) -> Tensor:
    weights = torch.ones(length)
    rise = torch.arange(1, min(reach, length // 2) + 1) / (reach + 1)
    if not first_is_free:
        weights[: len(rise)] = rise
    if not last_is_free:
        weights[length - len(rise) :] = rise.flip(0)
    return weights
