"""How a stored picture is turned and mirrored to be seen upright."""

import logging
from dataclasses import dataclass

import av
import numpy as np

logger = logging.getLogger(__name__)

ONE = 1 << 16  # 1.0 in a display matrix


@dataclass(frozen=True)
class Orientation:
    """First, rows and columns of the stored picture are swapped (or not), then the result is mirrored (or not)."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def turn(self, picture: np.ndarray) -> np.ndarray:
        """A picture (h, w) or (h, w, c) as stored → upright, a view where it can be."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of a stored picture → of the upright one."""
        return (height, width) if self.transpose else (width, height)


UPRIGHT = Orientation()


def orientation(frame: av.VideoFrame) -> Orientation:
    """What the display matrix of a decoded frame asks for: one of the eight turns; the nearest one where it is oblique.

    The matrix [[a b u] [c d v] [x y w]], 16.16 fixed point, takes a stored place (p, q) to (a p + c q, b p + d q), up
    to a shift (ISO/IEC 14496-12 §6.2.2).
    """
    matrix = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        found, oblique = Orientation(False, a < 0, d < 0), b or c
    else:
        found, oblique = Orientation(True, c < 0, b < 0), a or d
    if oblique:
        logger.warning("a video asks for a turn by an odd angle: it is turned by the nearest multiple of 90 degrees")
    return found
