"""Files that a person names → the pictures, masks and skeletons that `animate` takes, checked and of one size."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media import parse_poses, read_depth, read_image, read_mask, read_pose, read_video, resize, to_float
from ..media.video import FOLDER_FPS
from ..models import ModelConfig
from ..perception import (
    blur_maps,
    dilate,
    inside,
    measure_hand_blur,
    override_sharpness,
    render_skeleton,
    shape_agnostic_mask,
    structured_depth,
)
from ..perception.skeleton import SKELETON_THRESHOLD
from .conditions import DrivingConditions

logger = logging.getLogger(__name__)

MEASURED = "measured"  # the hands as they are in the driving video
SMALLEST_REFERENCE = 32  # pixels a side
SHAPE_TOLERANCE = 0.05  # width / height may differ by this share between the inputs of one run
WORKING_SIDE = {"puppets": 128}  # pixels: the short side a model was trained at, by its config's name
USUAL_WORKING_SIDE = 512
SKELETON_MARGIN = 0.05  # of the skeleton's height: how far head, hair and clothes reach beyond the drawn lines


@dataclass(frozen=True)
class InputFiles:
    """What to animate from. A missing `driving` stands for an empty studio, made as large as the pose asks.

    driving, depth, mask, object_mask: video, folder of pictures, or one picture for a clip of one frame.
    pose: OpenPose JSON, or a video of drawn skeletons on black.
    size: (width, height) in pixels that everything is brought to; None: the driving video's own.
    hand_sharpness: MEASURED, or requests as in `perception.override_sharpness`; None: the model is not told.
    """

    reference: Path
    driving: Path | None = None
    pose: Path | None = None
    depth: Path | None = None
    mask: Path | None = None
    object_mask: Path | None = None
    size: tuple[int, int] | None = None
    hand_sharpness: str | None = None


@dataclass(frozen=True)
class Inputs:
    """reference: IMAGE (1, h, w, 3); conditions: see there; fps: frames per second of the driving video.

    picture: the reference as it is in its file, (1, H, W, 3), for a vision encoder; None: as `reference`.
    """

    reference: Tensor
    conditions: DrivingConditions
    fps: float
    picture: Tensor | None = None


@dataclass(frozen=True)
class _Motion:
    """A pose file as read: `keypoints` or drawn `skeleton` frames, with its own size (width, height) and rate."""

    path: Path
    size: tuple[int, int] | None
    fps: float
    keypoints: list[dict] | None = None
    skeleton: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keypoints if self.skeleton is None else self.skeleton)

    def draw(self, width: int, height: int) -> Tensor:
        """Skeleton IMAGE (F, height, width, 3)."""
        if self.skeleton is None:
            return render_skeleton(parse_poses(self.keypoints, width, height), width, height)
        return to_float(resize(self.skeleton, width, height))


def load_inputs(files: InputFiles, config: ModelConfig) -> Inputs:
    """Read, check and fit together all inputs of one run.

    Depth is reduced to the structured depth of AA2 §3.4 and the character's mask to the formulated mask of eq. 2.
    Raises InputError for anything missing, unreadable, of another length or shape, or not a number.
    """
    files = with_neighbours(files)
    motion = _read_motion(files.pose)
    driving, fps = _read_driving(files, motion)
    own_size = motion.size if driving is None else (driving.shape[2], driving.shape[1])
    size = _working_size(files, own_size, config)
    count, name = (len(motion), motion.path) if driving is None else (len(driving), files.driving)
    _check_length("pose", motion.path, len(motion), name, count)
    if driving is not None:
        _check_shape(motion.path, motion.size, files.driving, own_size)
    skeleton = motion.draw(*size)
    depth = _read_plane("depth", files.depth, name, count, own_size, size)
    conditions = DrivingConditions(
        driving=to_float(resize(driving, *size)) if driving is not None else studio(*size).expand(count, -1, -1, -1),
        mask=_formulated_mask(_read_plane("mask", files.mask, name, count, own_size, size), skeleton, files),
        skeleton=skeleton,
        depth=None if depth is None else structured_depth(depth, skeleton),
        object_mask=_read_plane("object-mask", files.object_mask, name, count, own_size, size),
        blur=_hand_maps(files, motion, None if driving is None else resize(driving, *size), size),
    )
    picture = read_image(files.reference)
    reference = fit_reference(picture, size, config.size_multiple, f"the reference {files.reference}")
    return Inputs(reference, conditions, fps, picture)


def with_neighbours(files: InputFiles) -> InputFiles:
    """Fill what is not given from the files that `inhabit scene` puts beside its driving video.

    Raises InputError when a part that is needed is neither given nor there, naming the option to give.
    """
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
    if pose is None:
        raise InputError(
            f"no --pose, and no pose.json beside {files.driving}: give --pose POSE.json or a skeleton video"
        )
    if mask is None:
        raise InputError(f"no --mask, and no mask.mkv beside {files.driving}: give --mask, white on the character")
    depth = files.depth or (None if files.pose else _neighbour(folder / "depth.mkv"))  # depth belongs to its pose
    objects = files.object_mask or _neighbour(folder / "object.mkv")
    if depth is None:
        logger.info("no --depth: the skeleton alone tells the pose")
    return replace(files, pose=pose, depth=depth, mask=mask, object_mask=objects)


def fit_reference(picture: Tensor, size: tuple[int, int], multiple: int, name: str) -> Tensor:
    """Return IMAGE (1, h, w, 3): a picture of its own shape, at most as many pixels as `size` has, sides snapped.

    size: (width, height) in pixels of the frames it goes with. multiple: what divides both sides of the result.
    Raises InputError for a picture (1, H, W, 3) of less than 32 pixels a side, by its name.
    """
    height, width = picture.shape[1:3]
    if min(height, width) < SMALLEST_REFERENCE:
        raise InputError(
            f"{name} is {width}x{height} pixels: give a picture of the character of at least "
            f"{SMALLEST_REFERENCE}x{SMALLEST_REFERENCE}"
        )
    scale = min(1.0, (size[0] * size[1] / (width * height)) ** 0.5)
    width, height = (_nearest(side * scale, multiple) for side in (width, height))
    return torch.from_numpy(resize(picture.numpy(), width, height)).clamp(0, 1)


def studio(width: int, height: int) -> Tensor:
    """An empty room (1, height, width, 3) 0…1 for a pose that comes without a scene: a wall, a floor, soft light."""
    y = torch.linspace(0, 1, height).view(-1, 1)
    x = torch.linspace(-1, 1, width).view(1, -1)
    floor = torch.sigmoid((y - 0.74) * height / 2)  # an edge about two pixels soft
    light = 1 - 0.12 * x**2 - 0.10 * (y - 0.3) ** 2
    wall, ground = torch.tensor([0.70, 0.74, 0.78]), torch.tensor([0.56, 0.53, 0.50])
    colour = wall + floor.unsqueeze(-1) * (ground - wall)
    return (colour * light.unsqueeze(-1)).clamp(0, 1).unsqueeze(0)


def skeleton_mask(skeleton_FHWC: Tensor) -> Tensor:
    """Mask (F, H, W), 0 or 1: drawn skeletons grown by 5 % of the tallest one's height.

    # Not in paper: stands in for the character's mask where a skeleton is all there is.
    """
    on_FHW = skeleton_FHWC.amax(dim=-1) > SKELETON_THRESHOLD
    tallest = max(_extent(on.any(dim=1)) for on in on_FHW)
    return dilate(on_FHW.float(), SKELETON_MARGIN * tallest)


def _extent(occupied: Tensor) -> int:
    """Length from the first to the last True of a bool vector; 0 without any."""
    places = occupied.nonzero()
    return int(places[-1] - places[0]) + 1 if len(places) else 0


def _neighbour(path: Path) -> Path | None:
    if not path.exists():
        return None
    logger.info("using %s", path)
    return path


def _read_motion(path: Path) -> _Motion:
    if path.suffix.lower() == ".json":
        keypoints = read_pose(path)
        width, height = (keypoints[0].get(f"canvas_{side}") for side in ("width", "height"))
        return _Motion(path, (width, height) if width and height else None, FOLDER_FPS, keypoints=keypoints)
    video = read_video(path)
    lit = (video.frames.max(axis=-1) > SKELETON_THRESHOLD * 255).mean()
    if lit == 0:
        raise InputError(f"{path} is black in every frame: give --pose a video of drawn skeletons, or a JSON file")
    if lit > 0.5:
        raise InputError(
            f"{lit:.0%} of {path} is not black: give --pose a video of drawn skeletons on black, or a JSON file"
        )
    return _Motion(path, (video.frames.shape[2], video.frames.shape[1]), video.fps, skeleton=video.frames)


def _hand_maps(files: InputFiles, motion: _Motion, driving: np.ndarray | None, size: tuple[int, int]) -> Tensor | None:
    """Motion-blur maps (F, height, width, 3) where they are asked for.

    Raises InputError for a request that cannot be read, and for drawn skeletons, which tell no movement.
    """
    if files.hand_sharpness is None:
        return None
    if motion.keypoints is None:
        raise InputError(
            f"--hand-sharpness needs keypoints, and {motion.path} shows drawn skeletons: give --pose a JSON file"
        )
    measured = files.hand_sharpness.strip() == MEASURED
    if measured and driving is None:
        raise InputError('--hand-sharpness measured needs --driving to measure in: give it, or e.g. "both sharp"')
    blur = measure_hand_blur(motion.keypoints, *size, None if driving is None else to_float(driving))
    return blur_maps(override_sharpness(blur, "" if measured else files.hand_sharpness), *size)


def _read_driving(files: InputFiles, motion: _Motion) -> tuple[np.ndarray | None, float]:
    if files.driving is None:
        return None, motion.fps
    video = read_video(files.driving)
    return video.frames, video.fps


def _working_size(files: InputFiles, own: tuple[int, int] | None, config: ModelConfig) -> tuple[int, int]:
    """(width, height) of the run. Raises InputError, with the nearest size that works, for sides that do not divide."""
    multiple = config.size_multiple
    if files.size is None and own is None:
        raise InputError(f"{files.pose} names no canvas size: give --size WxH, e.g. --size 128x128")
    if files.size is None and files.driving is None:
        side = WORKING_SIDE.get(config.name, USUAL_WORKING_SIDE)
        return tuple(_nearest(length * side / min(own), multiple) for length in own)
    size = files.size or own
    if any(side % multiple or side < multiple for side in size):
        nearest = "x".join(str(_nearest(side, multiple)) for side in size)
        what = "--size" if files.size else f"the driving video {files.driving}"
        raise InputError(f"{what} is {size[0]}x{size[1]}, and {multiple} must divide both sides: give --size {nearest}")
    return size


def _nearest(length: float, multiple: int) -> int:
    return max(multiple, round(length / multiple) * multiple)


def _read_plane(
    option: str, path: Path | None, driving: Path, count: int, own: tuple[int, int] | None, size: tuple[int, int]
) -> Tensor | None:
    """A mask or depth (F, H, W) 0…1 at the working size, checked against the driving video; None without a path."""
    if path is None:
        return None
    plane = (read_depth if option == "depth" else read_mask)(path)
    _check_length(option, path, len(plane), driving, count)
    _check_shape(path, (plane.shape[2], plane.shape[1]), driving, own)
    for index, frame in enumerate(plane):
        if not torch.isfinite(frame).all():
            raise InputError(
                f"--{option} {path} has NaN or infinite values in frame {index}: give finite values from 0 to 1"
            )
    low, high = plane.min().item(), plane.max().item()
    if low < 0 or high > 1:
        raise InputError(f"--{option} {path} has values from {low:g} to {high:g}: scale them to 0…1 (depth: 1 is near)")
    return torch.from_numpy(resize(plane.numpy(), *size)).clamp(0, 1)


def _check_length(option: str, path: Path, length: int, driving: Path, count: int) -> None:
    if length != count:
        raise InputError(f"--{option} {path} has {length} frames, {driving} has {count}: give one for every frame")


def _check_shape(path: Path, size: tuple[int, int] | None, driving: Path, own: tuple[int, int] | None) -> None:
    """Other sizes are resized, other shapes would be distorted: refuse them."""
    if size is None or own is None:
        return
    if abs(size[0] * own[1] / (size[1] * own[0]) - 1) > SHAPE_TOLERANCE:
        raise InputError(
            f"{path} is {size[0]}x{size[1]}, {driving} is {own[0]}x{own[1]}: crop one to the other's shape"
        )


def _formulated_mask(character: Tensor | None, skeleton: Tensor, files: InputFiles) -> Tensor:
    if character is None:
        character = skeleton_mask(skeleton)
    if not inside(character).any():
        what = f"the mask {files.mask}" if files.mask else f"the pose {files.pose}"
        raise InputError(f"{what} is empty in every frame, so that there is nothing to generate: give another")
    return shape_agnostic_mask(character)
