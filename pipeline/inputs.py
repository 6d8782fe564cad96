"""Files that a person names → the pictures, masks and skeletons that `animate` takes, checked and of one size."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..media import Clip, Pose, Video, open_video, read_image
from ..models import ModelConfig
from ..perception import HandBlur, blur_maps, measure_hand_blur, override_sharpness
from ..perception.follow import LARGEST, parse_choice
from ..perception.person_crop import PersonCrop
from ..perception.plate import CleanPlate
from .conditions import DrivingConditions
from .fitting import Size, Target, tell_squeezing, working_size
from .hidden import certainly_hidden, with_objects
from .mask_input import read_characters, read_mask_of, read_objects, read_structured_depth
from .person_input import CropWish, PersonInput, given_person, perceived_person, with_other_poses
from .pose_input import PoseFile, open_pose
from .reference_picture import fit_reference, studio
from .retargeting import neighbour_pose, retargeting
from .streams import LazyFrames, ReadAgain

__all__ = [
    "MEASURED",
    "InputFiles",
    "Inputs",
    "fit_reference",
    "load_inputs",
    "open_inputs",
    "studio",
    "with_neighbours",
]

logger = logging.getLogger(__name__)

MEASURED = "measured"  # the hands as they are in the driving video


@dataclass(frozen=True)
class InputFiles:
    """What to animate from. A missing `driving` stands for an empty studio, made as large as the pose asks.

    A missing `pose` is perceived in the driving video; so is, then, a missing `mask`.
    driving, depth, mask, object_mask: video, folder of pictures, or one picture for a clip of one frame; one mask may
    hold for all frames.
    pose: OpenPose JSON, OpenPose's folder of a JSON file a frame, or a video of drawn skeletons on black.
    size: (width, height) in pixels that everything is brought to; None: the driving video's own.
    hand_sharpness: MEASURED, or requests as in `perception.override_sharpness`; None: the model is not told.
    retarget: give the poses the reference's bones, see `retargeting`. reference_pose: OpenPose JSON of the reference
    picture for it; None: its pose is perceived.
    person: who of several people is meant, `perception.follow.parse_choice`, in the driving video's pixels.
    crop_to_person: work on a window around the person, None: where they are small, see `person_crop`.
    """

    reference: Path
    driving: Path | None = None
    pose: Path | None = None
    depth: Path | None = None
    mask: Path | None = None
    object_mask: Path | None = None
    size: tuple[int, int] | None = None
    hand_sharpness: str | None = None
    retarget: bool = False
    reference_pose: Path | None = None
    person: str = LARGEST
    crop_to_person: bool | None = None


@dataclass(frozen=True)
class Inputs:
    """reference: IMAGE (1, h, w, 3); conditions: see there; fps: frames per second of the driving video.

    picture: the reference as it is in its file, (1, H, W, 3), for a vision encoder; None: as `reference`.
    times: (F,) seconds at which each frame is shown, None: one every 1 / fps.
    crop, video: where the conditions are a window of the driving video: which one, and the whole video.
    plate: makes the clean plate of the driving video; None where there is no driving video.
    """

    reference: Tensor
    conditions: DrivingConditions
    fps: float
    picture: Tensor | None = None
    times: np.ndarray | None = None
    crop: PersonCrop | None = None
    video: Video | None = None
    plate: Callable[[], CleanPlate] | None = None


def load_inputs(files: InputFiles, config: ModelConfig) -> Inputs:
    """Read what `open_inputs` opens into memory, at the working size: its conditions are tensors."""
    inputs = open_inputs(files, config)
    kept = {name: value.tensor() for name, value in vars(inputs.conditions).items() if isinstance(value, LazyFrames)}
    return replace(inputs, conditions=replace(inputs.conditions, **kept))


def open_inputs(files: InputFiles, config: ModelConfig) -> Inputs:
    """Read, check and fit together all inputs of one run, holding little of them: a long video fits into memory.

    Frames are shrunk while they are read. Of the conditions, the driving video is read again whenever it is asked for,
    what is drawn or masked is kept packed. Depth is reduced to the structured depth of AA2 §3.4 and the character's
    mask to the formulated mask of eq. 2.
    Raises InputError for anything missing, unreadable, of another length or shape, or not a number.
    """
    files = with_neighbours(files)
    if files.driving is not None and files.depth is None:
        logger.info("no --depth: the skeleton alone tells the pose")
    video = None if files.driving is None else open_video(files.driving)
    pose = None if files.pose is None else open_pose(files.pose)
    target = _target(files, video, pose, config)
    picture = read_image(files.reference)
    name = f"the reference {files.reference}"
    fit_reference(picture, target.size, config.size_multiple, name)  # told before the work
    seen = _person(files, video, pose, target, config)
    own_skeletons = seen.skeletons
    if files.retarget:
        bones = retargeting(files.reference, picture, files.reference_pose, files.object_mask, seen.target)
        seen = with_other_poses(seen, bones)
    target, shown = seen.target, seen.video
    whole = pose.size if video is None else video.size
    if whole is not None and target.crop is None:
        tell_squeezing(target.size, whole, target.path, config.size_multiple)
    characters = seen.mask if files.mask is None else read_characters(files.mask, target)
    driving = studio(*target.size).expand(target.count, -1, -1, -1) if video is None else _again(shown, target.size)
    blur_in = None if video is None else driving
    conditions = DrivingConditions(
        driving=driving,
        mask=read_mask_of(files.mask, seen.skeletons, target, seen.path, characters, grown=files.retarget),
        skeleton=seen.skeletons,
        depth=read_structured_depth(files.depth, seen.skeletons, target),
        object_mask=read_objects(files.object_mask, target),
        blur=_hand_maps(files, seen.people, blur_in, target.size, config.pose.typical_sharpness),
    )
    reference = fit_reference(picture, target.size, config.size_multiple, name)
    if video is None:
        return Inputs(reference, conditions, pose.fps, picture, None if pose.video is None else pose.video.times)
    hidden = characters
    if seen.mask is not None:
        hidden = certainly_hidden(characters, own_skeletons, video.fps)
    hidden = with_objects(hidden, conditions.object_mask)
    plate = functools.partial(CleanPlate, _again(shown, target.size), hidden)
    return Inputs(reference, conditions, video.fps, picture, video.times, target.crop, video, plate)


def _person(
    files: InputFiles, video: Video | None, pose: PoseFile | None, target: Target, config: ModelConfig
) -> PersonInput:
    choice = parse_choice(files.person, target.size if video is None else video.size)
    wish = CropWish(files.crop_to_person, files.size, config.size_multiple)
    if pose is None:
        return perceived_person(video, target, choice, wish, with_mask=files.mask is None)
    return given_person(pose, video, target, choice, wish)


def _target(files: InputFiles, video: Video | None, pose: PoseFile | None, config: ModelConfig) -> Target:
    if video is None:
        size = working_size(files.size, pose.size, files.pose, False, config.name, config.size_multiple)
        return Target(files.pose, len(pose), size)
    size = working_size(files.size, video.size, files.driving, True, config.name, config.size_multiple)
    return Target(files.driving, len(video), size, (video.size, video.stored_size))


def _again(video: Clip, size: Size) -> ReadAgain:
    return ReadAgain(len(video), size, lambda start: video.frames(size, start))


def with_neighbours(files: InputFiles) -> InputFiles:
    """Fill what is not given from the files that `inhabit scene` puts beside its driving video.

    A pose may be missing, and then a mask: they are perceived. Raises InputError when another part that is needed is
    neither given nor there, naming the option to give.
    """
    if files.reference_pose is not None and not files.retarget:
        raise InputError("--reference-pose says nothing without --retarget: give both, or none")
    if files.retarget and files.reference_pose is None:
        files = replace(files, reference_pose=_neighbour(neighbour_pose(files.reference)))
    if files.driving is None:
        if files.pose is None:
            raise InputError(
                "neither --driving nor --pose is given: give --driving VIDEO, or --pose for an empty studio"
            )
        return files
    if not files.driving.exists():
        raise InputError(f"--driving {files.driving} does not exist: check the path")
    folder = files.driving.parent
    pose = files.pose or _neighbour(folder / "pose.json")
    mask = files.mask or _neighbour(folder / "mask.mkv")
    if pose is not None and mask is None:
        raise InputError(f"no --mask, and no mask.mkv beside {files.driving}: give --mask, white on the character")
    depth = files.depth or (None if files.pose else _neighbour(folder / "depth.mkv"))  # depth belongs to its pose
    objects = files.object_mask or _neighbour(folder / "object.mkv")
    return replace(files, pose=pose, depth=depth, mask=mask, object_mask=objects)


def _neighbour(path: Path) -> Path | None:
    if not path.exists():
        return None
    logger.info("using %s", path)
    return path


def _hand_maps(
    files: InputFiles, people: list[list[Pose]] | None, driving: ReadAgain | None, size: Size, typical: float
) -> LazyFrames | None:
    """Motion-blur maps (F, height, width, 3) where they are asked for; typical: the model's, see `measure_hand_blur`.

    Raises InputError for a request that cannot be read, and for drawn skeletons, which tell no movement.
    """
    if files.hand_sharpness is None:
        return None
    if people is None:
        raise InputError(
            f"--hand-sharpness needs keypoints, and {files.pose} shows drawn skeletons: give --pose a JSON file"
        )
    measured = files.hand_sharpness.strip() == MEASURED
    if measured and driving is None:
        raise InputError('--hand-sharpness measured needs --driving to measure in: give it, or e.g. "both sharp"')
    blur = measure_hand_blur(people, *size, driving, typical=typical)
    blur = override_sharpness(blur, "" if measured else files.hand_sharpness)

    def maps(frames: list[int]) -> Tensor:
        return blur_maps(HandBlur(blur.points[frames], blur.movement[frames], blur.sharpness[frames]), *size)

    return LazyFrames((len(people), size[1], size[0], 3), maps)
