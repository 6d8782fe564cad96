"""The reference picture's pose, given or perceived, and what gives the driving poses its bones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from ..media import Pose, parse_poses, read_pose, resize, to_uint8
from ..perception.backends import PoseEstimator
from ..perception.retarget import retarget
from .fitting import Target
from .mask_input import read_planes
from .perceived import default_estimator
from .perceived_depth import LONGER_SIDE
from .pose_input import People

REFERENCE, REFERENCE_POSE = "reference.png", "reference_pose.json"  # as a scene folder holds them
FIX = "give a picture that shows the character from head to feet and from the front"


def neighbour_pose(reference: Path) -> Path:
    """Where a scene folder holds the pose of its reference; a file that is not there for every other picture."""
    return reference.parent / (REFERENCE_POSE if reference.name == REFERENCE else f"{reference.name}.{REFERENCE_POSE}")


def retargeting(
    path: Path, picture: Tensor, its_pose: Path | None, objects: Path | None, target: Target
) -> Callable[[People], People]:
    """What gives people, in pixels of the target's size, the bones of the reference. Nothing is read before it is used.

    path, picture: the reference's file, and IMAGE (1, H, W, 3) of it. its_pose: the file of its pose; None: perceived.
    objects: the file of the objects' mask; hands that touch them stay where they are. What it returns raises InputError
    where the reference's pose cannot be read or found, or tells too little.
    Gap: what is read of the driving video at the skeleton, its depth and the hands' sharpness, is read where the new
    skeleton is.
    """

    def change(people: People) -> People:
        if its_pose is not None:
            reference = first_person(read_pose(its_pose), f"--reference-pose {its_pose}")
        else:
            try:
                reference = pose_of_picture(picture, f"the reference {path}")
            except InputError as error:
                raise InputError(f"{error}, or its pose by --reference-pose, or leave out --retarget") from error
        planes = None if objects is None else (plane.numpy() for plane in read_planes("object-mask", objects, target))
        return retarget(people, reference, planes)

    return change


def first_person(frames: list[dict], name: str) -> Pose:
    """The first person of one POSE_KEYPOINT frame in pixels of its own canvas, or of any scale where it names none.

    Raises InputError for other than one frame, and where it shows nobody.
    """
    if len(frames) != 1:
        raise InputError(f"{name} has {len(frames)} frames: give the one of the reference picture")
    width, height = (frames[0].get(side) or 1 for side in ("canvas_width", "canvas_height"))
    people = parse_poses(frames, width, height)[0]
    if not people or not people[0].body[:, 2].any():
        raise InputError(f"{name} shows nobody: give the pose of the character in the reference picture")
    return people[0]


def pose_of_picture(picture: Tensor, name: str, estimator: PoseEstimator | None = None) -> Pose:
    """The pose of the person in IMAGE (1, H, W, 3), in pixels of a picture whose longer side has 512.

    estimator: None: the default one. Raises InputError where it cannot be used, and where it finds nobody.
    """
    estimator = estimator or default_estimator()
    reason = estimator.available()
    if reason is not None:
        raise InputError(f"the pose of {name} cannot be found: {reason}")
    scale = LONGER_SIDE / max(picture.shape[1:3])
    height, width = (max(1, round(side * scale)) for side in picture.shape[1:3])
    [seen] = estimator.estimate([to_uint8(resize(picture.numpy(), width, height)[0])])
    if seen.pose is None or not seen.pose.body[:, 2].any():
        raise InputError(f"{estimator.name} finds nobody in {name}: {FIX}")
    return seen.pose
