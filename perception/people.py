"""One person through a clip, from what a pose estimator tells frame by frame: short gaps filled, points without jitter,
masks without drop-outs.

Gap: a person who is lost for longer, or who is elsewhere when found again, is not filled in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..media.pose import PARTS, Pose
from .backends.protocols import PersonInFrame
from .follow import Choice, Follower
from .smoothing import PoseSmoother

LONGEST_GAP = 0.5  # seconds without a person that are filled in
NEAR_FRAMES = 2  # before and after a frame, whose masks tell whether its own is a drop-out
ALIKE = 0.85  # intersection over union with the median of them below which a mask may be one
FARTHEST = 0.5  # body sizes that the body's middle may have moved within a gap; else it may be somebody else


class SteadyPerson:
    """Goes through one clip once, and holds no more of it than the masks of one short gap.

    filled, nobody: numbers of the frames, so far, whose person was filled in, and of those without a person.
    """

    def __init__(self, rate: float):
        """rate: frames a second."""
        self._rate = rate
        self.filled: list[int] = []
        self.nobody: list[int] = []

    def __call__(self, found: Iterable[PersonInFrame]) -> Iterator[PersonInFrame]:
        """The same frames, some of them later: people in short gaps between two frames are filled in, all smoothed."""
        smooth = PoseSmoother(self._rate)
        for index, person in enumerate(steady_masks(fill_gaps(found, int(LONGEST_GAP * self._rate)))):
            if person.pose is None:
                self.nobody.append(index)
            elif person.filled:
                self.filled.append(index)
            yield replace(person, pose=smooth(person.pose))


def one_person(people: Sequence[Sequence[Pose]], choice: Choice, size: tuple[int, int]) -> list[list[Pose]]:
    """Of the people of every frame the chosen one, who is followed by their place, or nobody.

    people: in pixels of a picture of size (width, height).
    """
    follow, chosen = Follower(choice), []
    for persons in people:
        there = [person for person in persons if person.has_points]
        boxes = [np.concatenate([person.points.min(axis=0), person.points.max(axis=0)]) for person in there]
        index = follow(None, np.array(boxes), size)
        chosen.append([] if index is None else [there[index]])
    return chosen


def fill_gaps(found: Iterable[PersonInFrame], longest: int) -> Iterator[PersonInFrame]:
    """Fill gaps of at most `longest` frames between two frames that show the person.

    Points that both have move in a straight line; the mask is what either covers. A frame whose body has no point
    shows nobody.
    """
    before, gap = None, []
    for person in found:
        if not _is_seen(person):
            gap.append(replace(person, pose=None, mask=np.zeros_like(person.mask)))
            if before is None or len(gap) > longest:
                yield from gap
                before, gap = None, []
            continue
        yield from _filled(before, person, gap) if gap and _is_near(before.pose, person.pose) else gap
        yield person
        before, gap = person, []
    yield from gap


def steady_masks(found: Iterable[PersonInFrame]) -> Iterator[PersonInFrame]:
    """Replace masks that lost a part of the person, or found another's, for a frame or two.

    Such a mask is unlike the median of the masks around it, while the frames before and after it are alike. Frames
    that show nobody stay.
    """
    around: deque[PersonInFrame] = deque(maxlen=2 * NEAR_FRAMES + 1)
    index = -1
    for index, person in enumerate(found):
        around.append(person)
        if index >= NEAR_FRAMES:
            yield _steadied(list(around), len(around) - 1 - NEAR_FRAMES)
    for late in range(max(len(around) - NEAR_FRAMES, 0), len(around)):
        yield _steadied(list(around)[max(late - NEAR_FRAMES, 0) :], min(late, NEAR_FRAMES))


def _steadied(around: list[PersonInFrame], place: int) -> PersonInFrame:
    """The one at a place among its neighbours in time."""
    person = around[place]
    if person.pose is None or not 0 < place < len(around) - 1 or any(one.pose is None for one in around):
        return person
    median = np.median([one.mask for one in around], axis=0).astype(np.float32)
    own = _shared(person.mask, median)
    if own >= ALIKE or own >= _shared(around[place - 1].mask, around[place + 1].mask):
        return person
    return replace(person, mask=median)


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    one, other = one >= 0.5, other >= 0.5
    return float((one & other).sum() / max((one | other).sum(), 1))


def _filled(before: PersonInFrame, after: PersonInFrame, gap: list[PersonInFrame]) -> Iterator[PersonInFrame]:
    mask = np.maximum(before.mask, after.mask)
    for number in range(1, len(gap) + 1):
        yield PersonInFrame(_between(before.pose, after.pose, number / (len(gap) + 1)), mask, filled=True)


def _between(before: Pose, after: Pose, share: float) -> Pose:
    """The pose at a share, 0…1, of the way; points that one of both lacks are missing."""
    parts = {}
    for part in PARTS:
        start, end = getattr(before, part), getattr(after, part)
        both = (start[:, 2:] > 0) & (end[:, 2:] > 0)
        parts[part] = np.where(both, start + share * (end - start), 0).astype(np.float32)
    return Pose(**parts)


def _is_seen(person: PersonInFrame) -> bool:
    return person.pose is not None and bool(person.pose.body[:, 2].any())


def _is_near(before: Pose, after: Pose) -> bool:
    boxes = [pose.body[pose.body[:, 2] > 0, :2] for pose in (before, after)]
    size = max(float(np.ptp(box, axis=0).max()) for box in boxes)
    start, end = ((box.min(axis=0) + box.max(axis=0)) / 2 for box in boxes)
    return float(np.linalg.norm(end - start)) <= FARTHEST * size
