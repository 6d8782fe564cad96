"""Motion-blur conditions of the hands: movement, sharpness, and the maps that are painted from them (HIA §3.2).

# Not in paper: maps of their own, beside the skeleton; HIA overlays movement and sharpness on the skeleton picture.

Hands are the first person's, left and right as arrays of two.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media.arrays import to_uint8
from ..media.opencv import cv2
from ..media.pose import Pose, parse_poses
from ..models.config import TYPICAL_SHARPNESS
from .regions import fill_hull

HANDS = ("left", "right")
FASTEST = 0.1  # Not in paper: a movement of this share of the frame's side in one frame is the map's end
MARGIN = 0.25  # of the hand's longer side, around it
CHUNK = 16  # frames that exist as 8-bit pictures at once
FAINTEST = 1 / 255  # the smallest sharpness in a map's hands, which 8-bit pictures keep
SMALLEST_CROP = 7  # pixels a side: below this a Laplacian tells nothing
WORDS = {"blurred": 0.1, "sharp": 0.9}
OVERRIDE = re.compile(r"(left|right|both)(?:\s+(\d+)(?:\s*-\s*(\d*))?)?\s+(sharp|blurred|[0-9.]+)")


@dataclass(frozen=True)
class HandBlur:
    """Of F frames and two hands, left and right.

    points: (F, 2, 21, 3) keypoints in pixels and scores, 0 = missing.
    movement: (F, 2, 2) mean movement in x and y since the last frame, pixels.
    sharpness: (F, 2) 0…1, 0.5 is an ordinary hand's; 0 where a hand is missing.
    """

    points: np.ndarray
    movement: np.ndarray
    sharpness: np.ndarray


def measure_hand_blur(
    poses: Sequence[dict] | Sequence[Sequence[Pose]],
    width: int,
    height: int,
    driving_FHWC: Tensor | None = None,
    *,
    before: Sequence[Sequence[Pose]] | None = None,
    typical: float = TYPICAL_SHARPNESS,
) -> HandBlur:
    """Measure how the hands of a clip move, and how sharp they are in the driving video (HIA eq. 3).

    Movement is v_i = p_i - p_{i-1}, the mean over a hand's points that both frames have. Sharpness is the variance s of
    the Laplacian of the hand's crop. # Not in paper: a hand's first frame has the movement of the next; the crop has a
    margin of a quarter, since blur shows at the outline; s is brought to 0…1 as s / (s + the typical s), and is 0.5
    where it cannot be measured or no driving video is given.

    driving_FHWC: IMAGE (F, H, W, 3), 0…1, of width × height pixels and as many frames as poses; or what gives such
    frames when it is sliced.
    before: the poses one frame before each of `poses`, for frames that do not follow each other; None: they do.
    typical: the variance of an ordinary hand, grey values of 0…255: the scale that the model was trained with, its
        config's `pose.typical_sharpness`.
    Raises InputError where driving video and poses differ in length or size.
    """
    if len(poses) and isinstance(poses[0], dict):
        poses = parse_poses(poses, width, height)
    points = hand_points(poses)
    present = (points[..., 2] > 0).any(axis=-1)
    if driving_FHWC is None:
        sharpness = np.where(present, 0.5, 0.0)
    elif tuple(driving_FHWC.shape[:3]) != (len(poses), height, width):
        frames, rows, columns = driving_FHWC.shape[:3]
        raise InputError(
            f"the driving video has {frames} frames of {columns}x{rows}, the poses {len(poses)} of {width}x{height}: "
            "make them equal"
        )
    else:
        sharpness = _relative(_variance_in_chunks(driving_FHWC, points), present, typical)
    movement = _movement_over_time(points) if before is None else _movement(points, hand_points(before))
    return HandBlur(points, movement, sharpness.astype(np.float32))


def override_sharpness(blur: HandBlur, text: str) -> HandBlur:
    """Replace the sharpness of hands by what an artist asks for.

    text: one request a line (or after ";"): `left|right|both`, frames `3-10`, `3-` or `3` (none: all), and `sharp`,
    `blurred` or a number 0…1. Later ones win. Missing hands stay missing.
    Raises InputError for a line of another form, a number outside 0…1, and frames that run backwards or begin after
    the clip. Frames up to a number after the clip's last one are its last frames.
    """
    sharpness = blur.sharpness.copy()
    present = (blur.points[..., 2] > 0).any(axis=-1)
    for line in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        match = OVERRIDE.fullmatch(line.lower())
        value = _sharpness_value(match[4]) if match else None
        if value is None:
            raise InputError(
                f"sharpness {line!r} is not understood: write for example `left 0-24 sharp`, `right 30- 0.3` or "
                "`both blurred`, a number from 0 to 1"
            )
        frames = _frames(line, match[2], match[3], len(sharpness))
        hands = [0, 1] if match[1] == "both" else [HANDS.index(match[1])]
        for hand in hands:
            sharpness[frames, hand] = np.where(present[frames, hand], value, sharpness[frames, hand])
    return replace(blur, sharpness=sharpness)


def blur_maps(blur: HandBlur, width: int, height: int) -> Tensor:
    """Paint movement and sharpness over the hands → IMAGE (F, H, W, 3), 0…1.

    Red and green are the movement in x and y, 0.5 is none and 0 or 1 a tenth of the frame's side or more; blue is the
    sharpness, at least 1/255 on the hands, 0 off them: so a model knows where they are.
    # Not in paper: pictures of their own; HIA paints both over the hands of the skeleton picture.
    """
    maps = np.zeros((len(blur.points), height, width, 3), np.float32)
    maps[..., :2] = 0.5
    speed = blur.movement / (FASTEST * np.array([width, height]))
    sharpness = blur.sharpness.clip(FAINTEST)[..., None]
    colours = np.concatenate([0.5 + 0.5 * speed.clip(-1, 1), sharpness], axis=-1)
    for picture, hands, colour in zip(maps, blur.points, colours, strict=True):
        region = np.zeros((height, width), np.uint8)
        for number, points in enumerate(hands, start=1):
            fill_hull(region, points, number)
        for number in (1, 2):
            picture[region == number] = colour[number - 1]
    return torch.from_numpy(maps)


def _sharpness_value(word: str) -> float | None:
    try:
        value = WORDS[word] if word in WORDS else float(word)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _frames(line: str, first: str | None, last: str | None, length: int) -> slice:
    """The frames a line asks for, of `length`: `3` is (first "3", last None), `3-10` ("3", "10"), `3-` ("3", "").

    Raises InputError where they run backwards or begin after the clip.
    """
    if first is None:
        return slice(None)
    start, stop = int(first), int(last or first) + 1
    if stop <= start:
        raise InputError(f"sharpness {line!r} counts frames backwards: write {last}-{first}")
    if start >= length:
        raise InputError(f"sharpness {line!r} begins after the clip: its frames are 0 to {length - 1}")
    return slice(start, None if last == "" else stop)


def hand_points(poses: Sequence[Sequence[Pose]]) -> np.ndarray:
    """(F, 2, 21, 3) of the first person's hands, zeros where nobody is."""
    points = np.zeros((len(poses), 2, 21, 3), np.float32)
    for index, people in enumerate(poses):
        if people:
            points[index] = people[0].left_hand, people[0].right_hand
    return points


