"""Objects that somebody pointed at, by colour and movement alone: GrabCut where the marks are, optical flow from there.

Nothing is learnt and nothing downloaded. A mark stands for the evenly coloured patch around it; GrabCut (Rother et al.
2004, OpenCV's) finds the outline there. From frame to frame the mask is carried along DIS optical flow (Kroeger et al.
2016, OpenCV's). Where the flow can be trusted it decides; elsewhere (along the outline, and where something comes into
sight) GrabCut does, told which colours were the object's on the frames with marks.
Gap: an object that was hidden completely is not found again until the next frame with a mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...media.opencv import cv2
from ..prompts import Prompt
from .grabcut_colours import Colours

LONGER_SIDE = 512  # pixels of the frames that are looked at, at most
# Kinds of pixels, as cv2.grabCut has them.
OUTSIDE, INSIDE, LIKELY_OUTSIDE, LIKELY_INSIDE = 0, 1, 2, 3

# On a frame with marks
PATCH_LEVELS = 20  # of 255: as far as a mark's patch may differ from the mark in each channel
MARK_RADIUS = 0.006  # of the longer side: what a mark covers at least
AROUND_BOX = 0.15  # of the box's longer side: the surroundings that the object is told from
FIRST_ROUNDS, LATER_ROUNDS = 5, 2  # of GrabCut
# From frame to frame
SAME_COLOUR = 30  # of 255: a pixel that moved differs less from what it was
SAME_PLACE = 1.5  # pixels between where a pixel is and where flow there and back leads
OUTLINE = 2  # pixels on both sides of the carried outline that GrabCut decides about
REACH = 0.05  # of the longer side: as far as the mask may grow in one frame
ROUND_OBJECT = 0.25  # of the object's longer side: the surroundings that it is told from
OWN, FOREIGN, NEVER = 0.6, 0.4, 0.05  # share of a colour's pixels that were the object's
LEAST_CORE = 0.3  # of a part of the mask that was the object before; parts with less are dropped


class GrabCutFlow:
    """A `VideoSegmenter`."""

    name = "grabcut"

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        try:
            return None if cv2.grabCut else "this OpenCV has no grabCut"
        except InputError as error:
            return str(error)

    def segment(self, frames: Sequence[np.ndarray], prompts: Sequence[Prompt]) -> Iterator[tuple[int, int, np.ndarray]]:
        """See `VideoSegmenter`. Each object goes forward from its first frame with marks, and backward from there.

        On a later frame with marks they correct the mask that came there; so they hold from that frame on.
        """
        starts = [prompt.frames[0] for prompt in prompts]
        objects = [_Object(prompts, number) for number in range(len(prompts))]
        first = {}
        for frame, picture in _walk(frames, range(min(starts), len(frames))):
            for number, each in enumerate(objects):
                if frame >= starts[number]:
                    mask = each.follow(frame, picture)
                    first.setdefault(number, mask)
                    yield frame, number, _at_size_of(mask, frames[frame])
        for number, each in enumerate(objects):
            each.mask = first[number]
        for frame, picture in _walk(frames, range(max(starts), -1, -1)):
            for number, each in enumerate(objects):
                if frame < starts[number]:
                    yield frame, number, _at_size_of(each.follow(frame, picture), frames[frame])


@dataclass(frozen=True)
class _Picture:
    """A small frame (H, W, 3) uint8, and where its pixels were in the one before, in the order that they are seen."""

    pixels: np.ndarray
    sources: tuple[np.ndarray, np.ndarray] | None = None  # x, y (H, W) float32
    trusted: np.ndarray | None = None  # (H, W) bool: the pixel came from there

    def carried(self, mask: np.ndarray) -> np.ndarray:
        """A mask (H, W) bool of the frame before, moved to this one."""
        return cv2.remap(mask.astype(np.float32), *self.sources, cv2.INTER_LINEAR) > 0.5


def _walk(frames: Sequence[np.ndarray], numbers: range) -> Iterator[tuple[int, _Picture]]:
    flow, before = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), None
    for number in numbers:
        pixels = _small(frames[number])
        yield number, _Picture(pixels) if before is None else _moved(flow, before, pixels)
        before = pixels


def _moved(flow, before: np.ndarray, pixels: np.ndarray) -> _Picture:
    old, new = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, pixels))
    back, there = flow.calc(new, old, None), flow.calc(old, new, None)
    rows, columns = np.indices(new.shape, np.float32)
    sources = columns + back[..., 0], rows + back[..., 1]
    again = cv2.remap(there, *sources, cv2.INTER_LINEAR) + back
    change = cv2.absdiff(cv2.remap(before, *sources, cv2.INTER_LINEAR), pixels).max(axis=2)
    return _Picture(pixels, sources, (np.hypot(*np.moveaxis(again, 2, 0)) < SAME_PLACE) & (change < SAME_COLOUR))


class _Object:
    """One object on its way through the video. prompts: of all; what belongs to others is excluded."""

    def __init__(self, prompts: Sequence[Prompt], number: int) -> None:
        self._own = prompts[number]
        self._others = [prompt for other, prompt in enumerate(prompts) if other != number]
        self._colours = Colours()
        self.mask: np.ndarray | None = None

    def follow(self, frame: int, picture: _Picture) -> np.ndarray:
        """Its mask (H, W) bool on the next frame of the walk."""
        own = self._own.on(frame)
        carried = None
        if self.mask is not None and picture.sources is not None:
            carried = _refined(picture, picture.carried(self.mask), self._colours)
        if own.points or own.boxes:
            others = [point for prompt in self._others for point in prompt.on(frame).points if point.include]
            carried = _marked(picture.pixels, own, others, carried)
            self._colours.learn(picture.pixels, carried)
        self.mask = carried if carried is not None else self.mask
        return self.mask


def _marked(pixels: np.ndarray, prompt: Prompt, others: Sequence, carried: np.ndarray | None) -> np.ndarray:
    """The object of a frame with marks: what they say, and what came from the frames before, where they are silent."""
    height, width = pixels.shape[:2]
    included = [_pixel(point, width, height) for point in prompt.points if point.include]
    excluded = [_pixel(point, width, height) for point in prompt.points if not point.include]
    excluded += [_pixel(point, width, height) for point in others]
    within = np.full((height, width), not prompt.boxes)
    for box in prompt.boxes:
        left, top = round(box.x * width), round(box.y * height)
        within[top : max(top + 1, round((box.y + box.height) * height)), left:][
            :, : max(1, round(box.width * width))
        ] = True
    kinds = np.full((height, width), LIKELY_INSIDE if prompt.boxes else LIKELY_OUTSIDE, np.uint8)
    if carried is not None:
        kinds[:] = np.where(carried, LIKELY_INSIDE, LIKELY_OUTSIDE)
    inside, outside = _patches(pixels, included), _patches(pixels, excluded)
    kinds[inside & ~outside] = INSIDE
    kinds[outside & ~inside] = OUTSIDE
    kinds[~within] = OUTSIDE
    radius = max(2, round(MARK_RADIUS * max(width, height)))
    for places, kind in ((included, INSIDE), (excluded, OUTSIDE)):
        for place in places:
            cv2.circle(kinds, place, radius, kind, -1)
    around = _grown_box(within, AROUND_BOX) if prompt.boxes else (slice(None), slice(None))
    mask = _cut(pixels, kinds, around, FIRST_ROUNDS)
    return _parts_at(mask, included) if included and carried is None else mask


def _refined(picture: _Picture, carried: np.ndarray, colours: Colours) -> np.ndarray:
    """The carried mask with its outline, and what came into sight, decided by colour."""
    if not carried.any():
        return carried
    depth, distance = _distance(~carried), _distance(carried)  # inside from the outline, outside to it
    kinds = np.where(carried, LIKELY_INSIDE, LIKELY_OUTSIDE).astype(np.uint8)
    kinds[picture.trusted & (distance > OUTLINE)] = OUTSIDE
    kinds[distance > max(OUTLINE, REACH * max(carried.shape))] = OUTSIDE
    core = picture.trusted & (depth > OUTLINE)
    kinds[core] = INSIDE
    open_, share = (kinds == LIKELY_INSIDE) | (kinds == LIKELY_OUTSIDE), colours.share(picture.pixels)
    kinds[open_ & (share > OWN)] = LIKELY_INSIDE
    kinds[open_ & (share < FOREIGN)] = LIKELY_OUTSIDE
    kinds[open_ & (share < NEVER) & ~picture.trusted] = OUTSIDE
    mask = _cut(picture.pixels, kinds, _grown_box(carried, ROUND_OBJECT, 2 * REACH), LATER_ROUNDS)
    return _parts_of(mask, core)


def _cut(pixels: np.ndarray, kinds: np.ndarray, around: tuple[slice, slice], rounds: int) -> np.ndarray:
    """GrabCut within a part of the picture; outside it nothing is the object's."""
    part = np.ascontiguousarray(kinds[around])
    likely = (part == INSIDE) | (part == LIKELY_INSIDE)
    mask = np.zeros(kinds.shape, bool)
    if likely.any() and not likely.all():
        cv2.setRNGSeed(0)  # its clusters begin at random
        nothing = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(np.ascontiguousarray(pixels[around]), part, None, *nothing, rounds, cv2.GC_INIT_WITH_MASK)
        likely = (part == INSIDE) | (part == LIKELY_INSIDE)
    mask[around] = likely
    return mask


