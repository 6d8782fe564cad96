"""Whole-body poses and a mask of one person of several by MediaPipe's graphs on LiteRT, on one thread of a CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from ...errors import InputError
from ...media.pose import PARTS, Pose
from ...weights.installed import read_installed, why_missing
from ..follow import Follow, Follower
from ..guided_filter import guided_filter
from . import mediapipe_files as files
from .litert import Graph, why_no_litert
from .mediapipe_body import Body, BodyTracker
from .mediapipe_face import FaceTracker
from .mediapipe_hands import Hand, HandTracker
from .mediapipe_layouts import body_18, counted, face_70, z_18
from .protocols import PersonInFrame

Size = Literal["full", "heavy"]
BODIES = {"full": files.BODY_FULL, "heavy": files.BODY_HEAVY}


class MediaPipePose:
    """A `PoseEstimator`."""

    name = "mediapipe"

    def __init__(self, size: Size | None = None):
        """size: of the body graph; None: the heavy one where it is installed, else the full one."""
        if size is not None and size not in BODIES:
            raise InputError(f"{size!r} is no size of the body graph: give full or heavy")
        self._bodies = [BODIES[size]] if size else [files.BODY_HEAVY, files.BODY_FULL]

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        return why_no_litert() or why_missing(files.MEDIAPIPE)

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[PersonInFrame]:
        """See `PoseEstimator`. Raises InputError, before the first frame is read, where it is not available."""
        reason = self.available()
        if reason is not None:
            raise InputError(reason)
        body = BodyTracker(_graph(files.POSE_DETECTOR), _graph(*self._bodies), follow or Follower())
        hands = HandTracker(_graph(files.PALM_DETECTOR), _graph(files.HAND))
        face = FaceTracker(_graph(files.FACE_DETECTOR), _graph(files.FACE))
        return (_person(_checked(frame), body, hands, face) for frame in frames)


def _graph(*names: str) -> Graph:
    return Graph(read_installed(files.MEDIAPIPE, names))


def _checked(frame: np.ndarray) -> np.ndarray:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InputError(f"a frame is {frame.dtype} {frame.shape}: give uint8 (height, width, 3), RGB")
    return np.ascontiguousarray(frame)


def _person(
    frame: np.ndarray, track_body: BodyTracker, track_hands: HandTracker, track_face: FaceTracker
) -> PersonInFrame:
    body = track_body(frame)
    points = None if body is None else body.points
    hands, mesh = track_hands(frame, points), track_face(frame, points)
    if body is None:
        return PersonInFrame(None, np.zeros(frame.shape[:2], np.float32))
    found = _points(body, hands, mesh)
    height, width = frame.shape[:2]
    pose = Pose(**{part: counted(points, width, height) for part, points in found.items()})
    scores = {part: points[:, 2] for part, points in found.items()}
    return PersonInFrame(pose, guided_filter(frame, body.mask), scores, z=z_18(body.z))


def _points(body: Body, hands: list[Hand | None], mesh: np.ndarray | None) -> dict[str, np.ndarray]:
    """Field of Pose → (points, 3) x, y in pixels and the network's own probability, zeros for what is not seen."""
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    parts["body"] = body_18(body.points)
    for part, hand in zip(("left_hand", "right_hand"), hands, strict=True):
        if hand is not None:
            parts[part][:, :2], parts[part][:, 2] = hand.points, hand.presence
    if mesh is not None:
        parts["face"][:, :2], parts["face"][:, 2] = face_70(mesh), 1.0
    return parts
