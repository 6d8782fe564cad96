"""Core's GUIDER with HIA's animation-cfg."""

from __future__ import annotations

import comfy.model_patcher
import comfy.samplers
import torch

from .conds import REFERENCE, keys_of
from .settings import model_config


class AnimationGuider(comfy.samplers.CFGGuider):
    """ε_∅ + ω·(ε_cond - ε_∅), core's own guidance (HIA eq. 4 with the sign that `guidance.guide` explains).

    The negative side is the unconditional one, whatever is wired to it: it loses what the MODEL learned to miss.
    """

    def __init__(self, patcher: comfy.model_patcher.ModelPatcher) -> None:
        """Raises InputError for a MODEL of another pack."""
        config = model_config(patcher)
        super().__init__(patcher)
        self._missing = [key for name in config.sampling.unconditional_without for key in keys_of(name)]

    def set_conds(self, positive: list, negative: list) -> None:
        super().set_conds(positive, [self._unconditional(*cond) for cond in negative])

    def _unconditional(self, context: torch.Tensor, values: dict) -> list:
        """Return one conditioning without what is missed; the reference's image embedding (1, L, D) goes with it."""
        if REFERENCE in values and REFERENCE in self._missing:
            context = torch.zeros_like(context)
        return [context, {key: value for key, value in values.items() if key not in self._missing}]
