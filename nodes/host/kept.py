"""The plain noise under what a noise mask keeps, where a run starts from other noise (Inhabit Reference Noise).

Core re-noises what is kept with the tensor that the run starts from. A kept scene's latents at step t are
√ᾱ·scene + √(1-ᾱ)·ε with ε standard normal: the reference under the start is for what is still to be drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor

PLAIN = "inhabit_plain_noise"  # an attribute of a NOISE object's tensor, then a key in the run's transformer_options


def over_plain(noise: Tensor, plain: Tensor) -> Tensor:
    """Return `noise`, which says from now on that `plain` is what it was made over."""
    setattr(noise, PLAIN, plain)
    return noise


def remember_plain(noise: Tensor, options: dict) -> None:
    """Put what the noise was made over, if it says so, into a run's transformer_options; core's casts forget it."""
    plain = getattr(noise, PLAIN, None)
    if plain is not None:
        options[PLAIN] = plain


def plain_where_kept(noise: Tensor, options: dict, mask: Tensor | None) -> Tensor:
    """Return the noise of a run, plain where a mask (F, …, h, w) that its NOISE has not seen keeps what is there."""
    plain = options.pop(PLAIN, None)
    return noise if plain is None or mask is None else torch.lerp(plain.to(noise), noise, mask.to(noise))
