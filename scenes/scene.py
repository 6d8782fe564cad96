"""What a scene consists of: single frames and whole clips with their ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

HELD_OUT_SEED = 900_000  # seeds from here on are never trained on


@dataclass(frozen=True)
class Frame:
    """One picture with its ground truth; all of the same height and width.

    image (H, W, 3) uint8; depth (H, W) float32 0…1, 1 = near; character, object, hands, face (H, W) uint8 0…255,
    anti-aliased, visible parts only.
    """

    image: np.ndarray
    depth: np.ndarray
    character: np.ndarray
    object: np.ndarray
    hands: np.ndarray
    face: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A clip: character A drives, the target shows character B doing the same in the same place.

    reference (H, W, 3) uint8 shows B; driving, target (F, H, W, 3) uint8; pose one POSE_KEYPOINT dict a frame; depth
    (F, H, W) float32 0…1, 1 = near; character, object, hands, face (F, H, W) uint8 masks of the driving video;
    target_character (F, H, W) uint8 mask of B in the target; reference_pose the reference's POSE_KEYPOINT dict, None in
    folders that hold none.
    """

    reference: np.ndarray
    driving: np.ndarray
    target: np.ndarray
    pose: list[dict]
    depth: np.ndarray
    character: np.ndarray
    object: np.ndarray
    hands: np.ndarray
    face: np.ndarray
    target_character: np.ndarray
    meta: dict = field(default_factory=dict)
    reference_pose: dict | None = None
