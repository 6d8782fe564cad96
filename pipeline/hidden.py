"""What a clean plate must not be made of: the perceived character, and more where that may lack some of it."""

from __future__ import annotations

from torch import Tensor

from ..perception import dilate
from ..perception.masks import inside
from .mask_input import drawn_on, limbs
from .streams import LazyFrames

NEAR = 1.0  # seconds from a frame that shows the character within which one without may lack it by mistake
WAY = 0.08  # of the shorter side: how far the character may have moved until then


def certainly_hidden(characters: LazyFrames, skeletons: LazyFrames, rate: float) -> LazyFrames:
    """Return masks (F, H, W), 0 or 1, of an estimator's masks (F, H, W) and the limbs that they lack.

    Near frames that show the character, one that does not is taken to hide it where it was, and around. rate: frames a
    second; skeletons: (F, H, W, 3).
    """
    shown = [bool(inside(mask).any()) for mask in characters]
    nearest = [_nearest_shown(shown, index, round(NEAR * rate)) for index in range(len(shown))]

    def masks(frames: list[int]) -> Tensor:
        hidden = (inside(characters[[nearest[index] for index in frames]]) | limbs(drawn_on(skeletons[frames]))).float()
        for place, index in enumerate(frames):
            if nearest[index] != index:
                hidden[place] = dilate(hidden[place][None], WAY * min(hidden.shape[1:]))[0]
        return hidden

    return LazyFrames(characters.shape, masks)


def with_objects(characters: LazyFrames, objects: LazyFrames | None) -> LazyFrames:
    """Return masks (F, H, W), 0 or 1, of both."""
    if objects is None:
        return characters
    return LazyFrames(characters.shape, lambda frames: (inside(characters[frames]) | inside(objects[frames])).float())


def _nearest_shown(shown: list[bool], index: int, reach: int) -> int:
    """The number of the nearest frame that shows the character, itself where none is within `reach`."""
    for away in range(reach + 1):
        for other in (index - away, index + away):
            if 0 <= other < len(shown) and shown[other]:
                return other
    return index
