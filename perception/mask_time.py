"""Masks that last longer than the frame they were made for."""

from torch import Tensor


def held(mask: Tensor, frames: int) -> Tensor:
    """Return a mask (F, H, W) that also covers, in every frame, what it covered in the so many frames before.

    Video models whose latents hold several frames each need it: core's WanAnimateToVideo, with 4 frames a latent, reads
    the mask of frame f + 3 for frame f, so that 3 keep what moves inside the mask.
    """
    longest = mask.clone()
    for back in range(1, min(frames, len(mask) - 1) + 1):
        longest[back:] = longest[back:].maximum(mask[:-back])
    return longest
