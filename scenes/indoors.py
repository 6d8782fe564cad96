"""Places under a roof: room and stage."""

from __future__ import annotations

import numpy as np

from .character import TOPS
from .drawing import ellipse, shade
from .place import Place, pick


def room(place: Place) -> None:
    """A room with furniture along the wall."""
    rng, unit = place.rng, place.unit
    wall = pick(
        rng, (240, 222, 190), (190, 214, 220), (226, 196, 196), (196, 206, 176), (206, 196, 226), (120, 150, 160)
    )
    floor = pick(rng, (176, 124, 82), (140, 100, 76), (206, 190, 168), (120, 126, 140))
    line = place.horizon + 0.3 * (place.ground - place.horizon)
    place.gradient(0, line, shade(wall, 0.92), wall, (55, 65))
    if rng.random() < 0.5:
        for x in np.arange(0, place.width, unit * 0.16):
            place.boxes(x, 0, unit * 0.07, line, shade(wall, 0.94), 60, False)
    place.gradient(line, place.height, shade(floor, 0.9), shade(floor, 1.06), (70, place.depth_at(place.height)))
    middle = place.width / 2
    for x in np.arange(-2, place.width / unit + 2, 0.22) * unit:
        place.canvas.stroke(
            np.array([(x, line), (middle + (x - middle) * 1.35, place.height)]),
            shade(floor, 0.82),
            place.depth_at(place.ground),
            0.007 * unit,
        )
    place.boxes(-5, line - 0.035 * unit, place.width + 10, 0.035 * unit, shade(wall, 1.5), 66)
    x = rng.uniform(-0.1, 0.3) * unit
    while x < place.width:
        wide = unit * rng.uniform(0.34, 0.5)
        (_window, _shelf, _sofa, _picture, _plant)[rng.integers(5)](place, x, line, wide)
        x += wide + unit * rng.uniform(0.12, 0.35)


def _window(place: Place, x: float, line: float, wide: float) -> None:
    top, tall = line - 1.65 * wide, 1.15 * wide
    place.boxes(x, top, wide, tall, (246, 244, 238), 62)
    place.boxes(x + 0.07 * wide, top + 0.07 * wide, 0.86 * wide, tall - 0.14 * wide, (150, 206, 240), 10, False)
    place.canvas.fill(
        ellipse((x + 0.6 * wide, top + tall * 0.45), (0.22 * wide, 0), (0, 0.1 * wide)), (248, 250, 252), 10
    )
    place.boxes(x + 0.07 * wide, top + tall * 0.7, 0.86 * wide, tall * 0.3 - 0.07 * wide, (120, 180, 110), 12, False)
    place.boxes(x + 0.47 * wide, top, 0.06 * wide, tall, (246, 244, 238), 62, False)


def _shelf(place: Place, x: float, line: float, wide: float) -> None:
    rng, tall, wood = place.rng, 1.7 * wide, (146, 98, 62)
    foot = line + 0.06 * wide
    place.canvas.shadow(np.array([x + wide / 2, foot]), wide * 0.6, wide * 0.08, 0.35)
    place.boxes(x, foot - tall, wide, tall, wood, 76)
    for row in range(4):
        y = foot - tall + (0.06 + 0.24 * row) * tall
        place.boxes(x + 0.06 * wide, y, 0.88 * wide, 0.2 * tall, shade(wood, 0.6), 70, False)
        bx = x + 0.08 * wide
        while bx < x + 0.84 * wide:
            bw, bh = wide * rng.uniform(0.06, 0.12), tall * rng.uniform(0.12, 0.18)
            if rng.random() < 0.8:
                place.boxes(bx, y + 0.2 * tall - bh, bw, bh, TOPS[rng.integers(len(TOPS))], 73, False)
            bx += bw


