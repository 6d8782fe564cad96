"""The hands of one person: looked for where the body's wrists are, then followed (MediaPipe Hands).

Source: Zhang et al. 2020, "MediaPipe Hands". The gate, which keeps what is no hand of this person out, is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .crops import Crop, around, upright
from .detection import Detection, Detector
from .litert import Graph

PALM_STRIDES = (8, 16, 16, 16)
PRESENT = 0.5
LED, PALM, PALM_SHIFT = 2.7, 2.6, -0.5  # sides in sizes of the hand that the body tells, and of the palm's box
FOLLOWED, FOLLOWED_SHIFT = 2.0, -0.1  # of the box around the palm's points in the last frame
AROUND_A_WRIST = 3.0  # side of the square in which palms are looked for, in sizes of the hand that the body tells
PALM_POINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
ELBOW, WRIST, LITTLE, INDEX = (13, 14), (15, 16), (17, 18), (19, 20)  # of the body's 33, left and right
SHOULDER = (11, 12)
# Not in paper: the gate. Lengths in arms: the forearm or, where that is foreshortened, a part of the upper arm.
UPPER_ARM = 0.6
NEAR_ITS_WRIST, SHORTEST, LONGEST = 0.6, 0.15, 0.9
SAME_PLACE = 0.25  # mean distance of two hands' points, in sizes of a hand, below which they are the same pixels


@dataclass(frozen=True)
class Hand:
    """points (21, 2) in pixels, in OpenPose's order; presence 0…1."""

    points: np.ndarray
    presence: float

    @property
    def size(self) -> float:
        """Pixels from the wrist to the middle finger's root."""
        return float(np.linalg.norm(self.points[9] - self.points[0]))


class HandTracker:
    """Follows both hands of one person. Between frames it keeps a square for each."""

    def __init__(self, palms: Graph, landmarks: Graph):
        self._detect = Detector(palms, PALM_STRIDES, signed=False)
        self._graph = landmarks
        self._crops: list[Crop | None] = [None, None]

    def __call__(self, picture_HWC: np.ndarray, body: np.ndarray | None) -> list[Hand | None]:
        """Left and right hand of the person whose body (≥ 33, 3) lies in the next frame; None: not seen."""
        if body is None:
            self._crops = [None, None]
            return [None, None]
        hands = [self._find(picture_HWC, body[:, :2], side) for side in (0, 1)]
        hands = one_hand_a_place(hands, body[list(WRIST), :2])
        self._crops = [None if hand is None else _followed(hand) for hand in hands]
        return hands

    def _find(self, picture_HWC: np.ndarray, body: np.ndarray, side: int) -> Hand | None:
        """The first that passes the gate: where it was, where the body leads, where a palm is near the wrist."""
        if self._crops[side] is not None:
            hand = self._look(picture_HWC, self._crops[side])
            if hand is not None and belongs(hand, body, side):
                return hand
        for search in (self._led, self._palm):
            first = self._look(picture_HWC, search(picture_HWC, body, side))
            hand = None if first is None else self._look(picture_HWC, _followed(first))
            if hand is not None and belongs(hand, body, side):
                return hand
        return None

    def _led(self, picture_HWC: np.ndarray, body: np.ndarray, side: int) -> Crop:
        return led_by_the_body(body, side).grown(LED)

    def _palm(self, picture_HWC: np.ndarray, body: np.ndarray, side: int) -> Crop | None:
        wrist = body[WRIST[side]]
        area = Crop(float(wrist[0]), float(wrist[1]), led_by_the_body(body, side).side * AROUND_A_WRIST)
        palms = self._detect(picture_HWC, area) if area.side >= 1 else []
        if not palms:
            return None
        return _of_a_palm(min(palms, key=lambda palm: np.linalg.norm(palm.points[0] - wrist)))

    def _look(self, picture_HWC: np.ndarray, crop: Crop | None) -> Hand | None:
        if crop is None or crop.side < 1:
            return None
        points, presence = self._graph(crop.cut(picture_HWC, self._graph.side))[:2]
        if presence.item() < PRESENT:
            return None
        return Hand(crop.to_picture(points.reshape(-1, 3)[:, :2] / self._graph.side), float(presence.item()))


def led_by_the_body(body: np.ndarray, side: int) -> Crop:
    """The square around a hand of which the body (≥ 33, 2) tells the wrist and the roots of two fingers."""
    wrist = body[WRIST[side]]
    middle = (2 * body[INDEX[side]] + body[LITTLE[side]]) / 3
    reach = middle - wrist
    return upright(middle, middle + reach, 2 * float(np.linalg.norm(reach)))


def belongs(hand: Hand, body: np.ndarray, side: int) -> bool:
    """The gate: whether a hand is near this wrist of the body (≥ 33, 2), and of a size that fits the arm."""
    shoulder, elbow, wrist = (body[joint[side]] for joint in (SHOULDER, ELBOW, WRIST))
    arm = max(np.linalg.norm(wrist - elbow), UPPER_ARM * np.linalg.norm(elbow - shoulder))
    near = np.linalg.norm(hand.points[0] - wrist) < NEAR_ITS_WRIST * arm
    return bool(near and SHORTEST * arm < hand.size < LONGEST * arm)


def one_hand_a_place(hands: list[Hand | None], wrists: np.ndarray) -> list[Hand | None]:
    """Of two hands on the same pixels the one nearer its own wrist (2, 2) stays."""
    if None in hands:
        return hands
    left, right = hands
    apart = np.linalg.norm(left.points - right.points, axis=1).mean()
    if apart > SAME_PLACE * max(left.size, right.size):
        return hands
    far = [np.linalg.norm(hand.points[0] - wrist) for hand, wrist in zip(hands, wrists, strict=True)]
    return [left, None] if far[0] <= far[1] else [None, right]


def _followed(hand: Hand) -> Crop:
    angle = upright(hand.points[0], hand.points[9], 1.0).angle
    return around(hand.points[PALM_POINTS], angle).grown(FOLLOWED, FOLLOWED_SHIFT)


def _of_a_palm(palm: Detection) -> Crop:
    """Turned from the wrist (key point 0) to the middle finger's root (2), and moved towards the fingers."""
    side = float((palm.corners[1] - palm.corners[0]).max())
    angle = upright(palm.points[0], palm.points[2], 1.0).angle
    x, y = palm.corners.mean(axis=0)
    return Crop(float(x), float(y), side, angle).grown(PALM, PALM_SHIFT)
