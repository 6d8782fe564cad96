"""Who is replaced: the person's poses and mask, from files or perceived, and the window of the video they are in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..media import Clip, Video, parse_poses
from ..perception.follow import Along, Choice, Follow, Follower
from ..perception.person_crop import PersonCrop, is_small, mask_boxes, moved_pose, person_boxes, person_crop
from ..perception.skeleton import SKELETON_THRESHOLD
from .fitting import Size, Target, cropped
from .perceived import Perceived, default_estimator, perceive
from .pose_input import People, PoseFile, drawn, read_skeletons, video_skeletons
from .reference_picture import nearest_side
from .streams import LazyFrames

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PersonInput:
    """What is known of the person, at the target's size.

    target: with the crop, where there is one. video: the driving video, or the crop's windows of it. path: where the
    poses are from. skeletons (F, H, W, 3) 0…1. people: one or nobody a frame, None where skeletons came drawn. mask
    (F, H, W) 0…1: their pixels, where they were perceived.
    """

    target: Target
    video: Clip | None
    path: Path
    skeletons: LazyFrames
    people: People | None
    mask: LazyFrames | None = None


@dataclass(frozen=True)
class CropWish:
    """wanted: whether to work on a window around the person; None: where they are small.

    size: (width, height) that the window is brought to, None: as many pixels as it has. multiple: what divides its
    sides.
    """

    wanted: bool | None
    size: Size | None
    multiple: int


def given_person(pose: PoseFile, video: Video | None, target: Target, choice: Choice, wish: CropWish) -> PersonInput:
    """The person of a pose file. Raises InputError as `read_skeletons`, and for a crop without a driving video."""
    skeletons, people = read_skeletons(pose, target, choice)
    if video is None:
        if wish.wanted:
            raise InputError("--crop-to-person needs --driving, a video to cut out of: give it, or leave the crop out")
        return PersonInput(target, None, pose.path, skeletons, people)
    boxes = _lit(skeletons) if people is None else person_boxes(people)
    crop = _crop(boxes * _scale(target.size, video.size), video, wish)
    if crop is None:
        return PersonInput(target, video, pose.path, skeletons, people)
    target, whole = _cropped_target(target, crop, wish), target.size
    if people is None:
        skeletons = video_skeletons(replace(pose, video=target.clip(pose.video)), target)
    else:
        people = [
            [moved_pose(person, crop, corner, whole, target.size) for person in persons]
            for persons, corner in zip(people, crop.corners, strict=True)
        ]
        skeletons = drawn(people, target.size)
    return PersonInput(target, cropped(video, crop), pose.path, skeletons, people)


def perceived_person(video: Video, target: Target, choice: Choice, wish: CropWish, with_mask: bool) -> PersonInput:
    """The person as the default estimator sees them; in a crop they are looked at again, larger.

    Raises InputError as `perceive`.
    """
    what = ("pose", "mask") if with_mask else ("pose",)
    perceived = _perceive(video, what, Follower(choice))
    boxes = person_boxes(parse_poses(perceived.keypoints, *video.size))
    crop = _crop(boxes, video, wish)
    shown: Clip = video
    if crop is not None:
        target, shown = _cropped_target(target, crop, wish), cropped(video, crop)
        perceived = _perceive(shown, what, Along(boxes - np.tile(crop.corners, 2)))
    pose = PoseFile(video.path, shown.size, video.fps, keypoints=perceived.keypoints, perceived=True)
    skeletons, people = read_skeletons(pose, replace(target, shapes=(shown.size,)))
    mask = perceived.mask_at(target.size) if with_mask else None
    return PersonInput(target, shown, video.path, skeletons, people, mask)


def with_other_poses(seen: PersonInput, change: Callable[[People], People]) -> PersonInput:
    """The same with what `change` makes of the people. Raises InputError for skeletons that came drawn."""
    if seen.people is None:
        raise InputError(f"--retarget needs keypoints, and {seen.path} shows drawn skeletons: give --pose a JSON file")
    people = change(seen.people)
    return replace(seen, people=people, skeletons=drawn(people, seen.target.size))


def _perceive(video: Clip, what: tuple[str, ...], follow: Follow) -> Perceived:
    estimator = default_estimator()
    reason = estimator.available()
    if reason is not None:
        raise InputError(
            f"no --pose, and no pose.json beside {video.path}, whose person cannot be found, either: {reason}, or give "
            "--pose POSE.json or a skeleton video"
        )
    return perceive(video, estimator, what, follow)


def _crop(boxes: np.ndarray, video: Video, wish: CropWish) -> PersonCrop | None:
    """The crop where it is wanted. boxes: (F, 4) of the person in the video's pixels."""
    small = is_small(boxes, video.size)
    if wish.wanted is False or (wish.wanted is None and not small):
        return None
    aspect = None if wish.size is None else wish.size[0] / wish.size[1]
    crop = person_crop(boxes, video.size, video.fps, aspect, multiple=wish.multiple)
    share = float(np.nanmedian(boxes[:, 3] - boxes[:, 1])) / video.size[1]
    logger.info(
        "the person is %.0f%% of the height of %s: a window of %dx%d around them is worked on and put back into %dx%d "
        "(--no-crop-to-person: the whole picture)",
        *(100 * share, video.path, *crop.size, *video.size),
    )
    return crop


def _cropped_target(target: Target, crop: PersonCrop, wish: CropWish) -> Target:
    size = wish.size or tuple(nearest_side(side, wish.multiple) for side in crop.size)
    return replace(target, size=size, crop=crop)


def _scale(one: Size, other: Size) -> np.ndarray:
    """(4,) factors that bring boxes in pixels of a picture of one size to another."""
    return np.tile(np.array(other, float) / one, 2)


def _lit(skeletons: LazyFrames) -> np.ndarray:
    return mask_boxes([frame.amax(dim=-1).numpy() > SKELETON_THRESHOLD for frame in skeletons])
