"""Things a puppet holds, drawn around the grip point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .character import TOPS
from .drawing import OBJECT, Canvas, Colour, ellipse, shade, smooth_closed

SHAPES = ("ball", "box", "mug", "bottle", "book", "wand", "flower", "balloon")


@dataclass(frozen=True)
class Thing:
    """A held object: shape name, two colours (RGB 0…255), size factor."""

    shape: str
    colour: Colour
    accent: Colour
    size: float


def make_thing(rng: np.random.Generator) -> Thing:
    """Draw a held object at random."""
    first, second = rng.choice(len(TOPS), 2, replace=False)
    return Thing(SHAPES[rng.integers(len(SHAPES))], TOPS[first], TOPS[second], float(rng.uniform(0.9, 1.15)))


def _box_of(grip: np.ndarray, side: np.ndarray, up: np.ndarray, x: tuple, y: tuple) -> np.ndarray:
    return grip + np.multiply.outer(np.array(x), side) + np.multiply.outer(np.array(y), up)


def _round(canvas: Canvas, thing: Thing, centre: np.ndarray, side: np.ndarray, up: np.ndarray, depth: int) -> None:
    canvas.fill(ellipse(centre, side, up), shade(thing.colour, 0.85), depth, OBJECT, shade(thing.colour, 0.55))
    canvas.fill(ellipse(centre - 0.1 * side + 0.12 * up, side * 0.78, up * 0.76), shade(thing.colour, 1.05), depth)
    arc = np.linspace(-0.9, 0.9, 7)
    band = centre + np.multiply.outer(np.sin(arc), up) + np.multiply.outer(0.35 * np.cos(arc), side)
    canvas.stroke(band, thing.accent, depth, np.hypot(*side) * 0.3)
    canvas.fill(ellipse(centre - 0.38 * side + 0.4 * up, side * 0.17, up * 0.14), (255, 255, 255), depth)


def _bloom(canvas: Canvas, thing: Thing, grip: np.ndarray, side: np.ndarray, up: np.ndarray, depth: int) -> None:
    width = np.hypot(*side)
    canvas.stroke(np.stack([grip - 0.9 * up, grip + 1.5 * up]), (60, 130, 60), depth, width * 0.2, OBJECT)
    centre = grip + 1.8 * up
    if thing.shape == "wand":
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        reach = np.where(np.arange(10) % 2 == 0, 0.85, 0.38)
        star = centre + np.multiply.outer(reach * np.sin(turn), side) + np.multiply.outer(reach * np.cos(turn), up)
        canvas.fill(star, thing.colour, depth, OBJECT, shade(thing.colour, 0.6))
        return
    for turn in np.linspace(0, 2 * np.pi, 6, endpoint=False):
        petal = centre + 0.42 * (np.cos(turn) * side + np.sin(turn) * up)
        canvas.fill(ellipse(petal, side * 0.34, up * 0.34), thing.colour, depth, OBJECT, shade(thing.colour, 0.65))
    canvas.fill(ellipse(centre, side * 0.3, up * 0.3), thing.accent, depth, OBJECT)


def _carton(
    canvas: Canvas, thing: Thing, grip: np.ndarray, side: np.ndarray, up: np.ndarray, depth: int, edge: Colour
) -> None:
    wide = 0.95 if thing.shape == "box" else 0.75
    rows = (-0.75, -0.75, 1.05, 1.05)
    canvas.fill(_box_of(grip, side, up, (-wide, wide, wide, -wide), rows), thing.colour, depth, OBJECT, edge)
    shaded = _box_of(grip, side, up, (0.4 * wide, wide, wide, 0.4 * wide), rows)
    canvas.fill(shaded, shade(thing.colour, 0.85), depth)
    half, rows = (0.18, rows) if thing.shape == "box" else (0.45, (0.3, 0.3, 0.75, 0.75))
    canvas.fill(_box_of(grip, side, up, (-half, half, half, -half), rows), thing.accent, depth)


def _vessel(
    canvas: Canvas, thing: Thing, grip: np.ndarray, side: np.ndarray, up: np.ndarray, depth: int, edge: Colour
) -> None:
    colour = thing.colour
    if thing.shape == "mug":
        handle = ellipse(grip + 0.75 * side + 0.1 * up, side * 0.4, up * 0.42)
        canvas.stroke(handle, shade(colour, 0.75), depth, np.hypot(*side) * 0.2, OBJECT, True)
        cup = _box_of(grip, side, up, (-0.62, 0.62, 0.7, -0.7), (-0.75, -0.75, 0.9, 0.9))
        canvas.fill(cup, colour, depth, OBJECT, edge)
        canvas.fill(_box_of(grip, side, up, (-0.66, 0.66, 0.67, -0.67), (-0.1, -0.1, 0.3, 0.3)), thing.accent, depth)
        canvas.fill(ellipse(grip + 0.9 * up, side * 0.7, up * 0.16), shade(colour, 0.5), depth, OBJECT)
        return
    x, y = (-0.45, 0.45, 0.48, 0.2, 0.2, -0.2, -0.2, -0.48), (-0.9, -0.9, 0.7, 1.15, 1.6, 1.6, 1.15, 0.7)
    canvas.fill(smooth_closed(_box_of(grip, side, up, x, y), 1), colour, depth, OBJECT, edge)
    canvas.fill(_box_of(grip, side, up, (-0.46, 0.46, 0.46, -0.46), (-0.3, -0.3, 0.4, 0.4)), thing.accent, depth)


def draw_thing(canvas: Canvas, thing: Thing, grip: np.ndarray, up: np.ndarray, depth: int) -> None:
    """Paint the object at grip (2,) with its up direction (2,) in pixels for a tenth of a body height."""
    up = up * thing.size * 0.78
    side = np.array([-up[1], up[0]])
    edge = shade(thing.colour, 0.55)
    if thing.shape == "ball":
        _round(canvas, thing, grip + 0.25 * up, side * 0.95, up * 0.95, depth)
    elif thing.shape == "balloon":
        canvas.stroke(np.stack([grip - 0.6 * up, grip + 2.2 * up]), (90, 90, 96), depth, np.hypot(*side) * 0.09, OBJECT)
        _round(canvas, thing, grip + 2.9 * up, side * 0.95, up * 1.15, depth)
    elif thing.shape in ("flower", "wand"):
        _bloom(canvas, thing, grip, side, up, depth)
    elif thing.shape in ("box", "book"):
        _carton(canvas, thing, grip, side, up, depth, edge)
    else:
        _vessel(canvas, thing, grip, side, up, depth, edge)
