"""A video → the poses and the mask of the person in it, in memory; and with depth as files."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..atomic import atomic_folder
from ..errors import InputError
from ..media import Clip, Video, open_video, parse_poses, resize, to_uint8, write_lossless, write_pose
from ..media.outputs import check_folder, check_output
from ..perception.backends import DEPTH_ESTIMATORS, POSE_ESTIMATORS, DepthEstimator, PoseEstimator
from ..perception.follow import LARGEST, Choice, Follow, Follower, parse_choice
from ..perception.people import SteadyPerson
from ..perception.plate import CleanPlate
from .fitting import Size, frame_numbers
from .hidden import certainly_hidden
from .kept_perception import Found, kept_or
from .perceived_depth import default_depth, depth_at, perceive_depth, seen_size
from .pose_input import drawn
from .streams import LazyFrames, ReadAgain, packed

logger = logging.getLogger(__name__)

LIKELY = 0.5  # probability from which a pixel is the person's
# what can be perceived, in a scene folder's files
FILES = {"pose": "pose.json", "mask": "mask.mkv", "depth": "depth.mkv", "plate": "plate.mkv"}
KNOWN = "known.mkv"  # beside the plate: where it is known
OF_THE_PERSON = ("pose", "mask")
MARK = "perceived.json"  # beside them: what they were made of


class NobodySeenError(InputError):
    """No frame of the video shows a person whom the pose model finds."""


@dataclass(frozen=True)
class Perceived:
    """keypoints: a POSE_KEYPOINT dict a frame, in the video's own pixels, of one person or nobody.

    mask: (F, h, w), 0 or 1, that person's pixels, at the size that the estimator saw.
    """

    keypoints: list[dict]
    mask: LazyFrames

    def mask_at(self, size: Size) -> LazyFrames:
        """The mask (F, height, width), 0…1, at another size."""
        width, height = size

        def planes(frames: list[int]) -> Tensor:
            return torch.from_numpy(resize(self.mask[frames].numpy(), width, height)).clamp(0, 1)

        return LazyFrames((len(self.mask), height, width), planes)


def perceive(
    video: Clip, estimator: PoseEstimator, what: Collection[str] = OF_THE_PERSON, follow: Follow | None = None
) -> Perceived:
    """Find one person of a video in one pass: poses are kept, masks packed, frames not.

    what: keys of FILES, what it is done for. follow: says who is meant, None: the largest. Tells what is done and by
    which model, whether there were others, which short gaps were filled, and where there is nobody. Raises InputError
    where the estimator cannot be used, and where the person is in no frame.
    """
    size, follow = seen_size(video.size), follow or Follower()
    parts = " and ".join(part for part in FILES if part in what)
    logger.info("%s finds the person of %s: %s, looked at in %dx%d", estimator.name, video.path, parts, *size)
    reason = estimator.available()
    if reason is not None:
        raise InputError(reason)
    question = None if estimator.identity is None else f"{estimator.identity} {follow.question} {size}"
    found = kept_or(lambda: _find(video, estimator, follow), video, question)
    if len(found.nobody) == len(found.keypoints):
        raise NobodySeenError(_nobody(estimator.name, video, follow.choice, found.most))
    _tell(video, follow.choice, found)
    return Perceived(found.keypoints, found.mask)


def _find(video: Clip, estimator: PoseEstimator, follow: Follow) -> Found:
    """The one pass."""
    steady, keypoints = SteadyPerson(video.fps), []

    def masks() -> Iterator[np.ndarray]:
        for person in steady(estimator.estimate(video.frames(seen_size(video.size)), follow)):
            keypoints.append(person.keypoints(video.size))
            yield person.mask >= LIKELY

    mask = packed(masks())
    return Found(keypoints, mask, steady.filled, steady.nobody, follow.strangers, follow.most)


def _tell(video: Clip, choice: Choice, found: Found) -> None:
    if found.most > 1:
        logger.info(
            "up to %d people are in %s: %s is followed, the others stay as they are (--person N, or X,Y)",
            *(found.most, video.path, choice),
        )
    if found.filled:
        logger.info("short gaps without the person, %s, are filled from the frames around", frame_numbers(found.filled))
    if found.nobody:
        logger.warning("no person in %s of %s: nothing is drawn there", frame_numbers(found.nobody), video.path)
    others = sorted(set(found.nobody) & set(found.strangers))
    if others:
        logger.warning(
            "in %s somebody else is seen than the one who is followed: where that is a cut, give each shot by itself",
            frame_numbers(others),
        )


def _nobody(model: str, video: Clip, choice: Choice, most: int) -> str:
    if most and choice != Choice():
        return (
            f"{choice} is in no frame of {video.path}, where {model} finds up to {most}: give --person "
            "a smaller number, or X,Y of a pixel on them in a frame that shows them"
        )
    return (
        f"{model} finds nobody in any of the {len(video)} frames of {video.path}: give a video that shows a person "
        "larger and longer, or poses that were found elsewhere"
    )


def perceive_files(
    driving: Path,
    out: Path,
    what: Collection[str] = OF_THE_PERSON,
    person: str = LARGEST,
    backends: Collection[str] = (),
) -> Path:
    """Write what is perceived of a video into a folder, whole or not at all, as a scene folder holds it.

    what: keys of FILES. person: see `parse_choice`, in the video's pixels. backends: names of models in place of the
    default ones. Files in `out` are replaced only where they are this function's own. Raises InputError as `perceive`
    and `perceive_depth`, and for a place that cannot be written.
    """
    names = [FILES[part] for part in FILES if part in what] + [KNOWN] * ("plate" in what)
    check_folder(out, names, MARK)
    for name in names:
        check_output(out / name, {"--driving": driving})
    video = open_video(driving)
    poses, depths = chosen_backends(backends)
    made = {"driving": driving.name, "frames": len(video), "size": list(video.size)}
    with atomic_folder(out) as temporary:
        if set(what) & {*OF_THE_PERSON, "plate"}:
            made["model"] = poses.name
            perceived = perceive(video, poses, what, Follower(parse_choice(person, video.size)))
        if "pose" in what:
            write_pose(temporary / FILES["pose"], perceived.keypoints)
        if "mask" in what:
            planes = (to_uint8(plane) for plane in perceived.mask_at(video.size))
            write_lossless(temporary / FILES["mask"], planes, video.fps, times=video.times)
        if "depth" in what:
            made["depth_model"] = depths.name
            depth = perceive_depth(video, depths, Follower(parse_choice(person, video.size)))
            planes = (to_uint8(plane) for plane in depth_at(depth, video.size))
            write_lossless(temporary / FILES["depth"], planes, video.fps, times=video.times)
        if "plate" in what:
            _write_plate(video, perceived, temporary)
        (temporary / MARK).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return out


def _write_plate(video: Video, perceived: Perceived, folder: Path) -> None:
    """The place without the person, and where it is known, as two videos."""
    people = parse_poses(perceived.keypoints, *video.size)
    hidden = certainly_hidden(perceived.mask_at(video.size), drawn(people, video.size), video.fps)
    frames = ReadAgain(len(video), video.size, lambda start: video.frames(video.size, start))
    plate, seen, (width, height) = CleanPlate(frames, hidden), [], video.size

    def pictures() -> Iterator[np.ndarray]:
        for index in range(len(video)):
            picture, known = plate[index]
            seen.append(np.packbits(known.bool().numpy()))
            yield to_uint8(picture)

    write_lossless(folder / FILES["plate"], pictures(), video.fps, times=video.times)
    planes = (255 * np.unpackbits(bits, count=width * height).reshape(height, width) for bits in seen)
    write_lossless(folder / KNOWN, planes, video.fps, times=video.times)


def chosen_backends(names: Collection[str]) -> tuple[PoseEstimator, DepthEstimator]:
    """The models of those names, and the default ones of what none is named for. Raises InputError for others."""
    kinds = (POSE_ESTIMATORS, DEPTH_ESTIMATORS)
    unknown = [name for name in names if not any(name in kind for kind in kinds)]
    if unknown:
        raise InputError(f"no model is named {unknown[0]!r}: choose of {', '.join(chain.from_iterable(kinds))}")
    poses = next((POSE_ESTIMATORS[name]() for name in names if name in POSE_ESTIMATORS), default_estimator())
    return poses, next((DEPTH_ESTIMATORS[name]() for name in names if name in DEPTH_ESTIMATORS), default_depth())


def default_estimator() -> PoseEstimator:
    """The estimator that is used where none is asked for."""
    return next(iter(POSE_ESTIMATORS.values()))()
