"""Drawing the head: skull, face features on the landmarks, and hair in several styles."""

from __future__ import annotations

import numpy as np

from ..media.opencv import cv2
from . import body
from .character import Character
from .drawing import BODY, FACE, Canvas, ellipse, mix, shade, smooth_closed

_SKULL = np.stack([np.cos(np.linspace(0, 2 * np.pi, 28)), np.sin(np.linspace(0, 2 * np.pi, 28))], 1)
BEHIND = ("long", "bob", "ponytail", "curly", "bun")


class HeadShape:
    """The head of one frame in picture coordinates: centre, axes (pixels) and how far it is turned."""

    def __init__(self, points: np.ndarray, character: Character):
        self.centre = points[body.HEAD, :2]
        grow = character.head
        self.side = (points[body.HEAD_X, :2] - self.centre) * grow
        self.forward = (points[body.HEAD_Z, :2] - self.centre) * grow
        self.down = (points[body.HEAD_Y, :2] - self.centre) * grow
        width = np.hypot(np.hypot(*self.side), np.hypot(*self.forward) * 0.96)
        across = np.array([-self.down[1], self.down[0]]) / max(np.hypot(*self.down), 1e-6)
        self.across = -across * width  # half width of the turned skull, to the picture's right
        self.turn = float(self.forward @ self.across) / max(width**2, 1e-6)
        self.front = points[body.HEAD_Z, 2] > points[body.HEAD, 2]

    def at(self, x: float | np.ndarray, y: float | np.ndarray) -> np.ndarray:
        """Picture points for skull coordinates, ±1 = outline."""
        return self.centre + np.multiply.outer(x, self.across) + np.multiply.outer(y, self.down)

    def skull(self, grow: float = 1.0) -> np.ndarray:
        return self.at(_SKULL[:, 0] * grow, -0.1 + _SKULL[:, 1] * 0.9 * grow)


