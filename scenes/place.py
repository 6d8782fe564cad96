"""The surface a place is painted on: gradients and shapes with their depth."""

from __future__ import annotations

import numpy as np

from .drawing import Canvas, Colour, ellipse, shade


class Place:
    """Painter of one place of width × height pixels.

    horizon and ground (the row of the character's feet) in pixels; unit is the body height in pixels.
    """

    def __init__(
        self, rng: np.random.Generator, width: int, height: int, scale: int, horizon: float, ground: float, unit: float
    ):
        self.rng, self.width, self.height = rng, width, height
        self.horizon, self.ground, self.unit = horizon, ground, unit
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
        self.canvas.paint[low:high] = np.clip(np.rint(rows), 0, 255).astype(np.uint8)[:, None]

    def depth_at(self, y: float) -> int:
        """Depth 0…255 of something standing on the ground at row y."""
        return ground_depth(y, self.horizon, self.ground)

    def boxes(
        self, x: float, top: float, width: float, height: float, colour: Colour, depth: int, edge: bool = True
    ) -> None:
        """Draw an upright rectangle, in pixels."""
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


def pick(rng: np.random.Generator, *options: Colour) -> Colour:
    """One of the colours."""
    return options[rng.integers(len(options))]
