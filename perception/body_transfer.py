"""What is wished of a body with other bones, frame by frame, and the joints that fulfil it best."""

from __future__ import annotations

import numpy as np

from .contacts import ANKLES, Contacts, grips
from .inverse_kinematics import JointSolve
from .proportions import BONES, HEAD, HEAD_ABOVE, JOINTS, NECK, PELVIS, WRISTS, Proportions, Ratios, Skeleton

FLAT_BONES = ("hip", "torso", "shoulder", "neck")  # they turn with the body; arms and legs bend in depth
CHAINS = (((2, 3, 4), ("upper_arm", "forearm")), ((5, 6, 7), ("upper_arm", "forearm")),
          ((8, 9, 10), ("thigh", "shin")), ((11, 12, 13), ("thigh", "shin")))  # fmt: skip
SHOULDERS = (2, 5)
SOLVED = (*range(1, 14), PELVIS, HEAD)
# Not in paper: how much each wish counts, next to the length of a bone in arm or leg, which counts 1
HELD = 20.0  # what touches stays
STEADY = 0.5  # a lifted foot stays where it is, a free hand where it is from its shoulder
FLAT = 10.0  # a bone of trunk or neck points where it did
SHAPE = 0.01  # and one of arm or leg
ROOT = 2.0  # the hips, or the neck, are where leg and trunk put them
ANYWHERE = 1e-4  # a joint that nothing else holds
CHUNK = 256  # frames that are solved at once
FAR = 1e9  # pixels
UPRIGHT = 0.9  # quantile of the hips' heights over the feet that counts as standing


def transfer(person: Skeleton, lengths: Proportions, ratios: Ratios, contacts: Contacts) -> np.ndarray:
    """(F, 20, 2): the joints of the body that is `ratios` times as long. See `Skeleton`; missing joints are anywhere.

    lengths: of the person, as in `unforeshortened`.
    """
    wishes = _Wishes(person, lengths, ratios, contacts)
    places = np.zeros((len(person.joints), JOINTS, 2))
    for start in range(0, len(places), CHUNK):
        part = slice(start, start + CHUNK)
        places[part, list(SOLVED)] = wishes.solved(part)[..., :2]
    return places


def hand_turns(person: Skeleton, places: np.ndarray, lengths: Proportions, contacts: Contacts) -> np.ndarray:
    """(2, F) radians by which the hands turn, right and left: with the forearm where they touch nothing.

    places (F, 20, 2): of the joints. A forearm that points to the camera tells no direction.
    """
    longest = np.nan_to_num(lengths.bones["forearm"], nan=np.inf)
    touching = np.maximum(np.maximum(contacts.objects, contacts.face), contacts.together)
    turns = np.zeros_like(touching)
    for side, (elbow, wrist) in enumerate(((3, 4), (6, 7))):
        before = person.joints[:, wrist, :2] - person.joints[:, elbow, :2]
        after = places[:, wrist] - places[:, elbow]
        turn = np.arctan2(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0], (before * after).sum(axis=1))
        told = np.clip(2 * np.minimum(*(np.linalg.norm(way, axis=1) for way in (before, after))) / longest, 0, 1)
        seen = (person.joints[:, [elbow, wrist], 2] > 0).all(axis=1)
        turns[side] = turn * told**2 * seen * (1 - touching[side])
    return turns