def _movement(points: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(F, 2, 2) from (F, 2, 21, 3) of every frame and of the one before it; 0 where no point is in both."""
    both = (points[..., 2] > 0) & (before[..., 2] > 0)
    steps = (points[..., :2] - before[..., :2]) * both[..., None]
    return (steps.sum(axis=2) / np.maximum(both.sum(axis=2), 1)[..., None]).astype(np.float32)


def _movement_over_time(points: np.ndarray) -> np.ndarray:
    """(F, 2, 2) from (F, 2, 21, 3) of consecutive frames; where a hand begins, the movement of its next frame."""
    before = np.concatenate([np.zeros_like(points[:1]), points[:-1]])
    movement = _movement(points, before)
    known = ((points[..., 2] > 0) & (before[..., 2] > 0)).any(axis=-1)
    for frame in range(len(points) - 1):
        begins = ~known[frame] & known[frame + 1]
        movement[frame, begins] = movement[frame + 1, begins]
    return movement


def laplacian_variance(driving: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return s of HIA eq. 3 (F, 2), of the grey values 0…255 in the box around each hand and its margin.

    driving: uint8 (F, H, W, 3). points: (F, 2, 21, 3), see `HandBlur`. 0 where the box is too small or off the frame.
    """
    variance = np.zeros(points.shape[:2])
    for frame, hands in enumerate(points):
        grey = cv2.cvtColor(driving[frame], cv2.COLOR_RGB2GRAY)
        for hand, keypoints in enumerate(hands):
            inside = keypoints[keypoints[:, 2] > 0, :2]
            if not len(inside):
                continue
            low, high = inside.min(axis=0), inside.max(axis=0)
            margin = MARGIN * (high - low).max()
            left, top = np.floor(low - margin).astype(int).clip(0)
            right, bottom = np.ceil(high + margin).astype(int).clip(0)
            crop = grey[top:bottom, left:right]
            if min(crop.shape) >= SMALLEST_CROP:
                variance[frame, hand] = cv2.Laplacian(crop, cv2.CV_64F).var()
    return variance


def _variance_in_chunks(driving_FHWC: Tensor, points: np.ndarray) -> np.ndarray:
    """`laplacian_variance`, taking a few frames at a time out of a video that may not be in memory."""
    parts = [slice(start, start + CHUNK) for start in range(0, max(1, len(points)), CHUNK)]
    return np.concatenate([laplacian_variance(to_uint8(driving_FHWC[part]), points[part]) for part in parts])


def _relative(variance: np.ndarray, present: np.ndarray, typical: float) -> np.ndarray:
    return np.where(present, np.where(variance > 0, variance / (variance + typical), 0.5), 0.0)
