"""The place behind a character that a moving camera shows."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass

import numpy as np

from ..media import to_uint8
from ..media.opencv import cv2
from .camera import View, camera_motion
from .plate_sources import Shot, colour_gain, exposed

logger = logging.getLogger(__name__)

MOST_KEYS, SHORTEST = 64, 8  # key frames of a clip at most, and frames from one to the next at least
DISAGREEMENT = 10.0  # 0…255: mean difference around a hole above which a picture was not brought there rightly
SURROUNDINGS = 0.06  # of the longer side: what lies around a hole


@dataclass
class _Motion:
    """key: number of the key frame. to_key (3, 3): from the frame's pixels to the key frame's."""

    key: int
    to_key: np.ndarray


class _Pictures:
    """Key frames with what is known of them, on disk while the plate exists."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._shape = (*size, 4)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this
        self._bytes = int(np.prod(self._shape))

    def write(self, number: int, picture: np.ndarray, clear: np.ndarray) -> None:
        self._file.seek(number * self._bytes)
        self._file.write(np.dstack([picture, clear]).tobytes())

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture (H, W, 3) uint8 and how clear of the character each pixel was (H, W) uint8, 0: unknown."""
        self._file.seek(number * self._bytes)
        whole = np.frombuffer(self._file.read(self._bytes), np.uint8).reshape(self._shape)
        return whole[..., :3].copy(), whole[..., 3].copy()


class MovingPlace:
    """Key frames, each filled from the frames up to the next and then from other key frames, the nearest first.

    A frame takes what is hidden in it from its own key frame and the two beside that. Every step is a homography that
    corners outside the mask agree on, and is left out where the pictures differ around the hole. Gap: what lies at
    another depth than the most of the place, or moves by itself, is then unknown; it is not followed on its own.
    """

    def __init__(self, shot: Shot) -> None:
        self._size, self._margin, self._pictures = shot.size, shot.clear, _Pictures(shot.size)
        self._motions: list[_Motion] = []
        self._views: list[View] = []  # of key frames
        self._links: list[np.ndarray | None] = []  # from each key frame's pixels to those of the one before
        self._follow(shot)
        self._complete()

    def fill(self, index: int, picture: np.ndarray, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place (H, W, 3) uint8 as frame `index` would show it, and where it is known, (H, W) bool.

        clear: (H, W) uint8, the frame's clearance.
        """
        filled, best = picture.copy(), clear.copy()
        motion, own = self._motions[index], clear > self._margin
        for key in (motion.key, motion.key + 1, motion.key - 1):
            way = self._way(motion.key, key)
            if way is not None:
                self._take(filled, best, own, *self._read(key), way @ motion.to_key)
        return filled, best > 0

    def _read(self, key: int) -> tuple[np.ndarray, np.ndarray]:
        if key not in self._cache:
            self._cache = {near: kept for near, kept in self._cache.items() if abs(near - key) <= 2}
            self._cache[key] = self._pictures.read(key)
        return self._cache[key]

    def _follow(self, shot: Shot) -> None:
        """Go through the clip: every frame's way to its key frame, and key frames filled on the way."""
        length = max(SHORTEST, -(-len(shot) // MOST_KEYS))
        before, lost, begun, key_picture, key_clear, key_own = None, 0, 0, None, None, None
        for index in range(len(shot)):
            picture, clear = to_uint8(shot.picture(index)), shot.clearance(index)
            view = View(picture, clear == 0)
            way = None if before is None else self._way_to_key(view, before)
            lost += before is not None and way is None
            if way is None or index - begun >= length:
                if key_picture is not None:
                    self._pictures.write(len(self._views) - 1, key_picture, key_clear)
                self._links.append(way)
                self._views.append(view)
                key_picture, key_clear, key_own = picture.copy(), clear.copy(), clear > self._margin
                begun, way = index, np.eye(3)
            else:
                self._take(key_picture, key_clear, key_own, picture, clear, np.linalg.inv(way))
            self._motions.append(_Motion(len(self._views) - 1, way))
            before = view
        self._pictures.write(len(self._views) - 1, key_picture, key_clear)
        if lost:
            logger.warning(
                "clean plate: the camera's motion cannot be followed at %d of %d frames: what is hidden there is not "
                "taken from beyond them",
                *(lost, len(shot)),
            )

    def _way_to_key(self, view: View, before: View) -> np.ndarray | None:
        """From a frame's pixels to those of the present key frame, directly or by the frame before."""
        last = self._motions[-1].to_key
        way = camera_motion(self._views[-1], view, np.linalg.inv(last))
        if way is not None:
            return np.linalg.inv(way)
        step = camera_motion(before, view)
        return None if step is None else last @ np.linalg.inv(step)

    def _complete(self) -> None:
        """Fill every key frame from the others as they were filled by their own frames."""
        done = _Pictures(self._size)
        hidden = left = 0
        for key in range(len(self._views)):
            picture, clear = self._pictures.read(key)
            own = clear > self._margin
            for other in sorted(range(len(self._views)), key=lambda other: abs(other - key))[1:]:
                if (clear > self._margin).all():
                    break
                guess = self._way(key, other)
                way = None if guess is None else camera_motion(self._views[key], self._views[other], guess)
                if way is not None:
                    self._take(picture, clear, own, *self._pictures.read(other), way)
            done.write(key, picture, clear)
            seen = self._views[key].seen
            hidden += np.count_nonzero(seen == 0) * own.size / seen.size
            left += np.count_nonzero(clear == 0)
        self._pictures, self._cache = done, {}
        self.known = 1 - left / hidden if hidden else 1.0

    def _way(self, start: int, end: int) -> np.ndarray | None:
        """From one key frame's pixels to another's, link by link; None without such a frame or where a link is lost."""
        if not 0 <= end < len(self._views):
            return None
        way = np.eye(3)
        for key in range(start, end, -1):
            if self._links[key] is None:
                return None
            way = self._links[key] @ way
        for key in range(start + 1, end + 1):
            if self._links[key] is None:
                return None
            way = np.linalg.inv(self._links[key]) @ way
        return way

    def _take(
        self,
        picture: np.ndarray,
        clear: np.ndarray,
        own: np.ndarray,
        source: np.ndarray,
        source_clear: np.ndarray,
        way: np.ndarray,
    ) -> None:
        """Fill, in place, what a picture's clearance says it shows badly or not, where a source shows it clearer.

        own: (H, W) bool, the picture's own pixels, by which the source is judged. way: (3, 3), from the picture's
        pixels to the source's.
        """
        holes = clear <= self._margin
        if not holes.any():
            return
        box = self._around(holes)
        height, width = holes[box].shape
        moved = way @ np.array([[1, 0, box[1].start], [0, 1, box[0].start], [0, 0, 1]], float)
        seen = cv2.warpPerspective(source_clear, moved, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
        whole = cv2.warpPerspective(
            (source_clear > 0).astype(np.float32), moved, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        seen[whole < 0.99] = 0
        fresh = holes[box] & (seen > clear[box])
        if not fresh.any():
            return
        brought = cv2.warpPerspective(
            source,
            moved,
            (width, height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        common = (seen > self._margin) & own[box]
        gain = colour_gain(picture[box], brought, common)
        brought = exposed(brought, gain)
        if common.sum() < 64 or cv2.absdiff(brought, picture[box])[common].mean() > DISAGREEMENT:
            return
        picture[box][fresh] = brought[fresh]
        clear[box][fresh] = seen[fresh]

    def _around(self, holes: np.ndarray) -> tuple[slice, slice]:
        x, y, width, height = cv2.boundingRect(holes.astype(np.uint8))
        margin = round(SURROUNDINGS * max(holes.shape))
        rows = slice(max(0, y - margin), min(holes.shape[0], y + height + margin))
        return rows, slice(max(0, x - margin), min(holes.shape[1], x + width + margin))
