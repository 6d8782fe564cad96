"""The clean plate: the place without the character, from the frames in which each pixel was visible.

The camera may stand still, see `StillPlace`, or move, see `MovingPlace`. What no frame shows stays unknown, and so does
what cannot be brought from one frame to another with certainty.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media import to_float, to_uint8
from ..media.opencv import cv2
from .camera import View, stands_still
from .moving_plate import MovingPlace
from .plate_sources import Shot, colour_gain, exposed

logger = logging.getLogger(__name__)

MARGIN = 0.02  # of the shorter side, see `Shot`
EDGE = 0.004  # of the shorter side, see `Shot`; at least a pixel
ISLAND = 0.1  # of the shorter side: a square of known pixels among unknown ones that counts
SAMPLES = 12  # moments of the clip of which a still camera's picture is kept where the character ever was
NEAREST = 5  # of them, the nearest in time, whose median is taken
PROBES = 16  # frames by which it is judged whether the camera moves
CLEAR = 0.5  # of the best distance to the mask: samples that were nearer to the character are left out


class CleanPlate:
    """The plate of a clip: `plate[index]` → picture (H, W, 3) 0…1 of one frame, and what is known of it (H, W) 0 or 1.

    A frame's picture is its own outside the character's mask; inside it shows what other frames saw there, in this
    frame's exposure, and the frame's own pixels where nothing is known, or only little pieces. Frames are read again
    when they are asked for, best in order. `known` is the share of the hidden pixels that some frame shows, `camera`
    "still" or "moving".
    """

    def __init__(self, frames: Sequence[Tensor], masks: Sequence[Tensor], margin: int | None = None) -> None:
        """Go through the clip, twice where the camera moves.

        frames: F of (H, W, 3) 0…1, by number; read one at a time, never kept. masks: F of (H, W) 0…1, 1 on the
        character, see `inside`. margin: pixels around the character that are filled like it, for soft edges and
        shadows; None: a fiftieth of the shorter side.
        Raises InputError where lengths or sizes disagree, without a frame, and for a margin below 0.
        """
        _check(frames, masks, margin)
        shorter = min(masks[0].shape)
        margin = max(2, round(MARGIN * shorter)) if margin is None else margin
        self._shot = Shot(frames, masks, margin, max(1, round(EDGE * shorter)))
        still = _is_still(self._shot)
        self.camera = "still" if still else "moving"
        self._place = (StillPlace if still else MovingPlace)(self._shot)
        self.known = self._place.known
        self._last: tuple[int, tuple[Tensor, Tensor]] | None = None
        logger.info(
            "clean plate: the camera %s; %.0f%% of what the character hides is seen in other frames",
            "stands still" if still else "moves",
            100 * self.known,
        )

    def __len__(self) -> int:
        return len(self._shot)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self._last is None or self._last[0] != index:
            self._last = index, self._made(index)
        return self._last[1]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[index] for index in range(len(self)))

    def _made(self, index: int) -> tuple[Tensor, Tensor]:
        picture, clear = self._shot.picture(index), self._shot.clearance(index)
        hidden = clear <= self._shot.clear
        if not hidden.any():
            return picture, torch.ones(self._shot.size)
        filled, known = self._place.fill(index, to_uint8(picture), clear)
        known = _without_islands(known | ~hidden)
        taken = torch.from_numpy(hidden & known)
        plate = torch.where(taken.unsqueeze(-1), to_float(filled), picture)
        return plate, torch.from_numpy(known).float()


class StillPlace:
    """What a still camera saw: of every pixel that the character ever hides up to SAMPLES moments of the clip.

    Each moment stands for an equal part of the clip, and holds the pixel as it was in the frame of that part in which
    it lay farthest from the character: shadows and soft edges stay out. All are brought to the exposure of the first
    frame. A pixel is the median of the NEAREST moments.
    """

    def __init__(self, shot: Shot) -> None:
        ever = np.zeros(shot.size, bool)
        for index in range(len(shot)):
            ever |= shot.clearance(index) <= shot.clear
        self._ever, self._parts = ever, min(SAMPLES, len(shot))
        self._frames, self._margin = len(shot), shot.clear
        count = int(ever.sum())
        self._colours = np.zeros((self._parts, count, 3), np.uint8)
        self._clear = np.zeros((self._parts, count), np.uint8)  # pixels to the mask, 0: not seen
        first = first_clear = None
        for index in range(len(shot)) if count else ():
            picture, clear = to_uint8(shot.picture(index)), shot.clearance(index)
            if first is None:
                first, first_clear = picture, clear
            else:
                picture = exposed(picture, colour_gain(first, picture, np.minimum(clear, first_clear) > self._margin))
            self._add(index, picture, clear)
        best = self._clear.max(axis=0, initial=0)
        self._clear[self._clear < CLEAR * best] = 0
        self._seen = best > 0
        self.known = float(self._seen.mean()) if count else 1.0
        self._median: tuple[int, np.ndarray] | None = None

    def fill(self, index: int, picture: np.ndarray, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place (H, W, 3) uint8 as frame `index` would show it, and where it is known, (H, W) bool.

        clear: (H, W) uint8, the frame's clearance.
        """
        part = self._part(index)
        if self._median is None or self._median[0] != part:
            self._median = part, self._median_near(part)
        known = np.ones(clear.shape, bool)
        known[self._ever] = self._seen
        place = picture.copy()
        place[self._ever] = self._median[1]
        gain = colour_gain(picture, place, known & (clear > self._margin) & self._ever)
        return exposed(place, gain), known

    def _part(self, index: int) -> int:
        return index * self._parts // self._frames

    def _add(self, index: int, picture: np.ndarray, clearance: np.ndarray) -> None:
        part, clear = self._part(index), clearance[self._ever]
        better = clear > self._clear[part]
        self._clear[part, better] = clear[better]
        self._colours[part, better] = picture[self._ever][better]

    def _median_near(self, part: int) -> np.ndarray:
        """(N, 3) uint8: the median of the nearest moments that saw each pixel."""
        order = sorted(range(self._parts), key=lambda other: abs(other - part))
        count = self._clear.shape[1]
        chosen, found = np.zeros((NEAREST, count, 3), np.uint8), np.zeros(count, np.int64)
        for other in order:
            take = (self._clear[other] > 0) & (found < NEAREST)
            chosen[found[take], take] = self._colours[other, take]
            found[take] += 1
        places = np.arange(NEAREST)[:, None] % np.maximum(found, 1)  # fewer stand several times: the same middle
        chosen = np.take_along_axis(chosen, places[..., None], axis=0)
        return np.partition(chosen, NEAREST // 2, axis=0)[NEAREST // 2]


def _without_islands(known: np.ndarray) -> np.ndarray:
    """(H, W) bool without its small pieces: holes of a mask that covers the character badly show it."""
    count, pieces, statistics, _ = cv2.connectedComponentsWithStats(known.astype(np.uint8), connectivity=4)
    large = statistics[:count, cv2.CC_STAT_AREA] >= (ISLAND * min(known.shape)) ** 2
    large[0] = False  # what is not known
    return large[pieces]


def _is_still(shot: Shot) -> bool:
    """Whether the camera stands still, judged by some frames, each against the first and the one before it."""
    numbers = np.unique(np.linspace(0, len(shot) - 1, PROBES).round().astype(int))
    first = before = None
    for number in numbers.tolist():
        view = View(to_uint8(shot.picture(number)), shot.clearance(number) == 0)
        if first is None:
            first = view
        elif not (stands_still(before, view) and stands_still(first, view)):
            return False
        before = view
    return True


def _check(frames: Sequence[Tensor], masks: Sequence[Tensor], margin: int | None) -> None:
    if len(frames) < 1:
        raise InputError("the driving video has no frames; give at least one")
    if len(masks) != len(frames):
        raise InputError(f"the mask has {len(masks)} frames, the driving video {len(frames)}; give both as many")
    picture, mask = tuple(frames[0].shape), tuple(masks[0].shape)
    if len(picture) != 3 or picture[-1] != 3 or mask != picture[:2]:
        raise InputError(
            f"a frame has shape {picture} and its mask {mask}; give (height, width, 3) and (height, width)"
        )
    if margin is not None and margin < 0:
        raise InputError(f"margin is {margin} pixels; give 0 or more")
