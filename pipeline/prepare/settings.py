"""What a training set is made by: sizes, lengths, and what is left out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from ...errors import InputError

VERSION = 1  # of what is written; another one is other content


@dataclass(frozen=True)
class PrepareSettings:
    """Raises InputError for values that no clip can have.

    size: (width, height) of every clip, even. min_seconds, max_seconds: of a clip. min_person: height of the person,
    of the frame's height. The thresholds below are ours, for frames of at most 512 pixels.
    """

    size: tuple[int, int] = (256, 256)
    min_seconds: float = 1.0
    max_seconds: float = 4.0
    min_person: float = 0.2
    min_seen: float = 0.9  # of the frames of a clip show the person
    min_sharpness: float = 10.0  # variance of the Laplacian of 8-bit grey
    min_light: float = 0.06  # mean grey, 0…1
    min_motion: float = 0.0005  # mean change of a small frame's pixels from one to the next, 0…1

    def __post_init__(self) -> None:
        if any(side < 16 or side % 2 for side in self.size):
            raise InputError("size is {}x{}: give even numbers of 16 pixels or more".format(*self.size))
        if not 0 < self.min_seconds <= self.max_seconds:
            raise InputError(
                f"clips of {self.min_seconds} to {self.max_seconds} s: give 0 < --min-seconds <= --max-seconds"
            )
        if not 0 <= self.min_person <= 1:
            raise InputError(f"min_person is {self.min_person}: give a part of the frame's height, 0 to 1")

    def text(self) -> str:
        """JSON, the same for the same settings."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=2) + "\n"

    def key(self) -> str:
        """Eight digits that stand for the settings."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:8]
