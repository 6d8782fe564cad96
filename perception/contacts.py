"""What a person touches, frame by frame: the ground, a seat, an object, their face, their other hand.

Every contact is a weight 0…1 that rises and falls over some frames, so that what follows from it does not jump.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..media.opencv import cv2
from .proportions import PELVIS, WRISTS, Skeleton

ANKLES, KNEES, HIPS = (10, 13), (9, 12), (8, 11)
# Not in paper: distances at which a contact is whole and none, in heights of the trunk (hip to neck) …
ON_GROUND = (0.05, 0.15)  # an ankle above its lowest place around
ON_OBJECT = (0.05, 0.15)  # from the hand to the object's mask
HANDS_TOGETHER = (0.05, 0.2)  # between the palms
ON_FACE = (0.08, 0.3)  # from the hand to the face's points
ON_SEAT = (0.45, 0.75)  # of the thighs' length: how far the hips are above the knees
AT_REST = (0.01, 0.04)  # of a frame's way
PASSING = (0.04, 0.12)  # of a frame's way of one hand beside the other: they pass each other, without a touch
AROUND = 12  # frames to both sides in which the ground under a foot is looked for
INSIDE = 0.5  # of a mask: from here on it is the object
SOFT = 1.5  # frames, the standard deviation of a contact's rise and fall
GRIP = (5, 6, 9, 10, 13)  # points of a hand whose middle holds an object


@dataclass(frozen=True)
class Contacts:
    """Weights 0…1, right and left where there are two: ground, objects, face (2, F); seat, together (F,)."""

    ground: np.ndarray
    seat: np.ndarray
    objects: np.ndarray
    face: np.ndarray
    together: np.ndarray


def find_contacts(person: Skeleton, size: float, objects: Iterable[np.ndarray] | None = None) -> Contacts:
    """Contacts of a clip.

    size: pixels from the hips to the neck. objects: as many masks (H, W), 0…1, as there are frames, in the pixels of
    the poses; None: hands hold nothing.
    """
    joints = person.joints
    ground = np.stack([_ground(joints[:, ankle], size) for ankle in ANKLES])
    held = np.zeros_like(ground) if objects is None else _near_objects(person, objects, size)
    face = np.stack([_near(hand, person.face, size, ON_FACE) for hand in person.hands])
    palms = [_grip(hand) for hand in person.hands]
    together = _near(palms[0][:, None], palms[1][:, None], size, HANDS_TOGETHER)
    apart = np.where((palms[0] * palms[1])[:, 2:] > 0, palms[1] - palms[0], np.nan)[:, :2]
    together = together * _falling(np.hypot(*(_speed(way) for way in apart.T)) / size, PASSING)
    face = face * (1 - held)
    together = together * (1 - held.max(axis=0))
    return Contacts(*(_softened(weight) for weight in (ground, _seat(joints, size), held, face, together)))


def grips(person: Skeleton) -> np.ndarray:
    """(2, F, 3) where each hand holds things; its wrist where the hand is missing."""
    places = np.stack([_grip(hand) for hand in person.hands])
    wrists = np.stack([person.joints[:, 4], person.joints[:, 7]])
    return np.where(places[..., 2:] > 0, places, wrists)


def _grip(hand: np.ndarray) -> np.ndarray:
    points = hand[:, GRIP]
    middle = points.mean(axis=1)
    middle[:, 2] = points[..., 2].min(axis=1)
    return np.where(middle[:, 2:] > 0, middle, 0.0)


def _falling(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """1 up to the first limit, 0 from the second on, NaN is 0."""
    whole, none = limits
    return np.nan_to_num(np.clip((none - values) / (none - whole), 0, 1))


def _ground(ankle: np.ndarray, size: float) -> np.ndarray:
    """How surely a foot stands: near its lowest place around, and not on its way up or down."""
    low = np.where(ankle[:, 2] > 0, ankle[:, 1], np.nan)
    around = np.pad(low, AROUND, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * AROUND + 1)
    lowest = np.nanmax(np.where(np.isnan(windows), -np.inf, windows), axis=1)
    return _falling((lowest - low) / size, ON_GROUND) * _falling(_speed(low) / size, AT_REST)


def _seat(joints: np.ndarray, size: float) -> np.ndarray:
    """How surely somebody sits: both hips hardly above the knees, and at rest."""
    weights = []
    for hip, knee in zip(HIPS, KNEES, strict=True):
        there = (joints[:, hip, 2] > 0) & (joints[:, knee, 2] > 0)
        above = np.where(there, joints[:, knee, 1] - joints[:, hip, 1], np.nan)
        thigh = np.linalg.norm(joints[:, knee, :2] - joints[:, hip, :2], axis=1)
        longest = max(float(np.max(thigh, where=there, initial=0)), 0.5 * size)
        weights.append(_falling(above / longest, ON_SEAT))
    return np.minimum(*weights) * _falling(_speed(joints[:, PELVIS, 1]) / size, AT_REST)


def _speed(values: np.ndarray) -> np.ndarray:
    return np.abs(np.gradient(values)) if len(values) > 1 else np.where(np.isfinite(values), 0.0, np.nan)


def _near(first: np.ndarray, second: np.ndarray, size: float, limits: tuple[float, float]) -> np.ndarray:
    """Weights (F,) by the least distance between two sets of points (F, N, 3), (F, M, 3)."""
    apart = np.linalg.norm(first[:, :, None, :2] - second[:, None, :, :2], axis=-1)
    both = (first[:, :, None, 2] > 0) & (second[:, None, :, 2] > 0)
    return _falling(np.where(both, apart, np.inf).min(axis=(1, 2)) / size, limits)


def _near_objects(person: Skeleton, objects: Iterable[np.ndarray], size: float) -> np.ndarray:
    """(2, F) by the least distance from a hand's points, or from its wrist, to the object, whose mask it may hide."""
    weights = np.zeros(person.hands.shape[:2])
    for index, mask in enumerate(objects):
        free = (np.asarray(mask) < INSIDE).astype(np.uint8)
        if free.all():
            continue
        distance = cv2.distanceTransform(free, cv2.DIST_L2, 5)
        height, width = distance.shape
        for side, wrist in enumerate(WRISTS):
            points = np.concatenate([person.hands[side, index], person.joints[index, wrist, None]])
            points = points[(points[:, 2] > 0) & (points[:, :2] >= 0).all(axis=1)]
            columns, rows = points[:, :2].astype(int).T
            there = (columns < width) & (rows < height)
            apart = distance[rows[there], columns[there]].min(initial=np.inf)
            weights[side, index] = _falling(apart / size, ON_OBJECT)
    return weights


def _softened(weights: np.ndarray) -> np.ndarray:
    """Weights (…, F) that rise and fall over some frames; where there is a contact all the time, nothing changes."""
    reach = int(3 * SOFT)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SOFT) ** 2)
    padded = np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(reach, reach)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=-1)
    return windows @ (kernel / kernel.sum())
