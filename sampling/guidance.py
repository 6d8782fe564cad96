"""Classifier-free guidance over the animation's own conditions."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor


def needs_unconditional(scale: float, without: Collection[str]) -> bool:
    """Say whether guidance looks at the unconditional prediction at all: at 1 it cancels out.

    So it does where the pass goes without nothing (`sampling.unconditional_without`): both passes are the same then.
    """
    return scale != 1.0 and len(without) > 0


def guide(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Return ε_∅ + ω·(ε_cond - ε_∅), the animation-cfg of HIA eq. 4 with ω = `scale`; any equal shapes.

    HIA prints ε_∅ + ω·(ε_∅ - ε_cond). That walks *away* from the condition as ω grows and at ω = 1 gives
    2·ε_∅ - ε_cond instead of the conditional prediction, so the sign inside the bracket is a misprint.
    """
    return unconditional + scale * (conditional - unconditional)
