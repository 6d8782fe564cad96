"""One person's poses with another one's bones, in the same place: feet stay on the ground, hands on what they hold."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..errors import InputError
from ..media.arrays import resize
from ..media.pose import NORMALISED_LIMIT, PARTS, Pose, parse_poses, to_keypoints
from ..media.pose_files import canvas_of
from .body_transfer import hand_turns, transfer
from .contacts import find_contacts
from .proportions import (
    HEAD,
    HEAD_POINTS,
    USUAL,
    WRISTS,
    Proportions,
    Ratios,
    compare,
    measure,
    skeleton,
    unforeshortened,
)

logger = logging.getLogger(__name__)

SHAPE_TOLERANCE = 0.02  # of the ratio of width and height


def retarget(
    people: Sequence[Sequence[Pose]], reference: Pose, objects: Iterable[np.ndarray] | None = None
) -> list[list[Pose]]:
    """Give the first person of every frame the reference's bones, head and hands. Others stay as they are.

    people: the people of every frame of one shot, in pixels. reference: a pose of the other character, from one picture
    in any pixels, best standing and seen from the front. objects: a mask (H, W), 0…1, a frame, of what hands hold.
    The reference becomes as tall as the person, with its own proportions. Kept where they are: feet, hands that touch
    an object, the seat of somebody who sits. Kept with each other: a hand and the face that it touches, both hands that
    touch. A free hand stays where it was from its shoulder. Points that are missing stay missing.
    Raises InputError where the reference or the clip shows too little to compare.
    """
    result = [list(persons) for persons in people]
    frames = [index for index, persons in enumerate(people) if persons and _is_seen(persons[0])]
    if not frames:
        return result
    person, other = skeleton([people[index][0] for index in frames]), measure(skeleton([reference]))
    lengths = unforeshortened(measure(person))
    size = _size(lengths, "the poses show neither hips nor shoulders beside the neck: give poses of a whole upper body")
    _size(other, "the reference's pose shows neither hips nor shoulders beside the neck: give a picture of its body")
    ratios = compare(lengths, other)
    if objects is not None:
        objects = _chosen(objects, frames, len(people))
    contacts = find_contacts(person, size, objects)
    places = transfer(person, lengths, ratios, contacts)
    logger.info("retargeted to the reference's body: %s", _told(ratios))
    turns = hand_turns(person, places, lengths, contacts)
    for number, index in enumerate(frames):
        pose, joints, place = people[index][0], person.joints[number], places[number]
        result[index][0] = _dressed(pose, joints, place, turns[:, number], ratios)
    return result


def _is_seen(pose: Pose) -> bool:
    return bool(pose.body[:, 2].any())


def _chosen(objects: Iterable[np.ndarray], frames: list[int], count: int) -> Iterator[np.ndarray]:
    """The masks of those frames. Raises InputError for another number of masks than frames in the clip."""
    wanted, number = set(frames), 0
    for number, mask in enumerate(objects, start=1):
        if number - 1 in wanted:
            yield mask
    if number != count:
        raise InputError(f"objects has {number} frames but the poses have {count}; give both as many")


def _size(lengths: Proportions, fault: str) -> float:
    """Pixels from the hips to the neck. Raises InputError, the fault, where nothing tells them."""
    for name, times in (("torso", 1.0), ("shoulder", USUAL["torso"] / USUAL["shoulder"])):
        if np.isfinite(lengths.bones[name]):
            return times * lengths.bones[name]
    raise InputError(fault)


def _told(ratios: Ratios) -> str:
    bones = [f"{name.replace('_', ' ')} ×{ratio:.2f}" for name, ratio in ratios.bones.items()]
    return ", ".join([*bones, f"head ×{ratios.head:.2f}", f"hands ×{ratios.hand:.2f}"])


def _dressed(pose: Pose, joints: np.ndarray, places: np.ndarray, turns: np.ndarray, ratios: Ratios) -> Pose:
    """A pose on the solved places (20, 2) of joints (20, 3): face and hands in the other's size.

    turns (2,): how far the right hand and the left hand turn, in radians.
    """
    body = pose.body.copy()
    body[:, :2] = places[: len(body)]
    head = list(HEAD_POINTS)
    body[head, :2] = _resized(pose.body[head], joints[HEAD, :2], places[HEAD], ratios.head)
    parts = {"body": body, "face": pose.face.copy()}
    parts["face"][:, :2] = _resized(pose.face, joints[HEAD, :2], places[HEAD], ratios.head)
    for name, wrist, turn in zip(("right_hand", "left_hand"), WRISTS, turns, strict=True):
        hand = getattr(pose, name).copy()
        hand[:, :2] = _resized(hand, joints[wrist, :2], places[wrist], ratios.hand, turn)
        parts[name] = hand
    return Pose(**{part: np.where(parts[part][:, 2:] > 0, parts[part], getattr(pose, part)) for part in PARTS})


def _resized(points: np.ndarray, start: np.ndarray, end: np.ndarray, ratio: float, turn: float = 0.0) -> np.ndarray:
    sine, cosine = np.sin(turn), np.cos(turn)
    return end + ratio * (points[:, :2] - start) @ np.array([[cosine, sine], [-sine, cosine]])


def retarget_keypoints(
    frames: Sequence[dict], reference: Pose, objects: Sequence[np.ndarray] | None = None
) -> list[dict]:
    """POSE_KEYPOINT frames of one shot → the same frames in pixels, the first person of each as in `retarget`.

    objects: masks (H, W), 0…1, one a frame, of the whole picture at any size. What else a person's dict holds stays.
    Raises InputError as `parse_poses` and `retarget`, and for coordinates in 0…1 of pictures whose size no frame names.
    """
    canvas = _canvas(frames) or (None if objects is None else objects[0].shape[::-1])
    width, height = canvas or (1, 1)
    people = parse_poses(frames, width, height)
    if canvas is None and _largest(people) <= NORMALISED_LIMIT:
        raise InputError("the poses lie in 0…1 and name no canvas: write canvas_width and canvas_height into them")
    planes = None if objects is None else _at_canvas(objects, width, height)
    result = []
    for frame, persons in zip(frames, retarget(people, reference, planes), strict=True):
        new = to_keypoints(persons, width, height)
        theirs = [person for person in frame.get("people") or [] if person is not None]
        both = [{**person, **points} for person, points in zip(theirs, new["people"], strict=True)]
        result.append({**frame, **(new if canvas else {}), "people": both})
    return result


def _canvas(frames: Sequence[dict]) -> tuple[int, int] | None:
    """Width and height of the first canvas that a frame names; None where none does."""
    named = (canvas_of(frame, index) for index, frame in enumerate(frames))
    whole = next((sides for sides in named if None not in sides), None)
    return None if whole is None else (round(whole[0]), round(whole[1]))


def _at_canvas(objects: Sequence[np.ndarray], width: int, height: int) -> Iterator[np.ndarray]:
    """Masks at the canvas' size. Raises InputError for another shape."""
    rows, columns = objects[0].shape
    if abs(columns * height / (rows * width) - 1) > SHAPE_TOLERANCE:
        raise InputError(
            f"objects is {columns}x{rows} but the poses lie in {width}x{height}; resize one so that both agree"
        )
    return (resize(plane[None], width, height)[0] for plane in objects)


def _largest(people: Sequence[Sequence[Pose]]) -> float:
    parts = (getattr(pose, part)[:, :2] for persons in people for pose in persons for part in PARTS)
    return max((float(np.abs(points).max()) for points in parts), default=np.inf)
