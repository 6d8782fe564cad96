"""Places under the sky: meadow, park, beach and street."""

from __future__ import annotations

import numpy as np

from .character import TOPS
from .drawing import Colour, ellipse, mix, shade
from .place import Place, pick


def _tree(place: Place, x: float, y: float, size: float, leaf: Colour) -> None:
    rng, depth, canvas = place.rng, place.depth_at(y), place.canvas
    canvas.shadow(np.array([x, y]), 0.3 * size, 0.05 * size, 0.35)
    trunk = np.array(
        [
            (x - 0.06 * size, y),
            (x + 0.06 * size, y),
            (x + 0.035 * size, y - 0.6 * size),
            (x - 0.035 * size, y - 0.6 * size),
        ]
    )
    canvas.fill(trunk, (116, 80, 54), depth, None, (74, 50, 36))
    if rng.random() < 0.35:
        for level in range(3):
            top, wide = y - (0.62 + 0.24 * level) * size, (0.36 - 0.09 * level) * size
            canvas.fill(
                np.array([(x - wide, top + 0.25 * size), (x + wide, top + 0.25 * size), (x, top - 0.2 * size)]),
                shade(leaf, 0.85 + 0.1 * level),
                depth,
                None,
                shade(leaf, 0.6),
            )
        return
    blobs = [(-0.22, -0.72, 0.26), (0.22, -0.74, 0.25), (0.0, -0.95, 0.3)]
    for dx, dy, r in blobs:
        canvas.fill(
            ellipse((x + dx * size, y + dy * size), (r * size, 0), (0, r * size * 0.95)),
            shade(leaf, 0.84),
            depth,
            None,
            shade(leaf, 0.6),
        )
    for dx, dy, r in blobs:
        canvas.fill(
            ellipse((x + (dx - 0.05) * size, y + (dy - 0.06) * size), (r * size * 0.72, 0), (0, r * size * 0.68)),
            shade(leaf, 1.06),
            depth,
        )


def _cloud(place: Place, x: float, y: float, size: float) -> None:
    for dx, dy, r in ((-0.5, 0, 0.3), (0.5, 0.02, 0.28), (0, -0.12, 0.42), (0.1, 0.08, 0.5)):
        place.canvas.fill(
            ellipse((x + dx * size, y + dy * size), (r * size, 0), (0, r * size * 0.5)), (250, 250, 252), 12
        )


def _hills(place: Place, colour: Colour, height: float, depth: int) -> None:
    rng, x = place.rng, np.linspace(-0.02 * place.width, 1.02 * place.width, 40)
    y = place.horizon - height * (
        0.5
        + 0.3 * np.sin(x / place.unit * rng.uniform(1.5, 3) + rng.uniform(0, 6))
        + 0.2 * np.sin(x / place.unit * rng.uniform(4, 6))
    )
    shape = np.concatenate([np.stack([x, y], 1), [(x[-1], place.horizon + 2), (x[0], place.horizon + 2)]])
    place.canvas.fill(shape, colour, depth)


def _outdoors(place: Place, ground: Colour, leaf: Colour) -> None:
    rng, unit = place.rng, place.unit
    sky = pick(rng, (126, 190, 240), (156, 206, 236), (250, 196, 150), (190, 176, 230), (120, 200, 210))
    place.gradient(0, place.horizon, sky, mix(sky, (255, 250, 236), 0.75), (5, 12))
    if rng.random() < 0.5:
        radius = unit * 0.09
        place.canvas.fill(
            ellipse((rng.uniform(0, place.width), place.horizon * rng.uniform(0.15, 0.5)), (radius, 0), (0, radius)),
            (255, 244, 200),
            6,
        )
    for _ in range(1 + int(place.width / unit * 1.2)):
        _cloud(
            place, rng.uniform(0, place.width), place.horizon * rng.uniform(0.1, 0.6), unit * rng.uniform(0.12, 0.24)
        )
    _hills(place, mix(leaf, sky, 0.55), unit * 0.24, 25)
    _hills(place, mix(leaf, sky, 0.25), unit * 0.13, 35)
    place.gradient(
        place.horizon,
        place.height,
        mix(ground, (255, 250, 220), 0.2),
        shade(ground, 0.8),
        (45, 45 + 95 * (place.height - place.horizon) / (place.ground - place.horizon)),
    )
    place.spots(
        place.horizon, place.height, [shade(ground, 0.88), shade(ground, 1.12)], 14 + int(14 * place.width / unit), 0.07
    )


def meadow(place: Place) -> None:
    """A meadow with trees before hills."""
    rng = place.rng
    leaf = pick(rng, (84, 150, 70), (62, 130, 88), (196, 130, 50), (140, 160, 60))
    _outdoors(place, pick(rng, (130, 182, 92), (160, 190, 90), (112, 166, 110)), leaf)
    for x in np.sort(rng.uniform(0, place.width, 1 + int(place.width / place.unit * 1.6))):
        _tree(
            place,
            x,
            place.horizon + rng.uniform(0.1, 0.5) * (place.ground - place.horizon),
            place.unit * rng.uniform(0.5, 0.95),
            leaf,
        )


def park(place: Place) -> None:
    """A path with trees and benches."""
    rng, unit = place.rng, place.unit
    leaf = pick(rng, (70, 140, 76), (226, 140, 160), (150, 170, 66))
    _outdoors(place, (150, 190, 104), leaf)
    path = place.ground - 0.04 * unit
    place.gradient(
        path, place.height, (226, 208, 170), (200, 178, 140), (place.depth_at(path), place.depth_at(place.height))
    )
    for x in np.arange(rng.uniform(0, 0.5), place.width / unit, 0.9) * unit:
        if rng.random() < 0.5:
            _tree(place, x, place.horizon + 0.4 * (place.ground - place.horizon), unit * rng.uniform(0.6, 1.0), leaf)
        else:
            _bench(place, x, path, unit * 0.36)