class _Wishes:
    def __init__(self, person: Skeleton, lengths: Proportions, ratios: Ratios, contacts: Contacts):
        self._person, self._ratios, self._contacts = person, ratios, contacts
        self._scores = np.clip(person.joints[:, :, 2], 0, 1)
        self._joints = _lifted(person.joints, lengths)
        self._root, self._neck = _shifts(person.joints, lengths, ratios)
        self._grips = grips(person)

    def solved(self, part: slice) -> np.ndarray:
        """(F, len(SOLVED), 3)."""
        start = self._joints[part].copy()
        shift = self._neck if self._root is None else self._root
        start[:, :, 1] += shift[part, None]
        solve = JointSolve(start[:, list(SOLVED)])
        for number, joint in enumerate(SOLVED):
            solve.place(number, start[:, joint], np.full(len(start), ANYWHERE))
        self._bones(solve, part)
        self._trunk(solve, part)
        self._feet(solve, part)
        self._hands(solve, part)
        return solve.solve()

    def _bones(self, solve: JointSolve, part: slice) -> None:
        joints, scores = self._joints[part], self._scores[part]
        for name, pairs in BONES.items():
            for start, end in pairs:
                seen = np.minimum(scores[:, start], scores[:, end])
                way = self._ratios.bones[name] * (joints[:, end] - joints[:, start])
                ends = SOLVED.index(start), SOLVED.index(end)
                if name in FLAT_BONES:
                    solve.offset(*ends, way, FLAT * seen)
                else:
                    solve.length(*ends, np.linalg.norm(way, axis=1), seen)
                    solve.offset(*ends, way, SHAPE * seen)

    def _trunk(self, solve: JointSolve, part: slice) -> None:
        joints, scores, seat = self._joints[part], self._scores[part], self._contacts.seat[part]
        neck = joints[:, NECK] + _down(self._neck[part])
        if self._root is None:
            solve.place(SOLVED.index(NECK), neck, ROOT * scores[:, NECK])
            return
        seen = scores[:, PELVIS]
        root = joints[:, PELVIS] + _down(self._root[part])
        solve.place(SOLVED.index(PELVIS), root, ROOT * seen * (1 - seat))
        solve.place(SOLVED.index(PELVIS), joints[:, PELVIS], HELD * seen * seat, axes=2)
        solve.place(SOLVED.index(NECK), neck, ROOT * scores[:, NECK] * (seen <= 0))

    def _feet(self, solve: JointSolve, part: slice) -> None:
        for ankle, ground in zip(ANKLES, self._contacts.ground[:, part], strict=True):
            weight = (STEADY + (HELD - STEADY) * ground) * self._scores[part, ankle]
            solve.place(SOLVED.index(ankle), self._joints[part, ankle], weight, axes=2)

    def _hands(self, solve: JointSolve, part: slice) -> None:
        joints, scores, contacts = self._joints[part], self._scores[part], self._contacts
        hand, head = self._ratios.hand, self._ratios.head
        for side, (shoulder, wrist) in enumerate(zip(SHOULDERS, WRISTS, strict=True)):
            seen, place = scores[:, wrist], joints[:, wrist]
            held, face = contacts.objects[side, part], contacts.face[side, part]
            grip = self._grips[side, part, :2]
            solve.place(SOLVED.index(wrist), grip + hand * (place[:, :2] - grip), HELD * held * seen, axes=2)
            tip = _nearest(self._person.hands[side, part], self._person.face[part])
            way = head * (tip - joints[:, HEAD, :2]) + hand * (place[:, :2] - tip)
            ends = SOLVED.index(HEAD), SOLVED.index(wrist)
            solve.offset(*ends, way, HELD * face * np.minimum(seen, scores[:, HEAD]), axes=2)
            free = (1 - np.maximum(held, face)) * np.minimum(seen, scores[:, shoulder])
            ends = SOLVED.index(shoulder), SOLVED.index(wrist)
            solve.offset(*ends, place - joints[:, shoulder], STEADY * free)
        right, left = (SOLVED.index(wrist) for wrist in WRISTS)
        way = hand * (joints[:, WRISTS[1]] - joints[:, WRISTS[0]])
        seen = np.minimum(*scores[:, WRISTS].T)
        solve.offset(right, left, way, HELD * contacts.together[part] * seen, axes=2)


def _down(pixels: np.ndarray) -> np.ndarray:
    return np.stack([0 * pixels, pixels, 0 * pixels], axis=1)


def _lifted(joints: np.ndarray, lengths: Proportions) -> np.ndarray:
    """(F, 20, 3) x, y, z: what a bone of arm or leg lacks in the picture, it has in depth.

    Not in paper: the two bones of an arm or a leg fold, so that their depths have opposite signs; a flat skeleton does
    not tell them, nor whether the middle joint is in front or behind, which changes nothing in x and y.
    """
    lifted = np.concatenate([joints[:, :, :2], np.zeros_like(joints[:, :, :1])], axis=2)
    for chain, names in CHAINS:
        for start, end, name, sign in zip(chain[:-1], chain[1:], names, (1, -1), strict=True):
            way = joints[:, end, :2] - joints[:, start, :2]
            longest = np.nan_to_num(lengths.bones[name])
            lacks = np.sqrt(np.maximum(longest**2 - (way**2).sum(axis=1), 0))
            seen = (joints[:, start, 2] > 0) & (joints[:, end, 2] > 0)
            lifted[:, end, 2] = lifted[:, start, 2] + sign * lacks * seen
    return lifted


def _shifts(joints: np.ndarray, lengths: Proportions, ratios: Ratios) -> tuple[np.ndarray | None, np.ndarray]:
    """How far hips and neck go down, (F,) pixels each; None for the hips of somebody whose feet are never seen.

    Longer legs lift the hips by as much as they are stretched. Without feet, the top of the head stays where it is.
    """
    bones = {name: np.nan_to_num(value) for name, value in lengths.bones.items()}
    height = np.where(joints[:, ANKLES, 2] > 0, joints[:, ANKLES, 1], -np.inf).max(axis=1) - joints[:, PELVIS, 1]
    height[joints[:, PELVIS, 2] <= 0] = -np.inf
    seen = np.isfinite(height)
    if not seen.any():
        neck, face = bones["neck"], np.nan_to_num(lengths.face)
        grown = (ratios.bones["neck"] - 1) * neck + (ratios.head - 1) * HEAD_ABOVE * face
        return None, np.full(len(joints), grown)
    height = np.where(seen, height, np.quantile(height[seen], UPRIGHT))
    leg = bones["thigh"] + bones["shin"]
    grown = sum((ratios.bones[name] - 1) * bones[name] for name in ("thigh", "shin")) / max(leg, 1e-9)
    root = -grown * height
    return root, root - (ratios.bones["torso"] - 1) * bones["torso"]


def _nearest(hand: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(F, 2) the point of a hand that touches the face: the mean of its points, the nearest counting most."""
    apart = np.linalg.norm(hand[:, :, None, :2] - face[:, None, :, :2], axis=-1)
    both = (hand[:, :, None, 2] > 0) & (face[:, None, :, 2] > 0)
    apart = np.where(both, apart, FAR).min(axis=2)
    least = apart.min(axis=1, keepdims=True)
    weights = np.where(apart < FAR, np.exp((least - apart) / np.maximum(least, 1.0)), 0.0)
    return (weights[:, :, None] * hand[:, :, :2]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)[:, None]
