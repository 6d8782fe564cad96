"""How long a person's bones are, and how large head and hands, from the poses of a clip or of one picture.

A picture shows a bone at most as long as it is: over a clip, its length is a high quantile of what is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..media.pose import Pose

# Two points beside the 18 of OpenPose: the middle of the hips, and what the head turns about.
PELVIS, HEAD = 18, 19
NECK = 1
JOINTS = 20
BONES = {  # bones that are as long as each other: (start, end) of the right one and the left one
    "hip": ((PELVIS, 8), (PELVIS, 11)),
    "thigh": ((8, 9), (11, 12)),
    "shin": ((9, 10), (12, 13)),
    "torso": ((PELVIS, 1),),
    "shoulder": ((1, 2), (1, 5)),
    "upper_arm": ((2, 3), (5, 6)),
    "forearm": ((3, 4), (6, 7)),
    "neck": ((1, HEAD),),
}
WRISTS = (4, 7)  # right, left
HEAD_POINTS = (0, 14, 15, 16, 17)  # of the body: nose, eyes, ears
JAW_ENDS = (0, 16)  # of the face; their middle stays where it is when the head turns
EYES, NOSE_AND_LIP = slice(36, 48), (33, 51)  # of the face; no expression moves them far
LEGS = ((8, 10), (11, 13))
LONGEST = 0.97  # quantile of the lengths that are seen
USUAL_FACE = 0.8  # quantile, for a face: nodding and touching shorten it more often than anything makes it longer
STANDING = ("leg", "torso", "neck", "head")  # what stands on top of each other
SIZES = ("torso", "shoulder", "upper_arm", "forearm", "neck", "head")  # what tells a size where the legs do not
APART = 0.5  # how far a difference between the ratios of a limb's two bones is trusted
SMALL = 0.7  # and the ratio of what is small, so that its points' errors are large: it is drawn towards 1
HEAD_ABOVE = 2.2  # face sizes from the head's middle to its top
# Not in paper: what people's bones are of thigh, shin and torso together, and of the torso alone
LONG = ("thigh", "shin", "torso")
USUAL = {
    "hip": 0.078, "thigh": 0.314, "shin": 0.30, "torso": 0.386, "shoulder": 0.145, "upper_arm": 0.212,
    "forearm": 0.19, "neck": 0.165, "palm": 0.094,
}  # fmt: skip
# Not in paper: how far people's bones are from the usual (a log ratio), and how much shorter a clip shows a bone that
# it never shows in the picture plane
SPREAD, FORESHORTENING = 0.05, 0.05
BENT = 0.8  # of twice the longer bone of the leg: legs whose hip and ankle are never farther apart never stretch
LARGEST_RATIO = 3.0


@dataclass(frozen=True)
class Skeleton:
    """A clip of one person as arrays. F frames.

    joints (F, 20, 3): OpenPose's 18, PELVIS and HEAD; hands (2, F, 21, 3), right and left; face (F, 70, 3): x, y in
    pixels and a score, 0 = missing.
    """

    joints: np.ndarray
    hands: np.ndarray
    face: np.ndarray


@dataclass(frozen=True)
class Proportions:
    """Lengths in pixels, NaN where none is seen.

    bones: by the names of BONES. leg: from hip to ankle of somebody who stands. face: from the eyes to nose and lip.
    eyes: from one to the other, of the body's own points. palm: from the wrist to the middle knuckle and across the
    knuckles.
    """

    bones: dict[str, float]
    leg: float
    face: float
    eyes: float
    palm: float


@dataclass(frozen=True)
class Ratios:
    """Length of the reference's bones over that of the driving ones, at one height of both. See `compare`."""

    bones: dict[str, float]
    head: float
    hand: float


def skeleton(people: Sequence[Pose]) -> Skeleton:
    """Stack the poses of a clip. Wrists that the body lacks are taken from the hands, its neck from the shoulders."""
    hands = np.stack([[pose.right_hand for pose in people], [pose.left_hand for pose in people]]).astype(np.float64)
    face = np.stack([pose.face for pose in people]).astype(np.float64)
    joints = np.zeros((len(people), JOINTS, 3))
    joints[:, :18] = np.stack([pose.body for pose in people])
    for wrist, hand in zip(WRISTS, hands, strict=True):
        lacks = (joints[:, wrist, 2] <= 0) & (hand[:, 0, 2] > 0)
        joints[lacks, wrist] = hand[lacks, 0]
    lacks = joints[:, NECK, 2] <= 0
    joints[lacks, NECK] = _middle(joints[lacks][:, [2, 5]])
    joints[:, PELVIS] = _mean(joints[:, [8, 11]])
    joints[:, HEAD] = _head_middle(joints, face)
    return Skeleton(joints, hands, face)


def measure(person: Skeleton) -> Proportions:
    """The lengths that a clip or a picture shows."""
    bones, joints = {}, person.joints
    for name, pairs in BONES.items():
        seen = [_distances(joints[:, start], joints[:, end]) for start, end in pairs]
        bones[name] = _quantile(np.concatenate(seen), LONGEST)
    legs = [_distances(joints[:, hip], joints[:, ankle]) for hip, ankle in LEGS]
    face = _distances(_middle(person.face[:, EYES]), _middle(person.face[:, NOSE_AND_LIP]))
    hands = person.hands.reshape(-1, 21, 3)
    palm = np.hypot(_distances(hands[:, 0], hands[:, 9]), _distances(hands[:, 5], hands[:, 17]))
    return Proportions(
        bones,
        leg=_quantile(np.concatenate(legs), LONGEST),
        face=_quantile(face, USUAL_FACE),
        eyes=_quantile(_distances(joints[:, 14], joints[:, 15]), LONGEST),
        palm=_quantile(palm, LONGEST),
    )


