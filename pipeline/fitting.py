"""How the inputs of one run fit together: their lengths, their shapes, and the size that all are brought to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import InputError
from ..media import Clip
from ..media.cropped import CroppedClip
from ..perception.person_crop import PersonCrop
from .reference_picture import nearest_side

logger = logging.getLogger(__name__)

Size = tuple[int, int]  # width, height in pixels
Frame = TypeVar("Frame")

SHAPE_TOLERANCE = 0.05  # width / height may differ by this share between the inputs of one run
SQUEEZE_TOLERANCE = 0.03  # by which --size may squeeze the picture without a word
WORKING_SIDE = {"puppets": 128}  # pixels: the short side a model was trained at, by its config's name
USUAL_WORKING_SIDE = 512
OFF_BY = 1  # frames: what programs differ by when they cut, convert or count the frames of one video
MOST_RANGES = 12


@dataclass(frozen=True)
class Target:
    """What all inputs must fit: the driving video, or the pose where there is none.

    size: what everything is brought to. shapes: sizes of the driving video, as seen and as stored (they differ where
    its pixels are not square), of which an input has the shape of one; none where there is no driving video.
    crop: the window of the driving video that is worked on; None: the whole picture.
    """

    path: Path
    count: int
    size: Size
    shapes: tuple[Size, ...] = ()
    crop: PersonCrop | None = None

    def clip(self, clip: Clip) -> Clip:
        """What is worked on of a clip of the driving video's shape."""
        return clip if self.crop is None else cropped(clip, self.crop)


def cropped(clip: Clip, crop: PersonCrop) -> CroppedClip:
    """The crop's windows of a clip of the driving video's shape, of as many frames as both have, or of one for all."""
    corners = crop.corners if len(clip) == 1 else crop.corners[: len(clip)]
    return CroppedClip(clip, corners, crop.size, crop.picture)


def frame_numbers(numbers: Iterable[int]) -> str:
    """Rising frame numbers, compactly: [0, 3, 4, 5] → "frames 0, 3-5"; [7] → "frame 7"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:MOST_RANGES]]
    count = sum(last - first + 1 for first, last in ranges)
    rest = f" … ({count} in all)" if len(ranges) > MOST_RANGES else ""
    return f"frame{'s' if count != 1 else ''} {', '.join(words)}{rest}"


def check_length(option: str, path: Path, length: int, target: Target, one_for_all: bool = False) -> None:
    """Raise InputError unless an input of `length` frames serves the target's frames; tell where it does not equal.

    A frame more or less is let pass, see `fitted`. one_for_all: a single picture holds for every frame.
    """
    if length == target.count:
        return
    if one_for_all and length == 1:
        logger.info("--%s %s is one picture: it holds for all %d frames", option, path, target.count)
    elif abs(length - target.count) <= OFF_BY:
        what = "its last one is left out" if length > target.count else "its last one is used twice"
        logger.warning("--%s %s has %d frames, %s has %d: %s", option, path, length, target.path, target.count, what)
    else:
        wanted = "give one for every frame, or one for all" if one_for_all else "give one for every frame"
        raise InputError(f"--{option} {path} has {length} frames, {target.path} has {target.count}: {wanted}")


def fitted(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Exactly `count` of the frames, of which there must be some: the last is repeated, or the rest left out."""
    number, frame = 0, None
    for frame in frames:
        if number == count:
            return
        yield frame
        number += 1
    for _ in range(number, count):
        yield frame


def check_shape(path: Path, size: tuple[float, float], target: Target) -> None:
    """Other sizes are resized, other shapes would be distorted: raise InputError for them."""
    width, height = size
    if any(abs(width * own[1] / (height * own[0]) - 1) <= SHAPE_TOLERANCE for own in target.shapes):
        return
    if target.shapes:
        own = target.shapes[0]
        raise InputError(
            f"{path} is {width:g}x{height:g}, {target.path} is {own[0]}x{own[1]}: crop one to the other's shape"
        )


def working_size(wanted: Size | None, own: Size | None, source: Path, driven: bool, name: str, multiple: int) -> Size:
    """(width, height) that everything is brought to: `wanted`, else the size of its own that `source` has.

    driven: `source` is a driving video; a pose alone takes the size that the model called `name` works at.
    Raises InputError, with the nearest size that works, for sides that `multiple` does not divide.
    """
    if wanted is None and own is None:
        raise InputError(f"{source} names no canvas size: give --size WxH, e.g. --size 128x128")
    if wanted is None and not driven:
        side = WORKING_SIDE.get(name, USUAL_WORKING_SIDE)
        return tuple(nearest_side(length * side / min(own), multiple) for length in own)
    size = wanted or own
    if any(side % multiple or side < multiple for side in size):
        nearest = "x".join(str(nearest_side(side, multiple)) for side in size)
        what = "--size" if wanted else f"the driving video {source}"
        raise InputError(f"{what} is {size[0]}x{size[1]}, and {multiple} must divide both sides: give --size {nearest}")
    return size


def tell_squeezing(size: Size, own: Size, source: Path, multiple: int) -> None:
    """Warn where a working size changes the shape of a source of its own size."""
    wider = size[0] * own[1] / (size[1] * own[0])
    scale = (size[0] * size[1] / (own[0] * own[1])) ** 0.5
    nearest = tuple(nearest_side(side * scale, multiple) for side in own)
    if abs(wider - 1) > SQUEEZE_TOLERANCE and size != nearest:
        logger.warning(
            "--size %dx%d changes the shape of %s, which is %dx%d: everything becomes %.0f%% %s; --size %dx%d keeps it",
            *(*size, source, *own, 100 * abs(wider - 1), "wider" if wider > 1 else "narrower", *nearest),
        )
