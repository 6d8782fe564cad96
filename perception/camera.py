"""How the camera moved between two pictures of one place, from what stands still in both."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..media.opencv import cv2

LONGER_SIDE = 640  # pixels of the pictures that are compared, at most
MOST_POINTS, LEAST_POINTS = 400, 12
SPREAD, DARK = 10.0, 12.0  # pixels around a pixel, and 0…255 below which brightness is mostly noise
WINDOW = (21, 21)  # pixels around a point by which it is found again
SAME_WAY_BACK = 0.5  # pixels that a point may miss where it is followed there and back
FITS = 0.75  # pixels that a point may lie beside where the motion puts it
LEAST_SHARE = 0.5  # of the points that must fit
CHANGED = 12.0  # 0…255: mean difference that two pictures of a still camera may have where no corner tells
BETTER, STEP = 1.2, 0.1  # a motion is one when without it pictures differ by this factor, and 0…255, more
SIMPLER = 0.95  # of the points that fit the freest motion: a simpler one that fits as many is taken


class View:
    """One picture as it is compared: small and grey, with what counts in it.

    scale: 3 × 3, from the picture's own pixels to the small one's.
    """

    def __init__(self, picture: np.ndarray, hidden: np.ndarray) -> None:
        """picture: (H, W, 3) uint8. hidden: (H, W) bool, what does not stand still."""
        height, width = hidden.shape
        factor = min(1.0, LONGER_SIDE / max(height, width))
        size = max(1, round(width * factor)), max(1, round(height * factor))
        grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        seen = cv2.resize((~hidden).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        self.grey = _without_exposure(grey, seen)
        self.seen = cv2.erode(seen, np.ones((5, 5), np.uint8), borderValue=1)
        x, y = size[0] / width, size[1] / height
        self.scale = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])

    @cached_property
    def points(self) -> np.ndarray:
        """(N, 2) float32, corners that can be found again."""
        distance = max(self.grey.shape) / 80
        found = cv2.goodFeaturesToTrack(self.grey, MOST_POINTS, 0.003, distance, mask=self.seen)
        return np.zeros((0, 2), np.float32) if found is None else found[:, 0]


def camera_motion(start: View, end: View, guess: np.ndarray | None = None) -> np.ndarray | None:
    """Return the homography (3, 3) that takes pixels of one picture to those of another; None where it is not sure.

    guess: about the same, from a picture near by. Corners are followed by optical flow there and back; of a shift, a
    similarity and a homography the simplest that as many corners fit is taken, since what the character hides lies
    beyond the corners, where a freer one goes wrong first.
    """
    guess = np.eye(3) if guess is None else start.scale @ guess @ np.linalg.inv(start.scale)
    points, moved = _followed(start, end, guess)
    if len(points) < LEAST_POINTS:
        return None
    fits = [(motion, _misses(motion, points, moved) < FITS) for motion in _motions(points, moved)]
    most = max(int(inside.sum()) for _, inside in fits)
    if most < max(LEAST_POINTS, LEAST_SHARE * len(points)):
        return None
    motion = next(motion for motion, inside in fits if inside.sum() >= SIMPLER * most)
    return np.linalg.inv(end.scale) @ motion @ start.scale


def stands_still(start: View, end: View, furthest: float = 0.35) -> bool:
    """Whether the camera did not move between two pictures.

    furthest: small pixels that a corner of the picture may seem to move. A motion that does not explain the pictures
    better than none is none: it is something else's, a shadow's or a bystander's.
    """
    motion = camera_motion(start, end)
    if motion is None:
        return _difference(start, end, np.eye(3)) <= CHANGED
    small = end.scale @ motion @ np.linalg.inv(start.scale)
    height, width = start.grey.shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
    if float(_misses(small, corners, corners).max()) <= furthest:
        return True
    return _difference(start, end, np.eye(3)) <= BETTER * _difference(start, end, small) + STEP


def _without_exposure(grey: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(h, w) uint8: how bright each pixel is next to what is seen around it: an exposure that flickers drops out."""
    total = cv2.GaussianBlur(grey.astype(np.float32) * seen, (0, 0), SPREAD)
    around = total / np.maximum(cv2.GaussianBlur(seen.astype(np.float32), (0, 0), SPREAD), 1e-3)
    return np.clip(100 * (grey + DARK) / (around + DARK), 0, 255).astype(np.uint8)


def _difference(start: View, end: View, small: np.ndarray) -> float:
    """Mean difference 0…255 of what both show, 0 without anything in common. small: (3, 3), start's pixels to end's."""
    height, width = start.grey.shape
    options = {"dsize": (width, height), "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP}
    brought = cv2.warpPerspective(end.grey, small, **options)
    both = (cv2.warpPerspective(end.seen, small, **options) & start.seen).astype(bool)
    return float(cv2.absdiff(start.grey, brought)[both].mean()) if both.any() else 0.0


def _followed(start: View, end: View, guess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 2) of one view and where they are in the other."""
    points = start.points
    if not len(points):
        return points, points
    options = {"winSize": WINDOW, "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    expected = _moved(guess, points)
    moved, there, _ = cv2.calcOpticalFlowPyrLK(start.grey, end.grey, points, expected.copy(), **options)
    back, again, _ = cv2.calcOpticalFlowPyrLK(end.grey, start.grey, moved, points.copy(), **options)
    good = (there & again)[:, 0].astype(bool) & (np.linalg.norm(back - points, axis=1) < SAME_WAY_BACK)
    height, width = end.grey.shape
    place = np.rint(np.where(good[:, None], moved, -1)).astype(int)
    good &= (place >= 0).all(axis=1) & (place[:, 0] < width) & (place[:, 1] < height)
    good[good] = end.seen[place[good, 1], place[good, 0]] > 0
    return points[good], moved[good]


def _motions(points: np.ndarray, moved: np.ndarray) -> list[np.ndarray]:
    """A shift, a similarity and a homography, each robust."""
    shift = np.eye(3)
    shift[:2, 2] = np.median(moved - points, axis=0)
    similar, _ = cv2.estimateAffinePartial2D(points, moved, ransacReprojThreshold=FITS)
    free, _ = cv2.findHomography(points, moved, cv2.RANSAC, FITS)
    similar = None if similar is None else np.vstack([similar, [0, 0, 1]])
    return [motion for motion in (shift, similar, free) if motion is not None]


def _moved(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(points[:, None].astype(np.float32), motion)[:, 0]


def _misses(motion: np.ndarray, points: np.ndarray, moved: np.ndarray) -> np.ndarray:
    return np.linalg.norm(_moved(motion, points) - moved, axis=1)