def _patches(pixels: np.ndarray, places: Sequence[tuple[int, int]]) -> np.ndarray:
    """The evenly coloured surroundings of some places (x, y): (H, W) bool."""
    height, width = pixels.shape[:2]
    smooth, levels = cv2.medianBlur(pixels, 3), (PATCH_LEVELS,) * 3
    found = np.zeros((height + 2, width + 2), np.uint8)
    for place in places:
        patch = np.zeros_like(found)
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
        cv2.floodFill(smooth, patch, place, 0, levels, levels, flags)
        found |= patch
    return found[1:-1, 1:-1] > 0


def _parts_at(mask: np.ndarray, places: Sequence[tuple[int, int]]) -> np.ndarray:
    """The connected parts of a mask that hold one of the places (x, y)."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[[labels[y, x] for x, y in places]] = True
    kept[0] = False
    return kept[labels]


def _parts_of(mask: np.ndarray, core: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that consist of `core` to a good part; all of them where none does."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    shares = np.bincount(labels[core], minlength=count) / np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    shares[0] = 0
    kept = shares > LEAST_CORE
    return kept[labels] if kept.any() else mask


def _distance(mask: np.ndarray) -> np.ndarray:
    """(H, W) float32: pixels to the nearest one of the mask; 0 on it, far where it is empty."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)


def _grown_box(mask: np.ndarray, share: float, least: float = 0.0) -> tuple[slice, slice]:
    """Rows and columns around a mask, grown by a share of their longer side and at least by one of the picture's."""
    sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    longest = max(side[-1] - side[0] + 1 for side in sides)
    margin = max(8, round(share * longest), round(least * max(mask.shape)))
    return tuple(slice(max(0, side[0] - margin), side[-1] + 1 + margin) for side in sides)


def _pixel(point, width: int, height: int) -> tuple[int, int]:
    return min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)


def _small(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = LONGER_SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _at_size_of(mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