def _outline(points: np.ndarray, head: HeadShape) -> np.ndarray:
    jaw = (points[body.JAW, :2] - head.centre) * 1.0 + head.centre
    hull = cv2.convexHull(np.concatenate([head.skull(0.98), jaw]).astype(np.float32))[:, 0].astype(np.float64)
    start, end = points[body.PRESS, :2], points[body.PRESS_END, :2]
    if np.abs(end - start).max() < 0.05:
        return hull
    closed = np.concatenate([hull, hull[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    even = np.linspace(0, along[-1], 72, endpoint=False)
    dense = np.stack([np.interp(even, along, closed[:, 0]), np.interp(even, along, closed[:, 1])], 1)
    radius = body.PRESS_RADIUS * np.hypot(*head.down) / 0.106
    return body.press(dense, start, end, radius)


def draw_back_hair(canvas: Canvas, points: np.ndarray, character: Character, depth: int) -> None:
    """Hair that hangs behind neck and shoulders."""
    style, head = character.hair_style, HeadShape(points, character)
    colour, edge = shade(character.hair, 0.82), shade(character.hair, 0.5)
    lean = -0.35 * head.turn
    if style == "long":
        x = np.array([-1.04, -1.18, -1.14, -0.6, 0.0, 0.6, 1.14, 1.18, 1.04, 0.6, -0.6])
        y = np.array([-0.2, 0.5, 1.55, 1.85, 1.75, 1.85, 1.55, 0.5, -0.2, -0.9, -0.9])
    elif style == "bob":
        x = np.array([-1.08, -1.25, -1.1, -0.5, 0.5, 1.1, 1.25, 1.08, 0.6, -0.6])
        y = np.array([-0.2, 0.5, 0.98, 1.08, 1.08, 0.98, 0.5, -0.2, -0.9, -0.9])
    elif style == "curly":
        turn = np.linspace(0, 2 * np.pi, 11, endpoint=False) + 0.3
        for a in turn:
            centre = head.at(lean + 0.98 * np.cos(a), -0.28 + 0.86 * np.sin(a))
            canvas.fill(ellipse(centre, head.across * 0.4, head.down * 0.34), colour, depth, BODY, edge)
        return
    elif style == "ponytail":
        sway = -np.sign(head.turn) if abs(head.turn) > 0.15 else 1.0
        x = np.array([0.3, 0.9, 1.35, 1.5, 1.3, 1.05, 0.95, 0.5]) * sway
        y = np.array([-0.75, -0.8, -0.35, 0.45, 1.1, 0.6, 0.0, -0.2])
    else:
        canvas.fill(ellipse(head.at(lean, -1.12), head.across * 0.42, head.down * 0.36), colour, depth, BODY, edge)
        return
    canvas.fill(smooth_closed(head.at(x + lean, y), 2), colour, depth, BODY, edge)


def _hairline(style: str, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower edge of the front hair from the picture's right to its left, in skull coordinates."""
    x = np.array([1.0, 0.9, 0.78, 0.5, 0.2, -0.2, -0.5, -0.78, -0.9, -1.0])
    part = {
        "short": (0.02, -0.02, -0.36, -0.5, -0.52, -0.52, -0.5, -0.36, -0.02, 0.02),
        "spiky": (-0.05, -0.1, -0.4, -0.3, -0.55, -0.34, -0.56, -0.32, -0.1, -0.05),
        "sidepart": (0.15, 0.02, -0.2, -0.32, -0.42, -0.52, -0.62, -0.55, -0.1, 0.1),
        "bob": (0.75, 0.55, 0.0, -0.33, -0.37, -0.37, -0.33, 0.0, 0.55, 0.75),
        "long": (0.9, 0.6, 0.0, -0.4, -0.62, -0.66, -0.45, 0.0, 0.6, 0.9),
        "curly": (0.2, 0.05, -0.28, -0.42, -0.36, -0.42, -0.36, -0.28, 0.05, 0.2),
    }.get(style, (0.05, -0.1, -0.4, -0.55, -0.6, -0.6, -0.55, -0.4, -0.1, 0.05))
    y = np.array(part)
    return np.clip(x + 0.38 * turn * (1 - x**2), -1.06, 1.06), y + 0.1 * turn * x


def _front_hair(canvas: Canvas, head: HeadShape, character: Character, depth: int) -> None:
    style, colour = character.hair_style, character.hair
    edge = shade(colour, 0.55)
    line_x, line_y = _hairline(style, head.turn)
    turn = np.linspace(np.pi, 2 * np.pi, 13)
    lift = 1.12 if style in ("short", "sidepart", "bob", "long", "curly") else 1.08
    crown_x, crown_y = 1.07 * np.cos(turn), -0.08 + 0.95 * lift * np.sin(turn)
    if style == "spiky":
        crown_y[1::2] -= 0.2
        crown_x[1::2] *= 1.1
    shape = head.at(np.concatenate([crown_x, line_x]), np.concatenate([crown_y, line_y]))
    shape = shape if style == "spiky" else smooth_closed(shape, 1)
    canvas.fill(shape, colour, depth, BODY, edge)
    shine = np.linspace(np.pi * 1.2, np.pi * 1.5, 6)
    canvas.stroke(
        head.at(0.8 * np.cos(shine), -0.12 + 0.82 * np.sin(shine)),
        shade(colour, 1.28),
        depth,
        np.hypot(*head.across) * 0.15,
    )
    if style == "cap":
        _cap(canvas, head, character, depth)


def _cap(canvas: Canvas, head: HeadShape, character: Character, depth: int) -> None:
    colour = character.accent
    turn = np.linspace(np.pi, 2 * np.pi, 13)
    dome = head.at(1.13 * np.cos(turn), -0.36 + 0.86 * np.sin(turn))
    canvas.fill(dome, colour, depth, BODY, shade(colour, 0.6))
    ahead = 0.75 * head.turn
    brim_x = np.array([-0.95, 0.95, 0.85, 0.0, -0.85]) * (1 - 0.25 * abs(head.turn)) + np.array([0, 0, 1, 1, 1]) * ahead
    brim = head.at(brim_x, np.array([-0.42, -0.42, -0.22, -0.14, -0.22]))
    canvas.fill(smooth_closed(brim, 1), shade(colour, 0.85), depth + 1, BODY, shade(colour, 0.5))


def _eye(canvas: Canvas, lids: np.ndarray, pupil: np.ndarray, character: Character, depth: int, size: float) -> None:
    centre = lids.mean(0)
    lids = centre + (lids - centre) * character.eye_size
    canvas.fill(smooth_closed(lids, 1), (252, 252, 250), depth, None, None)
    opening = np.hypot(*(lids[[1, 2]].mean(0) - lids[[4, 5]].mean(0)))
    radius = min(size * 0.105 * character.eye_size, opening * 0.62)
    if radius > 0.2:
        round_ = np.array([radius, 0.0]), np.array([0.0, radius])
        canvas.fill(ellipse(pupil, *round_), character.eyes, depth)
        canvas.fill(ellipse(pupil, round_[0] * 0.5, round_[1] * 0.5), (16, 14, 18), depth)
        canvas.fill(ellipse(pupil - radius * 0.35, round_[0] * 0.28, round_[1] * 0.28), (255, 255, 255), depth)
    canvas.stroke(lids[:4], (40, 28, 30), depth, size * 0.055)


def _features(canvas: Canvas, face: np.ndarray, head: HeadShape, character: Character, depth: int) -> None:
    size, skin = np.hypot(*head.down), character.skin
    if character.blush:
        for corner, eye in ((48, slice(36, 42)), (54, slice(42, 48))):
            centre = 0.45 * face[corner] + 0.55 * face[eye].mean(0) + 0.06 * head.down
            outwards = 0.3 * (face[corner] - face[48:60].mean(0))
            canvas.fill(
                ellipse(centre + outwards, head.side * 0.17, head.down * 0.10), mix(skin, (236, 90, 90), 0.32), depth
            )
    if character.beard:
        beard = np.concatenate([face[3:14], face[[54, 52, 50, 48]]])
        canvas.fill(smooth_closed(beard, 1), character.hair, depth, FACE, shade(character.hair, 0.7))
    for lids, pupil in ((face[36:42], face[68]), (face[42:48], face[69])):
        _eye(canvas, lids, pupil, character, depth, size)
    for brow in (face[17:22], face[22:27]):
        canvas.stroke(brow, shade(character.hair, 0.6), depth, size * 0.075 * character.brow)
    nose = np.stack([face[28], face[30] + 0.05 * head.side * np.sign(head.turn + 0.01), face[33]])
    canvas.stroke(nose, shade(skin, 0.72), depth, size * 0.05)
    _mouth(canvas, face, head, character, depth, size)
    if character.glasses:
        for lids in (face[36:42], face[42:48]):
            rim = ellipse(lids.mean(0), head.side * 0.27, head.down * 0.2)
            canvas.stroke(rim, (44, 44, 52), depth, size * 0.045, closed=True)
        canvas.stroke(face[[39, 42]], (44, 44, 52), depth, size * 0.04)


def _mouth(canvas: Canvas, face: np.ndarray, head: HeadShape, character: Character, depth: int, size: float) -> None:
    outer, inner = face[48:60].copy(), face[60:68]
    smile = 0.07 * character.smile * head.down
    outer[0], outer[6] = outer[0] - smile, outer[6] - smile
    canvas.fill(outer, character.lips, depth, None, None)
    if np.hypot(*(inner[2] - inner[6])) > 0.07 * size:
        canvas.fill(inner, (96, 26, 34), depth)
        canvas.fill(inner[[0, 1, 2, 3, 4]] + 0.02 * head.down, (250, 248, 244), depth)
    else:
        canvas.stroke(
            np.stack([outer[0], inner[2] + 0.01 * head.down, outer[6]]), shade(character.lips, 0.6), depth, size * 0.035
        )


def _dent(canvas: Canvas, points: np.ndarray, head: HeadShape, character: Character, depth: int) -> None:
    """Shadow in the pushed skin and a lighter bulge beside it."""
    start, end = points[body.PRESS, :2], points[body.PRESS_END, :2]
    deep = np.hypot(*(end - start))
    size = np.hypot(*head.down)
    amount = min(deep / (0.3 * size), 1.0)
    centre = end + 0.02 * (end - start)
    radius = size * (0.16 + 0.16 * amount)
    for grow, dark in ((1.0, 0.12), (0.72, 0.22), (0.45, 0.32)):
        r = radius * grow
        canvas.fill(
            ellipse(centre, (r, 0), (0, r)), mix(character.skin, (150, 50, 44), dark * (0.4 + 0.6 * amount)), depth
        )
    along = (end - start) / deep
    across = np.array([-along[1], along[0]])
    arc = np.linspace(-0.9, 0.9, 7)
    ridge = centre + radius * 1.12 * (np.cos(arc)[:, None] * along + np.sin(arc)[:, None] * across)
    canvas.stroke(ridge, shade(character.skin, 0.74), depth, size * 0.04)
    canvas.stroke(ridge - 0.08 * size * along, shade(character.skin, 1.3), depth, size * 0.05)


def draw_head(canvas: Canvas, points: np.ndarray, character: Character, depth: int, light: np.ndarray) -> None:
    """Ears, face and front hair; the face mask is the visible skin of the face."""
    head = HeadShape(points, character)
    skin, edge = character.skin, shade(character.skin, 0.62)
    for ear in (16, 17):
        if points[ear, 2] > points[body.HEAD, 2] - 0.05 and character.hair_style not in ("bob", "long"):
            canvas.fill(
                ellipse(points[ear, :2], head.across * 0.17, head.down * 0.2), shade(skin, 0.9), depth - 2, BODY, edge
            )
    outline = _outline(points, head)
    canvas.fill(outline, shade(skin, 0.93), depth, FACE, edge)
    middle = head.centre + light * np.hypot(*head.across) * 0.1
    canvas.fill(middle + (outline - middle) * 0.84, shade(skin, 1.05), depth)
    if np.hypot(*(points[body.PRESS_END, :2] - points[body.PRESS, :2])) > 0.02 * np.hypot(*head.down):
        with canvas.inside(FACE):
            _dent(canvas, points, head, character, depth)
    _features(canvas, points[body.FACE, :2], head, character, depth + 2)
    _front_hair(canvas, head, character, depth + 3)
