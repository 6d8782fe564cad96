"""MediaPipe's points → those of OpenPose: 33 of the body → 18, 468 of the face → 70; the hands' 21 are the same.

Gap: OpenPose's jaw line lies on the face's outline, MediaPipe's on the mesh's; where one side of the face is hidden the
mesh tells where it would be.
"""

import numpy as np

# Of the body, in OpenPose's order. Odd numbers are the person's left; the neck is the middle of the shoulders (11, 12).
BODY = (0, (11, 12), 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
JAW = (127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
NOSE = (168, 197, 5, 4, 75, 97, 2, 326, 305)
RIGHT_EYE, LEFT_EYE = (33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)
MOUTH = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
FACE = (*JAW, *BROWS, *NOSE, *RIGHT_EYE, *LEFT_EYE, *MOUTH)  # and the middles of both eyes after them

SEEN = 0.5  # Not in paper: from this visibility on a point counts


def body_18(points: np.ndarray) -> np.ndarray:
    """(≥ 33, 3) x, y and visibility → (18, 3); the neck is as visible as the less visible shoulder."""
    body = np.stack(
        [points[[index]].mean(axis=0) if isinstance(index, int) else _middle(points, index) for index in BODY]
    )
    return body.astype(np.float32)


def z_18(z: np.ndarray) -> np.ndarray:
    """(≥ 33,) depth of the points → (18,), the neck's is the mean of the shoulders'."""
    return np.array([np.mean(z[list(index) if isinstance(index, tuple) else index]) for index in BODY], np.float32)


def face_70(mesh: np.ndarray) -> np.ndarray:
    """(468, 2) → (70, 2)."""
    eyes = [mesh[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    return np.concatenate([mesh[list(FACE)], eyes]).astype(np.float32)


def counted(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(N, 3) with a probability → the same with score 1 where a point counts and all zeros elsewhere.

    It counts when it is likelier visible than not, and lies inside the picture: the networks tell places outside, too,
    which nobody has seen.
    """
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= (width, height))).all(axis=1)
    there = inside & (points[:, 2] >= SEEN)
    kept = np.zeros_like(points, np.float32)
    kept[there, :2], kept[there, 2] = points[there, :2], 1.0
    return kept


def _middle(points: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    middle = points[list(pair)].mean(axis=0)
    middle[2] = points[list(pair), 2].min()
    return middle