def _bench(place: Place, x: float, y: float, size: float) -> None:
    wood, depth = (158, 104, 62), place.depth_at(y)
    place.canvas.shadow(np.array([x + size / 2, y]), size * 0.55, size * 0.07, 0.3)
    for leg in (0.1, 0.85):
        place.boxes(x + leg * size, y - 0.4 * size, 0.07 * size, 0.4 * size, (70, 70, 76), depth, False)
    for row in (0.45, 0.7, 0.9):
        place.boxes(x, y - row * size, size, 0.13 * size, wood, depth)


def beach(place: Place) -> None:
    """Sea, sand and umbrellas."""
    rng, unit = place.rng, place.unit
    sky = pick(rng, (120, 196, 236), (252, 190, 140), (170, 214, 240))
    place.gradient(0, place.horizon, sky, mix(sky, (255, 246, 230), 0.7), (4, 10))
    for _ in range(1 + int(place.width / unit)):
        _cloud(
            place, rng.uniform(0, place.width), place.horizon * rng.uniform(0.1, 0.6), unit * rng.uniform(0.14, 0.26)
        )
    shore = place.horizon + 0.35 * (place.ground - place.horizon)
    place.gradient(place.horizon, shore, (38, 124, 176), (96, 196, 206), (20, 60))
    x = np.linspace(0, place.width, 50)
    foam = np.stack([x, shore + 0.012 * unit * np.sin(x / unit * 9)], 1)
    place.gradient(
        shore, place.height, (246, 226, 180), (222, 192, 140), (place.depth_at(shore), place.depth_at(place.height))
    )
    place.canvas.stroke(foam, (250, 250, 250), place.depth_at(shore), 0.03 * unit)
    place.spots(shore + 0.05 * unit, place.height, [(232, 208, 160), (250, 236, 200)], 30, 0.05)
    for x0 in np.arange(rng.uniform(0.1, 0.6), place.width / unit, 1.1) * unit:
        y, tall, colour = shore + 0.3 * (place.ground - shore), unit * 0.6, TOPS[rng.integers(len(TOPS))]
        place.canvas.stroke(np.array([(x0, y), (x0, y - tall)]), (120, 100, 80), place.depth_at(y), 0.022 * unit)
        fan = np.linspace(np.pi, 2 * np.pi, 9)
        dome = np.stack([x0 + 0.3 * unit * np.cos(fan), y - tall * 0.8 + 0.24 * unit * np.sin(fan)], 1)
        place.canvas.fill(dome, colour, place.depth_at(y), None, shade(colour, 0.6))
        place.canvas.fill(
            np.stack([dome[3], dome[4], dome[5], (x0, y - tall * 0.8)]), (248, 246, 240), place.depth_at(y)
        )


def street(place: Place) -> None:
    """Houses with windows, a kerb and lamp posts."""
    rng, unit = place.rng, place.unit
    sky = pick(rng, (150, 196, 232), (244, 190, 160), (120, 130, 180), (200, 210, 220))
    place.gradient(0, place.horizon, sky, mix(sky, (255, 246, 236), 0.6), (4, 10))
    base, x = place.horizon + 0.08 * unit, -0.05 * unit
    while x < place.width:
        wide, tall = unit * rng.uniform(0.32, 0.6), place.horizon * rng.uniform(0.45, 0.95)
        wall = pick(
            rng, (206, 120, 92), (226, 188, 130), (130, 150, 170), (174, 190, 150), (196, 160, 176), (110, 120, 140)
        )
        place.boxes(x, base - tall, wide, tall, wall, 40)
        glass = pick(rng, (255, 236, 170), (92, 124, 156), (190, 220, 236))
        step = unit * 0.14
        for wx in np.arange(x + 0.05 * unit, x + wide - 0.1 * unit, step):
            for wy in np.arange(base - tall + 0.06 * unit, base - 0.16 * unit, step * 1.25):
                place.boxes(wx, wy, 0.07 * unit, 0.1 * unit, glass, 40)
        x += wide
    place.gradient(base, place.height, (186, 182, 178), (138, 136, 138), (45, place.depth_at(place.height)))
    kerb = base + 0.25 * (place.ground - base)
    place.gradient(kerb, kerb + 0.03 * unit, (226, 224, 218), (120, 118, 116), (place.depth_at(kerb),) * 2)
    for x0 in np.arange(-1, place.width / unit + 1, 0.35) * unit:
        place.canvas.stroke(
            np.array([(x0, kerb + 0.03 * unit), (x0 - 0.25 * unit, place.height)]),
            (152, 148, 146),
            place.depth_at(place.ground),
            0.008 * unit,
        )
    for x0 in np.arange(rng.uniform(0.1, 0.6), place.width / unit, 1.0) * unit:
        _lamp_post(place, x0, kerb, unit * 0.95)


def _lamp_post(place: Place, x: float, y: float, size: float) -> None:
    depth = place.depth_at(y)
    place.canvas.stroke(np.array([(x, y), (x, y - size)]), (56, 60, 68), depth, 0.028 * size)
    place.canvas.fill(
        ellipse((x, y - size), (0.065 * size, 0), (0, 0.065 * size)), (255, 240, 190), depth, None, (70, 70, 76)
    )
