"""What a perception model gives, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...media.pose import PARTS, Pose, to_keypoints
from ..follow import Follow
from ..prompts import Prompt

# Keys of one person's dict: part → the model's own probability of every point; true where no model saw the person.
REAL_SCORES, FILLED = "inhabit_scores", "inhabit_filled"


@dataclass(frozen=True)
class PersonInFrame:
    """What one frame shows of the person that is followed.

    pose: in pixels, scores 1 where a point counts and 0 elsewhere; None where there is nobody. scores: field of Pose →
    (points,) the model's own probabilities. mask (H, W) float32 0…1, the person's visible pixels. filled: made of the
    frames around, since the model saw nobody. z: (18,) of the body's joints in pixels, smaller is nearer, 0 at the
    hips' middle; None where the model tells none.
    """

    pose: Pose | None
    mask: np.ndarray
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    filled: bool = False
    z: np.ndarray | None = None

    def keypoints(self, size: tuple[int, int] | None = None) -> dict:
        """One POSE_KEYPOINT dict in pixels: scores are 1 or 0, as others' decoders want them, the real ones beside.

        size: (width, height) of the picture whose pixels are meant; None: the frame's own.
        """
        height, width = self.mask.shape
        size = size or (width, height)
        scale = np.array([size[0] / width, size[1] / height, 1.0])
        people = [] if self.pose is None else [Pose(**{part: getattr(self.pose, part) * scale for part in PARTS})]
        frame = to_keypoints(people, *size)
        for person in frame["people"]:
            person[REAL_SCORES] = {
                PARTS[part][0]: values.astype(np.float64).round(3).tolist() for part, values in self.scores.items()
            }
            if self.filled:
                person[FILLED] = True
        return frame


class PoseEstimator(Protocol):
    """Whole-body poses and the mask of one person of several, frame by frame.

    identity: the model and its weights, another where the same frames are answered otherwise; None: it cannot be told.
    """

    name: str
    identity: str | None

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[PersonInFrame]:
        """Frames of one shot, uint8 (H, W, 3) RGB of one size → one result each, as they come. Keeps no frame.

        follow: a new one, told of all people in every frame, that says who is meant; None: the largest.
        """


class DepthEstimator(Protocol):
    """How near every pixel is, frame by frame.

    on_skeleton: it knows the limbs alone, in 0…1 with 0 elsewhere.
    """

    name: str
    on_skeleton: bool

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[np.ndarray]:
        """Frames of one shot, uint8 (H, W, 3) RGB of one size → (H, W) float32 each, larger is nearer, on one scale.

        follow: says whose limbs are meant, where it knows limbs alone.
        """


@dataclass(frozen=True)
class LocatedObject:
    """box: left, top, right and bottom in pixels. label: what of the text it is. score 0…1."""

    box: tuple[float, float, float, float]
    label: str
    score: float


class ObjectLocator(Protocol):
    """Where a text's objects are, frame by frame."""

    name: str

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""

    def locate(self, frames: Iterable[np.ndarray], text: str) -> Iterator[list[LocatedObject]]:
        """Frames, uint8 (H, W, 3) RGB, and phrases with commas between them → objects of each, the surest first."""


class VideoSegmenter(Protocol):
    """Masks of objects that somebody pointed at, through a video."""

    name: str

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""

    def segment(self, frames: Sequence[np.ndarray], prompts: Sequence[Prompt]) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield number of a frame, number of an object, and its mask (H, W) bool there: each pair once, in any order.

        frames: uint8 (H, W, 3) RGB of one size, made when they are asked for; no more than a few are held at once.
        prompts: one an object, each with marks on at least one frame.
        """
