"""The face of one person: looked for where the body's head is, then followed (MediaPipe's face mesh).

Source: Kartynnik et al. 2019, "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs".
"""

from __future__ import annotations

import numpy as np

from .crops import Crop, around
from .detection import Detection, Detector, sigmoid
from .litert import Graph

STRIDES = (8, 16, 16, 16)
HEAD = slice(0, 11)  # of the body's 33: nose, eyes, ears, mouth
AROUND_A_HEAD = 3.0  # side of the square in which faces are looked for, in sizes of the head's points
FOUND, FOLLOWED = 2.0, 1.5  # sides in sizes of the detector's box, and of the mesh in the last frame
PRESENT = 0.5
EYE_CORNERS = [33, 263]  # of the mesh: the outer ones, right and left
NEAR_THE_HEAD = 1.0  # Not in paper: the gate, distance of mesh and head in sizes of the mesh


class FaceTracker:
    """Follows the face of one person. Between frames it keeps one square."""

    def __init__(self, detector: Graph, mesh: Graph):
        self._detect = Detector(detector, STRIDES, signed=True)
        self._graph = mesh
        self._crop: Crop | None = None

    def __call__(self, picture_HWC: np.ndarray, body: np.ndarray | None) -> np.ndarray | None:
        """The mesh (468, 2) of the person whose body (≥ 33, 3) lies in the next frame, in pixels, or None."""
        mesh = None
        if body is not None:
            head = around(body[HEAD, :2], 0.0)
            mesh = self._look(picture_HWC, self._crop, head)
            if mesh is None:
                first = self._look(picture_HWC, self._search(picture_HWC, head), head)
                mesh = None if first is None else self._look(picture_HWC, _followed(first), head)
        self._crop = None if mesh is None else _followed(mesh)
        return mesh

    def _search(self, picture_HWC: np.ndarray, head: Crop) -> Crop | None:
        area = head.grown(AROUND_A_HEAD)
        faces = self._detect(picture_HWC, area) if area.side >= 1 else []
        return _of_a_face(faces[0]) if faces else None

    def _look(self, picture_HWC: np.ndarray, crop: Crop | None, head: Crop) -> np.ndarray | None:
        if crop is None or crop.side < 1:
            return None
        points, presence = self._graph(crop.cut(picture_HWC, self._graph.side))[:2]
        if sigmoid(presence.item()) < PRESENT:
            return None
        mesh = crop.to_picture(points.reshape(-1, 3)[:, :2] / self._graph.side)
        box = around(mesh, 0.0)
        return mesh if np.hypot(box.x - head.x, box.y - head.y) < NEAR_THE_HEAD * box.side else None


def _followed(mesh: np.ndarray) -> Crop:
    return around(mesh, _angle(*mesh[EYE_CORNERS])).grown(FOLLOWED)


def _of_a_face(face: Detection) -> Crop:
    """Turned by the detector's eyes, its first two key points, right and left."""
    x, y = face.corners.mean(axis=0)
    side = float((face.corners[1] - face.corners[0]).max())
    return Crop(float(x), float(y), side, _angle(face.points[0], face.points[1])).grown(FOUND)


def _angle(right_eye: np.ndarray, left_eye: np.ndarray) -> float:
    x, y = left_eye - right_eye
    return float(np.arctan2(y, x))
