"""Depth that a pose carries."""

from torch import Tensor

from ..errors import InputError

SKELETON_THRESHOLD = 0.1  # Not in paper: a skeleton picture counts as "on" where its brightest channel exceeds this


def structured_depth(depth_FHW: Tensor, skeleton_FHWC: Tensor) -> Tensor:
    """Depth kept only where the binarised skeleton is on, 0 elsewhere (AA2 §3.4).

    depth_FHW: (F, H, W) 0…1, 1 = near. skeleton_FHWC: IMAGE (F, H, W, 3). Returns (F, H, W).
    Raises InputError when the shapes differ.
    """
    if depth_FHW.shape != skeleton_FHWC.shape[:3]:
        raise InputError(
            f"depth is {tuple(depth_FHW.shape)} and skeleton {tuple(skeleton_FHWC.shape[:3])} (frames, height, width): "
            "give both the same length and size"
        )
    return depth_FHW * (skeleton_FHWC.amax(dim=-1) > SKELETON_THRESHOLD)
