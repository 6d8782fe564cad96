"""Driving video → skeleton pictures, depth and masks. Every function is useful alone, on standard types."""

from .masks import dilate, feather, shape_agnostic_mask
from .skeleton import draw_skeleton, render_skeleton, structured_depth

__all__ = ["dilate", "draw_skeleton", "feather", "render_skeleton", "shape_agnostic_mask", "structured_depth"]
