"""The keys that condition nodes set on CONDITIONING, and the Cond objects that core makes of them for a run."""

from __future__ import annotations

import comfy.conds
from torch import Tensor

from ...errors import InputError
from ...models.conditions import CONDITIONS, Condition, Mechanism

REFERENCE, SKELETON = "inhabit_reference", "inhabit_skeleton"
DEPTH, BLUR = "inhabit_depth", "inhabit_blur"
ENVIRONMENT, MASK, OBJECTS = "inhabit_environment", "inhabit_mask", "inhabit_objects"
CONTEXT = "c_crossattn"  # core's own key of the tokens that cross-attention reads
SEED = "inhabit_seed"  # of a run, in its transformer_options: where its windows lie
CELL = "inhabit_cell"  # pixels a side of one latent of the VAE that encoded the conditions
Name = tuple[int, int]  # of a reference and its tokens


def key_of(condition: Condition) -> str:
    """The key under which a condition travels on CONDITIONING."""
    return CONTEXT if condition.name == "context" else f"inhabit_{condition.name}"


def keys_of(mechanism: Mechanism) -> tuple[str, ...]:
    """The keys of the conditions that are switched off as one."""
    return tuple(key_of(condition) for condition in CONDITIONS if condition.mechanism == mechanism)


FRAMED = {condition.name: key_of(condition) for condition in CONDITIONS if condition.per_frame}
PER_FRAME = tuple(FRAMED.values())  # what a context window slices
IN_PIXELS = tuple(FRAMED[each.name] for each in CONDITIONS if each.per_frame and each.space == "pixels")
LATENTS = tuple(FRAMED[each.name] for each in CONDITIONS if each.per_frame and each.space == "latents")  # of the VAE


class FrameCond(comfy.conds.CONDRegular):
    """One tensor a frame, (F, C, h, w); core's own classes silently repeat or cut dimension 0."""

    def __init__(self, cond: Tensor, scale: int = 1) -> None:
        super().__init__(cond)
        self.scale = scale  # pixels of this tensor for one latent cell

    def _copy_with(self, cond: Tensor) -> FrameCond:
        return FrameCond(cond, self.scale)

    def process_cond(self, batch_size: int, area: list[int] | None = None, **kwargs) -> FrameCond:
        """Check the length and cut out core's `area` (height, width, top, left in latent cells)."""
        data = self.cond
        if data.shape[0] != batch_size:
            raise InputError(
                f"a condition has {data.shape[0]} frames, this call has {batch_size}; "
                "use Inhabit Context Windows instead of another context node"
            )
        if area is not None:
            for axis in range(2):
                data = data.narrow(axis + 2, area[axis + 2] * self.scale, area[axis] * self.scale)
        return self._copy_with(data)


class ReferenceCond(comfy.conds.CONDRegular):
    """The reference's latents (1, 4, h, w) and the tokens (1, L, D) they are read with; what reaches the denoiser is
    the name under which `Run` keeps their keys and values, so conditionings with the same reference share a call and
    others never do."""

    def __init__(self, cond: Tensor, context: Tensor | None = None) -> None:
        super().__init__(cond)
        self.context = context

    @property
    def name(self) -> Name:
        return id(self.cond), id(self.context)

    def process_cond(self, **kwargs) -> ReferenceCond:
        return self

    def can_concat(self, other: ReferenceCond) -> bool:
        return self.name == other.name

    def concat(self, others: list[ReferenceCond]) -> Name:
        return self.name

    def size(self) -> list[int]:
        return [1]
