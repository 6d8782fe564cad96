"""Whether a video that is given for a pose shows drawn skeletons at all."""

import numpy as np

from ..media.opencv import cv2
from .skeleton import SKELETON_THRESHOLD

# Not in paper: limits between drawn skeletons, ours and DWPose's, also dimmed and after lossy compression, and what is
# given for them by mistake: masks, depth, footage, people cut out on black.
MOST_LIT = 0.5  # of all pixels: skeletons are drawn on black
LEAST_COLOURED = 0.05  # of the pixels that are lit: limbs are 0.4 and more, masks and depth 0
MOST_OF_ONE_HUE = 0.9  # of the coloured pixels: limbs have the hues of a wheel, a mask in colour has one
MOST_SOLID = 0.78  # of the pixels that are lit, in areas and not in lines: limbs are 0.0 to 0.4, masks 0.8 and more
STROKE = 0.03  # of the picture's short side: lines are thinner than twice this
HUES = 12


class SkeletonLook:
    """Gathers what the pictures of one video look like; `fault` tells why they cannot be drawn skeletons."""

    def __init__(self) -> None:
        self.lit: list[float] = []  # share of every frame that is not black
        self._pixels = self._lit = self._coloured = self._solid = 0
        self._hues = np.zeros(HUES)

    def add(self, picture: np.ndarray) -> None:
        """picture: uint8 (H, W, 3)."""
        bright = picture.max(axis=-1)
        spread = bright - picture.min(axis=-1)
        lit = bright > SKELETON_THRESHOLD * 255
        coloured = lit & (spread > 0.4 * bright) & (spread > 20)
        hue = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 0][coloured].astype(int) * HUES // 180  # 0…179 in OpenCV
        radius = max(1, round(STROKE * min(lit.shape)))
        square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        self._hues += np.bincount(hue, minlength=HUES)
        self._solid += int(cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, square).sum())
        self._coloured += int(coloured.sum())
        self._lit += int(lit.sum())
        self._pixels += lit.size
        self.lit.append(float(lit.mean()))

    def fault(self, name: str) -> str | None:
        """What is wrong with the video `name`, as a sentence's beginning; None for drawn skeletons."""
        if not self._lit:
            return f"{name} is black in every frame"
        if self._lit > MOST_LIT * self._pixels:
            return f"{self._lit / self._pixels:.0%} of {name} is not black"
        if self._coloured < LEAST_COLOURED * self._lit:
            grey = 1 - self._coloured / self._lit
            return f"{name} has no skeleton's colours, {grey:.0%} of what is not black is grey, as in a mask"
        if self._hues.max() > MOST_OF_ONE_HUE * self._hues.sum():
            share = self._hues.max() / self._hues.sum()
            return f"{name} has no skeleton's colours, {share:.0%} of them are of one hue, as in a painted mask"
        if self._solid > MOST_SOLID * self._lit:
            return f"{name} shows filled areas, {self._solid / self._lit:.0%} of what is not black, and no drawn lines"
        return None
