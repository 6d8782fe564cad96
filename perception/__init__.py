"""Driving video → skeletons, depth, masks, regions, motion blur. Every function is useful alone, on standard types."""

from .face_crops import face_crops
from .mask_time import held
from .masks import dilate, feather, inside, mask_preview, shape_agnostic_mask
from .motion_blur import HandBlur, blur_maps, measure_hand_blur, override_sharpness
from .regions import Regions, hand_face_regions
from .skeleton import draw_skeleton, render_skeleton, structured_depth

__all__ = [
    "HandBlur",
    "Regions",
    "blur_maps",
    "dilate",
    "draw_skeleton",
    "face_crops",
    "feather",
    "hand_face_regions",
    "held",
    "inside",
    "mask_preview",
    "measure_hand_blur",
    "override_sharpness",
    "render_skeleton",
    "shape_agnostic_mask",
    "structured_depth",
]
