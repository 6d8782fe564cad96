"""Backgrounds: places with props behind and in front of the character, painted once per scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .character import TOPS
from .drawing import Canvas, Colour, ellipse, mix, shade

PLACES = ("meadow", "street", "room", "beach", "stage", "park")


@dataclass(frozen=True)
class Plate:
    """A painted place wider than the picture: colour and depth, and the occluders in front with their coverage.

    behind, front: (H·s, W'·s, 4) uint8 red, green, blue, depth; cover: (H·s, W'·s) uint8 or None without occluders.
    """

    behind: np.ndarray
    front: np.ndarray | None
    cover: np.ndarray | None


class Place:
    """Painter of one place on a canvas of width × height pixels with the horizon and the character's ground line in pixels."""

    def __init__(
        self, rng: np.random.Generator, width: int, height: int, scale: int, horizon: float, ground: float, unit: float
    ):
        self.rng, self.width, self.height, self.horizon, self.ground, self.unit = (
            rng,
            width,
            height,
            horizon,
            ground,
            unit,
        )
        self.canvas = Canvas(np.zeros((height * scale, width * scale, 4), np.uint8), scale, max(0.5, unit * 0.006))

    def gradient(self, top: float, bottom: float, first: Colour, second: Colour, depth: tuple[float, float]) -> None:
        """Vertical gradient of colour and depth (0…255) between two rows in pixels."""
        s = self.canvas.scale
        a, b = int(round(top * s)), int(round(bottom * s))
        low, high = max(a, 0), min(b, self.canvas.paint.shape[0])
        if high <= low:
            return
        ramp = ((np.arange(low, high) - a) / max(b - a, 1))[:, None]
        rows = np.concatenate(
            [np.array(first) + ramp * np.subtract(second, first), depth[0] + ramp * (depth[1] - depth[0])], 1
        )
        self.canvas.paint[low:high] = np.rint(rows).astype(np.uint8)[:, None]

    def depth_at(self, y: float) -> int:
        """Depth 0…255 of something standing on the ground at row y."""
        return ground_depth(y, self.horizon, self.ground)

    def boxes(
        self, x: float, top: float, width: float, height: float, colour: Colour, depth: int, edge: bool = True
    ) -> None:
        shape = np.array([(x, top), (x + width, top), (x + width, top + height), (x, top + height)])
        self.canvas.fill(shape, colour, depth, None, shade(colour, 0.7) if edge else None)

    def spots(self, low: float, high: float, colours: list[Colour], count: int, size: float) -> None:
        """Small flat ellipses on the ground for texture."""
        for _ in range(count):
            x, y = self.rng.uniform(0, self.width), self.rng.uniform(low, max(low, high))
            near = (y - self.horizon) / max(self.height - self.horizon, 1)
            radius = self.unit * size * (0.3 + near)
            colour = colours[self.rng.integers(len(colours))]
            self.canvas.fill(ellipse((x, y), (radius, 0), (0, radius * 0.28)), colour, self.depth_at(y))


def ground_depth(y: float, horizon: float, ground: float) -> int:
    """Depth 0…255 of the ground at row y: 45 at the horizon, 140 at the character's feet, growing below."""
    return int(np.clip(45 + 95 * (y - horizon) / max(ground - horizon, 1.0), 30, 185))


def _pick(rng: np.random.Generator, *options: Colour) -> Colour:
    return options[rng.integers(len(options))]


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
    sky = _pick(rng, (126, 190, 240), (156, 206, 236), (250, 196, 150), (190, 176, 230), (120, 200, 210))
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


def _meadow(place: Place) -> None:
    rng = place.rng
    leaf = _pick(rng, (84, 150, 70), (62, 130, 88), (196, 130, 50), (140, 160, 60))
    _outdoors(place, _pick(rng, (130, 182, 92), (160, 190, 90), (112, 166, 110)), leaf)
    for x in np.sort(rng.uniform(0, place.width, 1 + int(place.width / place.unit * 1.6))):
        _tree(
            place,
            x,
            place.horizon + rng.uniform(0.1, 0.5) * (place.ground - place.horizon),
            place.unit * rng.uniform(0.5, 0.95),
            leaf,
        )


