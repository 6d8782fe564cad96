"""What a perception model gives, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...media.pose import PARTS, Pose, to_keypoints

REAL_SCORES = "inhabit_scores"  # key of one person's dict: part → the model's own probability of every point


@dataclass(frozen=True)
class PersonInFrame:
    """What one frame shows of the person that is followed.

    pose: in pixels, scores 1 where a point counts and 0 elsewhere; None where there is nobody. scores: field of Pose →
    (points,) the model's own probabilities. mask (H, W) float32 0…1, the person's visible pixels.
    """

    pose: Pose | None
    mask: np.ndarray
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    def keypoints(self) -> dict:
        """One POSE_KEYPOINT dict in pixels: scores are 1 or 0, as others' decoders want them, the real ones beside."""
        height, width = self.mask.shape
        frame = to_keypoints([] if self.pose is None else [self.pose], width, height)
        for person in frame["people"]:
            person[REAL_SCORES] = {
                PARTS[part][0]: values.astype(np.float64).round(3).tolist() for part, values in self.scores.items()
            }
        return frame


class PoseEstimator(Protocol):
    """Whole-body poses and the mask of one person, frame by frame."""

    name: str

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""

    def estimate(self, frames: Iterable[np.ndarray]) -> Iterator[PersonInFrame]:
        """Frames of one shot, uint8 (H, W, 3) RGB of one size → one result each, as they come. Keeps no frame."""
