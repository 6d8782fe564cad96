"""A pose file → a skeleton picture for every frame, and the hands, checked for whether they can be what is meant."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..media import Clip, Pose, holds_poses, open_video, parse_poses, read_pose
from ..media.pose_files import canvas_of
from ..media.pose_points import SCORE_THRESHOLD
from ..media.sources import FOLDER_FPS
from ..perception import draw_skeleton
from ..perception.follow import Choice
from ..perception.people import one_person
from ..perception.skeleton_video import SkeletonLook
from .fitting import Size, Target, check_length, check_shape, fitted, frame_numbers
from .streams import CHUNK, LazyFrames, chunks, packed

logger = logging.getLogger(__name__)

People = list[list[Pose]]  # of every frame, in pixels
OUTSIDE = 0.1  # of the canvas' sides: points may lie this far beyond it, as of people who are cut off
MOST_OUTSIDE = 0.5  # of all points of the bodies


@dataclass(frozen=True)
class PoseFile:
    """A pose file as opened: frames of `keypoints`, or a `video` of drawn skeletons, with its own size and rate.

    size: the canvas that the keypoints name, or the video's; None: they name none.
    perceived: the keypoints were found in the driving video at `path`, and frames without anybody have been told.
    """

    path: Path
    size: Size | None
    fps: float
    keypoints: list[dict] | None = None
    video: Clip | None = None
    perceived: bool = False

    def __len__(self) -> int:
        return len(self.keypoints if self.video is None else self.video)


def open_pose(path: Path) -> PoseFile:
    """Open a file or folder of keypoints, or a video of drawn skeletons, told by what it holds. Raises InputError."""
    if not holds_poses(path):
        video = open_video(path, ground=0.0)
        return PoseFile(path, video.size, video.fps, video=video)
    keypoints = read_pose(path)
    named = [canvas_of(frame, index) for index, frame in enumerate(keypoints)]
    whole = [canvas for canvas in named if None not in canvas]
    return PoseFile(path, whole[0] if whole else None, FOLDER_FPS, keypoints=keypoints)


def read_skeletons(
    pose: PoseFile,
    target: Target,
    choice: Choice = Choice(),  # noqa: B008 - frozen
) -> tuple[LazyFrames, People | None]:
    """The skeleton pictures (F, H, W, 3) at the target's size, and the one person of each frame if they are keypoints.

    Keypoints that name no canvas have the driving video's pixels, as it is stored. Frames without anybody are told,
    and that there are others than the chosen one. Raises InputError for another length or shape, for a clip without
    the chosen one in any frame, for a choice in a video of skeletons, and for a video of something else.
    """
    check_length("pose", pose.path, len(pose), target)
    if pose.video is not None:
        if choice != Choice():
            raise InputError(
                f"{pose.path} is a video of skeletons, where {choice} cannot be told: give --pose keypoints"
            )
        check_shape(pose.path, pose.size, target)
        return video_skeletons(pose, target), None
    canvas = _common_canvas(pose, target)
    people = parse_poses(list(fitted(pose.keypoints, target.count)), *target.size, canvas)
    _tell_points_outside(pose.path, people, target.size)
    if not pose.perceived:
        people = _chosen(pose.path, people, choice, target.size)
    return drawn(people, target.size), people


def _chosen(path: Path, people: list[list[Pose]], choice: Choice, size: Size) -> list[list[Pose]]:
    """One person of every frame, or nobody; what is left out is told. Raises InputError where it is everything."""
    most = max(len(persons) for persons in people)
    _tell_nobody(path, [not any(person.has_points for person in persons) for persons in people])
    chosen = one_person(people, choice, size)
    missing = [
        not persons and any(person.has_points for person in all_) for persons, all_ in zip(chosen, people, strict=True)
    ]
    if not any(chosen):
        raise InputError(f"{choice} is in no frame of {path}, which shows up to {most}: choose another with --person")
    if most > 1:
        logger.info("%s shows up to %d people: %s is followed (--person N, or X,Y)", path, most, choice)
    if any(missing):
        where = frame_numbers(np.flatnonzero(missing))
        logger.warning(
            "%s is not among the people in %s of %s: nothing drives the character there", choice, where, path
        )
    return chosen


def drawn(people: Sequence[Sequence[Pose]], size: Size) -> LazyFrames:
    """The skeleton pictures (F, height, width, 3) 0…1 of people in pixels of a picture of size (width, height)."""

    def pictures() -> Iterator[np.ndarray]:
        for part in chunks(len(people), CHUNK):
            yield from draw_skeleton(people[part], *size)

    return packed(pictures())


def video_skeletons(pose: PoseFile, target: Target) -> LazyFrames:
    """The pictures of a video of drawn skeletons. Raises InputError for a video of something else, or of nobody."""
    look = SkeletonLook()

    def pictures() -> Iterator[np.ndarray]:
        for picture in fitted(pose.video.frames(target.size), target.count):
            look.add(picture)
            yield picture

    skeletons = packed(pictures())
    fault = look.fault(str(pose.path))
    if fault is not None:
        raise InputError(f"{fault}: give --pose a video of skeletons drawn on black, or an OpenPose JSON file")
    _tell_nobody(pose.path, [lit == 0 for lit in look.lit])
    return skeletons


def _common_canvas(pose: PoseFile, target: Target) -> tuple[float, float] | None:
    """The canvas of frames that name none: that of the others, else the driving video as it is stored.

    Raises InputError for a canvas of another shape than the driving video.
    """
    named = [canvas_of(frame, index) for index, frame in enumerate(pose.keypoints)]
    whole = {canvas for canvas in named if None not in canvas}
    for canvas in whole:
        check_shape(pose.path, canvas, target)
    canvas = whole.pop() if len(whole) == 1 else target.shapes[-1] if target.shapes else None
    missing = [index for index, sides in enumerate(named) if None in sides]
    if canvas is not None and missing:
        half = any(side is not None for index in missing for side in named[index])
        level = logging.WARNING if half or len(missing) < len(named) else logging.INFO
        what = "only one side of its canvas" if half else "no canvas"
        where = "" if len(missing) == len(named) else f" in {frame_numbers(missing)}"
        logger.log(
            level,
            "%s names %s%s: its pixels are read as those of a picture of %gx%g",
            *(pose.path, what, where, *canvas),
        )
    return canvas


def _tell_nobody(path: Path, empty: Sequence[bool]) -> None:
    frames = np.flatnonzero(empty)
    if len(frames) == len(empty):
        raise InputError(
            f"{path} shows nobody in any of its {len(empty)} frames: give --pose the poses of a person, "
            f"found with scores above {SCORE_THRESHOLD}"
        )
    if len(frames):
        logger.warning("no person in %s of %s: nothing drives the character there", frame_numbers(frames), path)


def _tell_points_outside(path: Path, people: Sequence[Sequence[Pose]], size: Size) -> None:
    """Warn where the points lie off the picture: their canvas is not the one that they were measured on."""
    bodies = [person.body for persons in people for person in persons]
    points = np.concatenate([body[body[:, 2] > 0, :2] for body in bodies] or [np.zeros((0, 2))]) / np.array(size)
    outside = ((points < -OUTSIDE) | (points > 1 + OUTSIDE)).any(axis=1)
    if len(points) and outside.mean() > MOST_OUTSIDE:
        logger.warning(
            "%.0f%% of the points of %s lie outside of its picture, up to %.1f times its width: set canvas_width and "
            "canvas_height to the size of the video that the poses were found in",
            *(100 * outside.mean(), path, points[:, 0].max()),
        )
