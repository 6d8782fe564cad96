"""Backgrounds: places with props behind and in front of the character, painted once per scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..media.opencv import cv2
from .character import TOPS
from .drawing import Colour, ellipse, mix, shade
from .indoors import room, stage
from .outdoors import beach, meadow, park, street
from .place import Place, pick

# The order is part of what a seed means.
_PAINTERS = (meadow, street, room, beach, stage, park)


@dataclass(frozen=True)
class Plate:
    """A painted place wider than the picture: colour and depth, and the occluders in front with their coverage.

    behind, front: (H·s, W'·s, 4) uint8 red, green, blue, depth; cover: (H·s, W'·s) uint8 or None without occluders.
    """

    behind: np.ndarray
    front: np.ndarray | None
    cover: np.ndarray | None


def _bush(place: Place, x: float, colour: Colour) -> None:
    unit, y = place.unit, place.height + 0.02 * place.unit
    for dx, r in ((-0.14, 0.13), (0.15, 0.12), (0.0, 0.17)):
        place.canvas.fill(
            ellipse((x + dx * unit, y), (r * unit, 0), (0, r * unit * 1.05)),
            shade(colour, 0.84),
            215,
            (255, 255, 255, 255),
            shade(colour, 0.55),
        )
    for dx, r in ((-0.16, 0.08), (0.12, 0.075), (-0.03, 0.11)):
        place.canvas.fill(
            ellipse((x + dx * unit, y - 0.03 * unit), (r * unit, 0), (0, r * unit)), shade(colour, 1.06), 215
        )


def _front_props(place: Place) -> None:
    """One or two occluders near the camera, never over the whole character."""
    rng, unit, mark = place.rng, place.unit, (255, 255, 255, 255)
    kind = rng.integers(3)
    for x in np.arange(rng.uniform(0.1, 0.9), place.width / unit, rng.uniform(0.9, 1.4)) * unit:
        if kind == 0:
            _bush(place, x, pick(rng, (70, 136, 80), (110, 150, 60), (50, 110, 90)))
        elif kind == 1:
            wide, colour = 0.055 * unit, pick(rng, (150, 104, 66), (90, 96, 108), (196, 60, 56))
            for column, tone in ((0.0, 0.75), (0.2, 1.0), (0.5, 1.18)):
                shape = np.array(
                    [
                        (x + column * wide, -2),
                        (x + wide, -2),
                        (x + wide, place.height + 2),
                        (x + column * wide, place.height + 2),
                    ]
                )
                place.canvas.fill(shape, shade(colour, tone), 225, mark, shade(colour, 0.5) if column == 0 else None)
        else:
            size, tint = unit * rng.uniform(0.2, 0.28), TOPS[rng.integers(len(TOPS))]
            top = place.height - 0.62 * size
            for left, wide, tone in ((0.0, 1.0, 0.95), (0.7, 0.3, 0.75)):
                shape = (
                    x + left * size + np.array([0, wide, wide, 0]) * size,
                    np.array([top, top, top + size, top + size]),
                )
                place.canvas.fill(
                    np.stack(shape, 1), shade(tint, tone), 210, mark, shade(tint, 0.55) if left == 0 else None
                )


def make_plate(
    rng: np.random.Generator, width: int, height: int, scale: int, ground: float, unit: float, front: bool
) -> Plate:
    """Paint a place `width` × `height` pixels (times the supersampling `scale`) with the feet at row `ground`."""
    horizon = min(ground - 0.12 * unit, height * 0.8) - rng.uniform(0.02, 0.16) * unit
    place = Place(rng, width, height, scale, horizon, ground, unit)
    _PAINTERS[rng.integers(len(_PAINTERS))](place)
    if not front:
        return Plate(place.canvas.paint, None, None)
    near = Place(rng, width, height, scale, horizon, ground, unit)
    _front_props(near)
    return Plate(place.canvas.paint, near.canvas.paint, near.canvas.marks[..., 0].copy())


def make_backdrop(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A plain backdrop (H, W, 3) uint8 for reference pictures: gradient, two tones, stripes, dots or checks."""
    first, second = (
        np.array(mix(TOPS[i], (235, 235, 235), float(rng.uniform(0.2, 0.8))), np.float32)
        for i in rng.integers(0, len(TOPS), 2)
    )
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    size = max(min(width, height) / rng.uniform(4, 9), 2.0)
    kind = rng.integers(5)
    if kind == 0:
        blend = y / height
    elif kind == 1:
        blend = (y > height * rng.uniform(0.6, 0.85)).astype(np.float32)
    elif kind == 2:
        blend = 0.5 + 0.5 * np.sin((x * np.cos(a := rng.uniform(0, np.pi)) + y * np.sin(a)) / size * np.pi)
    elif kind == 3:
        blend = np.clip(1.5 - np.hypot(x % size - size / 2, y % size - size / 2) / (0.25 * size), 0, 1)
    else:
        blend = np.clip(0.5 + 4 * np.sin(x / size * np.pi) * np.sin(y / size * np.pi), 0, 1)
    picture = first + blend[..., None] * (second - first) * (1.0 if kind < 2 else 0.6)
    return cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), 0.6).round().astype(np.uint8)
