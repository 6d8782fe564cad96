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
from ..media import Clip, open_video, resize, to_uint8, write_lossless, write_pose
from ..media.outputs import check_folder, check_output
from ..perception.backends import DEPTH_ESTIMATORS, POSE_ESTIMATORS, DepthEstimator, PoseEstimator
from ..perception.follow import LARGEST, Choice, Follow, Follower, parse_choice
from ..perception.people import SteadyPerson
from .fitting import Size, frame_numbers
from .perceived_depth import default_depth, depth_at, perceive_depth, seen_size
from .streams import LazyFrames, packed

logger = logging.getLogger(__name__)

LIKELY = 0.5  # probability from which a pixel is the person's
FILES = {
    "pose": "pose.json",
    "mask": "mask.mkv",
    "depth": "depth.mkv",
}  # what can be perceived, in a scene folder's files
OF_THE_PERSON = ("pose", "mask")
MARK = "perceived.json"  # beside them: what they were made of


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
    size = seen_size(video.size)
    steady, keypoints = SteadyPerson(video.fps), []
    follow = follow or Follower()
    found = estimator.estimate(video.frames(size), follow)
    parts = " and ".join(part for part in FILES if part in what)
    logger.info("%s finds the person of %s: %s, looked at in %dx%d", estimator.name, video.path, parts, *size)

    def masks() -> Iterator[np.ndarray]:
        for person in steady(found):
            keypoints.append(person.keypoints(video.size))
            yield person.mask >= LIKELY

    mask = packed(masks())
    if len(steady.nobody) == len(keypoints):
        raise InputError(_nobody(estimator.name, video, follow))
    if follow.most > 1:
        logger.info(
            "up to %d people are in %s: %s is followed, the others stay as they are (--person N, or X,Y)",
            *(follow.most, video.path, follow.choice),
        )
    if steady.filled:
        logger.info(
            "short gaps without the person, %s, are filled from the frames around", frame_numbers(steady.filled)
        )
    if steady.nobody:
        logger.warning("no person in %s of %s: nothing is drawn there", frame_numbers(steady.nobody), video.path)
    return Perceived(keypoints, mask)


def _nobody(model: str, video: Clip, follow: Follow) -> str:
    if follow.most and follow.choice != Choice():
        return (
            f"{follow.choice} is in no frame of {video.path}, where {model} finds up to {follow.most}: give --person "
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
    names = [FILES[part] for part in FILES if part in what]
    check_folder(out, names, MARK)
    for name in names:
        check_output(out / name, {"--driving": driving})
    video = open_video(driving)
    poses, depths = chosen_backends(backends)
    made = {"driving": driving.name, "frames": len(video), "size": list(video.size)}
    with atomic_folder(out) as temporary:
        if set(what) & set(OF_THE_PERSON):
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
        (temporary / MARK).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return out


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