def _sofa(place: Place, x: float, line: float, wide: float) -> None:
    wide, colour = wide * 1.5, TOPS[place.rng.integers(len(TOPS))]
    foot = line + 0.16 * wide
    place.canvas.shadow(np.array([x + wide / 2, foot]), wide * 0.6, wide * 0.07, 0.4)
    depth = place.depth_at(foot)
    place.boxes(x + 0.06 * wide, foot - 0.62 * wide, 0.88 * wide, 0.5 * wide, shade(colour, 0.86), depth)
    place.boxes(x + 0.1 * wide, foot - 0.3 * wide, 0.8 * wide, 0.2 * wide, shade(colour, 1.1), depth)
    for arm in (0.0, 0.86):
        place.boxes(x + arm * wide, foot - 0.44 * wide, 0.14 * wide, 0.4 * wide, colour, depth)


def _picture(place: Place, x: float, line: float, wide: float) -> None:
    rng, top = place.rng, line - 1.5 * wide
    place.boxes(x, top, wide * 0.8, wide * 0.62, (90, 66, 48), 62)
    place.boxes(x + 0.06 * wide, top + 0.06 * wide, wide * 0.68, wide * 0.5, TOPS[rng.integers(len(TOPS))], 62, False)
    place.canvas.fill(
        ellipse((x + 0.4 * wide, top + 0.32 * wide), (0.16 * wide, 0), (0, 0.16 * wide)),
        TOPS[rng.integers(len(TOPS))],
        62,
    )


def _plant(place: Place, x: float, line: float, wide: float) -> None:
    foot, pot = line + 0.1 * wide, pick(place.rng, (200, 110, 70), (236, 232, 224), (70, 90, 130))
    depth, middle = place.depth_at(foot), x + 0.3 * wide
    place.canvas.shadow(np.array([middle, foot]), wide * 0.3, wide * 0.06, 0.35)
    for angle in np.linspace(-1.1, 1.1, 7):
        tip = np.array([np.sin(angle), -np.cos(angle)]) * wide * 0.75
        base = np.array([middle, foot - 0.3 * wide])
        across = np.array([-tip[1], tip[0]]) * 0.14
        place.canvas.fill(
            np.stack([base, base + 0.55 * tip + across, base + tip, base + 0.55 * tip - across]),
            (60, 140, 84),
            depth,
            None,
            (36, 96, 60),
        )
    shape = [
        (middle - 0.2 * wide, foot - 0.36 * wide),
        (middle + 0.2 * wide, foot - 0.36 * wide),
        (middle + 0.14 * wide, foot),
        (middle - 0.14 * wide, foot),
    ]
    place.canvas.fill(np.array(shape), pot, depth, None, shade(pot, 0.65))


def stage(place: Place) -> None:
    """A curtain, boards and boxes."""
    rng, unit = place.rng, place.unit
    colour = pick(rng, (120, 40, 70), (50, 60, 120), (40, 100, 100), (90, 60, 130), (60, 60, 66))
    line = place.horizon + 0.45 * (place.ground - place.horizon)
    place.gradient(0, line, shade(colour, 0.75), shade(colour, 1.15), (40, 55))
    for x in np.arange(0, place.width, unit * 0.2):
        place.boxes(x, 0, unit * 0.07, line, shade(colour, 0.8), 48, False)
        place.boxes(x + unit * 0.1, 0, unit * 0.03, line, shade(colour, 1.25), 50, False)
    floor = pick(rng, (176, 130, 86), (90, 80, 90), (206, 196, 180))
    place.gradient(line, place.height, shade(floor, 0.8), shade(floor, 1.12), (70, place.depth_at(place.height)))
    for x in np.arange(rng.uniform(0.1, 0.7), place.width / unit, 0.85) * unit:
        size, tint = unit * rng.uniform(0.16, 0.26), TOPS[rng.integers(len(TOPS))]
        y = line + rng.uniform(0.1, 0.45) * (place.ground - line)
        place.canvas.shadow(np.array([x + size / 2, y]), size * 0.65, size * 0.13, 0.4)
        place.boxes(x, y - size, size, size, tint, place.depth_at(y))
        place.boxes(x + 0.72 * size, y - size, 0.28 * size, size, shade(tint, 0.78), place.depth_at(y), False)
