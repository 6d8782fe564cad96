"""The reference picture, fitted to the frames it goes with, and the empty studio for a pose without a scene."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError
from ..media import resize

SMALLEST_REFERENCE = 32  # pixels a side


def fit_reference(picture: Tensor, size: tuple[int, int], multiple: int, name: str) -> Tensor:
    """Return IMAGE (1, h, w, 3): a picture of its own shape, at most as many pixels as `size` has, sides snapped.

    size: (width, height) in pixels of the frames it goes with. multiple: what divides both sides of the result.
    Raises InputError for a picture (1, H, W, 3) of less than 32 pixels a side, by its name.
    """
    height, width = picture.shape[1:3]
    if min(height, width) < SMALLEST_REFERENCE:
        raise InputError(
            f"{name} is {width}x{height} pixels: give a picture of the character of at least "
            f"{SMALLEST_REFERENCE}x{SMALLEST_REFERENCE}"
        )
    scale = min(1.0, (size[0] * size[1] / (width * height)) ** 0.5)
    width, height = (nearest_side(side * scale, multiple) for side in (width, height))
    return torch.from_numpy(resize(picture.numpy(), width, height)).clamp(0, 1)


def studio(width: int, height: int) -> Tensor:
    """An empty room (1, height, width, 3) 0…1 for a pose that comes without a scene: a wall, a floor, soft light."""
    y = torch.linspace(0, 1, height).view(-1, 1)
    x = torch.linspace(-1, 1, width).view(1, -1)
    floor = torch.sigmoid((y - 0.74) * height / 2)  # an edge about two pixels soft
    light = 1 - 0.12 * x**2 - 0.10 * (y - 0.3) ** 2
    wall, ground = torch.tensor([0.70, 0.74, 0.78]), torch.tensor([0.56, 0.53, 0.50])
    colour = wall + floor.unsqueeze(-1) * (ground - wall)
    return (colour * light.unsqueeze(-1)).clamp(0, 1).unsqueeze(0)


def nearest_side(length: float, multiple: int) -> int:
    """The multiple of `multiple` nearest to a length in pixels, at least one."""
    return max(multiple, round(length / multiple) * multiple)