def compare(driving: Proportions, reference: Proportions) -> Ratios:
    """How much longer the reference's bones are. A length that one of both lacks counts as equal.

    The reference stands as tall as the driving person, for no picture tells how tall somebody is.
    """
    scale = _common_scale(driving, reference)
    logs = {name: np.log(scale * reference.bones[name] / driving.bones[name]) for name in BONES}
    leg = np.log(scale * reference.leg / driving.leg)
    arm = (logs["upper_arm"] + logs["forearm"]) / 2
    for whole, upper, lower in ((leg, "thigh", "shin"), (arm, "upper_arm", "forearm")):
        if np.isfinite(whole):  # a limb that bends towards the camera shows one of its bones longer, one shorter
            apart = APART * (logs[upper] - logs[lower])
            logs[upper], logs[lower] = whole + apart / 2, whole - apart / 2
    bones = {name: _bounded(np.exp(value)) for name, value in logs.items()}
    head = scale * reference.face / driving.face
    head = head if np.isfinite(head) else (scale * reference.eyes / driving.eyes) ** SMALL
    hand = (scale * reference.palm / driving.palm) ** SMALL
    return Ratios(bones, _bounded(head), _bounded(hand, bones["forearm"]))


def unforeshortened(person: Proportions) -> Proportions:
    """Lengths that are far below what people's are count as never seen in full: the most likely true lengths.

    A true length spreads normally about the usual one, what is seen of it falls off exponentially: the likeliest
    foreshortening is what exceeds SPREAD² / FORESHORTENING. Shoulders and hips are turned away together. Of somebody
    whose legs are always bent, as who sits, nothing tells the standing height.
    """
    lengths = {**person.bones, "palm": person.palm}
    torso = lengths["torso"] / USUAL["torso"]
    if not np.isfinite(torso):
        return person
    stretched = 2 * max(lengths["thigh"], lengths["shin"])  # thigh and shin are about as long as each other
    bent = person.leg < BENT * stretched
    standing = np.isfinite(lengths["thigh"] + lengths["shin"]) and not bent
    unit = sum(lengths[name] for name in LONG) / sum(USUAL[name] for name in LONG) if standing else torso
    bones_of_legs = (("thigh",), ("shin",)) if bent else ()
    for together in (("shoulder", "hip"), ("upper_arm",), ("forearm",), ("palm",), *bones_of_legs):
        lacks = [np.log(USUAL[n] * unit / lengths[n]) for n in together if np.isfinite(lengths[n])]
        if lacks:
            hidden = max(0.0, np.mean(lacks) - SPREAD**2 / (FORESHORTENING * len(lacks)))
            lengths.update({name: lengths[name] * np.exp(hidden) for name in together})
    return replace(person, leg=np.nan if bent else person.leg, palm=lengths.pop("palm"), bones=lengths)


def _common_scale(driving: Proportions, reference: Proportions) -> float:
    """Pixels of the scene for a pixel of the reference, by the standing height, else by the mean of what both show."""
    sizes = [{**person.bones, "leg": person.leg, "head": HEAD_ABOVE * person.face} for person in (driving, reference)]
    if all(np.isfinite(size[name]) for size in sizes for name in ("leg", "torso", "neck")):
        names = [name for name in STANDING if all(np.isfinite(size[name]) for size in sizes)]
        return sum(sizes[0][name] for name in names) / sum(sizes[1][name] for name in names)
    logs = [np.log(sizes[0][name] / sizes[1][name]) for name in SIZES]
    logs = [log for log in logs if np.isfinite(log)]
    return float(np.exp(np.mean(logs))) if logs else 1.0


def _bounded(ratio: float, other: float = 1.0) -> float:
    return float(np.clip(ratio, 1 / LARGEST_RATIO, LARGEST_RATIO)) if np.isfinite(ratio) else other


def _head_middle(joints: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(F, 3) what the head turns about: the middle of the jaw's ends, of the ears, or of what is seen of the head."""
    middle = _middle(face[:, JAW_ENDS])
    head = joints[:, HEAD_POINTS]
    for other in (_middle(joints[:, [16, 17]]), _mean(head), _mean(face)):
        middle = np.where(middle[:, 2:] > 0, middle, other)
    return middle


def _middle(points: np.ndarray) -> np.ndarray:
    """(F, N, 3) → (F, 3), the middle of all N points; missing where one of them is."""
    middle = points.mean(axis=1)
    middle[:, 2] = points[:, :, 2].min(axis=1)
    return np.where(middle[:, 2:] > 0, middle, 0.0)


def _mean(points: np.ndarray) -> np.ndarray:
    """(F, N, 3) → (F, 3), the middle of those points that are there."""
    there = points[:, :, 2:] > 0
    return (points * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)


def _distances(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(F, 3) twice → (F,), NaN where one is missing."""
    length = np.linalg.norm(end[:, :2] - start[:, :2], axis=1)
    return np.where((start[:, 2] > 0) & (end[:, 2] > 0) & (length > 0), length, np.nan)


def _quantile(values: np.ndarray, share: float) -> float:
    values = values[np.isfinite(values)]
    # One of the values: a clip that repeats one picture then tells what the picture tells.
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else float("nan")