def _park(place: Place) -> None:
    rng, unit = place.rng, place.unit
    leaf = _pick(rng, (70, 140, 76), (226, 140, 160), (150, 170, 66))
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


def _beach(place: Place) -> None:
    rng, unit = place.rng, place.unit
    sky = _pick(rng, (120, 196, 236), (252, 190, 140), (170, 214, 240))
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


def _street(place: Place) -> None:
    rng, unit = place.rng, place.unit
    sky = _pick(rng, (150, 196, 232), (244, 190, 160), (120, 130, 180), (200, 210, 220))
    place.gradient(0, place.horizon, sky, mix(sky, (255, 246, 236), 0.6), (4, 10))
    base, x = place.horizon + 0.08 * unit, -0.05 * unit
    while x < place.width:
        wide, tall = unit * rng.uniform(0.32, 0.6), place.horizon * rng.uniform(0.45, 0.95)
        wall = _pick(
            rng, (206, 120, 92), (226, 188, 130), (130, 150, 170), (174, 190, 150), (196, 160, 176), (110, 120, 140)
        )
        place.boxes(x, base - tall, wide, tall, wall, 40)
        glass = _pick(rng, (255, 236, 170), (92, 124, 156), (190, 220, 236))
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


def _room(place: Place) -> None:
    rng, unit = place.rng, place.unit
    wall = _pick(
        rng, (240, 222, 190), (190, 214, 220), (226, 196, 196), (196, 206, 176), (206, 196, 226), (120, 150, 160)
    )
    floor = _pick(rng, (176, 124, 82), (140, 100, 76), (206, 190, 168), (120, 126, 140))
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
    foot, pot = line + 0.1 * wide, _pick(place.rng, (200, 110, 70), (236, 232, 224), (70, 90, 130))
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


def _stage(place: Place) -> None:
    rng, unit = place.rng, place.unit
    colour = _pick(rng, (120, 40, 70), (50, 60, 120), (40, 100, 100), (90, 60, 130), (60, 60, 66))
    line = place.horizon + 0.45 * (place.ground - place.horizon)
    place.gradient(0, line, shade(colour, 0.75), shade(colour, 1.15), (40, 55))
    for x in np.arange(0, place.width, unit * 0.2):
        place.boxes(x, 0, unit * 0.07, line, shade(colour, 0.8), 48, False)
        place.boxes(x + unit * 0.1, 0, unit * 0.03, line, shade(colour, 1.25), 50, False)
    floor = _pick(rng, (176, 130, 86), (90, 80, 90), (206, 196, 180))
    place.gradient(line, place.height, shade(floor, 0.8), shade(floor, 1.12), (70, place.depth_at(place.height)))
    for x in np.arange(rng.uniform(0.1, 0.7), place.width / unit, 0.85) * unit:
        size, tint = unit * rng.uniform(0.16, 0.26), TOPS[rng.integers(len(TOPS))]
        y = line + rng.uniform(0.1, 0.45) * (place.ground - line)
        place.canvas.shadow(np.array([x + size / 2, y]), size * 0.65, size * 0.13, 0.4)
        place.boxes(x, y - size, size, size, tint, place.depth_at(y))
        place.boxes(x + 0.72 * size, y - size, 0.28 * size, size, shade(tint, 0.78), place.depth_at(y), False)


_PAINTERS = {"meadow": _meadow, "street": _street, "room": _room, "beach": _beach, "stage": _stage, "park": _park}


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
            _bush(place, x, _pick(rng, (70, 136, 80), (110, 150, 60), (50, 110, 90)))
        elif kind == 1:
            wide, colour = 0.055 * unit, _pick(rng, (150, 104, 66), (90, 96, 108), (196, 60, 56))
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
    _PAINTERS[PLACES[rng.integers(len(PLACES))]](place)
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
