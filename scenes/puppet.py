"""Drawing a puppet on its projected joints, limbs ordered by depth."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from . import body
from .character import Character
from .drawing import BODY, HAND, Canvas, Colour, capsules, ellipse, shade, smooth_closed
from .head import BEHIND, draw_back_hair, draw_head
from .motion import LEFT, RIGHT
from .objects import Thing, draw_thing

# Torso outline: position from the shoulder line (0) to the hips (1), half width, and which width it follows.
_STATIONS = np.array([-0.045, 0.02, 0.12, 0.32, 0.62, 0.9, 1.08])


class Puppet:
    """One character on one frame's projected points (POINTS, 3).

    `scale` is pixels per body height, `depth_of` maps z (body heights) to the canvas' depth 0…255, `light` (2,) points
    towards the light in the picture.
    """

    def __init__(
        self,
        points: np.ndarray,
        character: Character,
        scale: float,
        depth_of: Callable[[float], int],
        light: np.ndarray,
    ):
        self.points, self.look, self.scale, self.depth_of, self.light = points, character, scale, depth_of, light
        self.xy = points[:, :2]
        self.core = float((points[body.PELVIS, 2] + points[body.NECK, 2]) / 2)
        self.core_depth = depth_of(self.core)
        self.thin = character.thickness * scale

    def draw(self, canvas: Canvas, thing: Thing | None = None, hold: np.ndarray | None = None) -> None:
        """Paint everything back to front; `hold` (2,) is each hand's share of carrying `thing`."""
        arms = []
        for side in (RIGHT, LEFT):
            z = self.points[[body.ELBOWS[side], body.WRISTS[side]], 2].mean() + 0.015 - self.core
            z = 0.02 + abs(z) if hold is not None and hold[side] > 0.3 else z
            arms.append((z, side))
        arms.sort()
        for z, side in arms:
            if z < 0:
                self._arm(canvas, side, False)
        if self.look.hair_style in BEHIND:
            draw_back_hair(canvas, self.points, self.look, self.core_depth - 5)
        self._legs(canvas)
        self._torso(canvas)
        self._neck(canvas)
        draw_head(canvas, self.points, self.look, self.core_depth + 3, self.light)
        front = [side for z, side in arms if z >= 0]
        if thing is not None:
            front.sort(key=lambda side: hold[side])
        for side in front:
            carries = thing is not None and side == front[-1]
            self._arm(canvas, side, True, (lambda: self._thing(canvas, thing)) if carries else None)

    def _thing(self, canvas: Canvas, thing: Thing) -> None:
        grip = self.xy[body.GRIP]
        draw_thing(canvas, thing, grip, self.xy[body.GRIP_UP] - grip, self._front_depth(self.points[body.GRIP, 2]))

    def _front_depth(self, z: float) -> int:
        return max(self.depth_of(z), self.core_depth + 10)

    def _depth(self, z: float, front: bool) -> int:
        return self._front_depth(z) if front else min(self.depth_of(z), self.core_depth - 8)

    def _arm(self, canvas: Canvas, side: int, front: bool, held: Callable[[], None] | None = None) -> None:
        look, thin = self.look, self.thin
        index = [body.SHOULDERS[side], body.ELBOWS[side], body.WRISTS[side]]
        joints, z = self.xy[index], self.points[index, 2]
        upper, lower = self._depth((z[0] + z[1]) / 2, front), self._depth((z[1] + z[2]) / 2, front)
        radii = np.array([[0.034, 0.027], [0.026, 0.02]]) * thin
        bare = look.sleeves == "sleeveless"
        sleeve = look.top
        colours = [look.skin if bare else sleeve, sleeve if look.sleeves == "long" else look.skin]
        canvas.limb(joints, radii, colours, [upper, lower], BODY, self.light)
        if look.sleeves == "long":
            cuff = joints[1] + (joints[2] - joints[1]) * np.array([[0.86], [0.98]])
            canvas.limb(cuff, np.array([[0.0235, 0.0235]]) * thin, [shade(sleeve, 0.85)], [lower], BODY, self.light)
        elif look.sleeves == "short":
            hem = joints[0] + (joints[1] - joints[0]) * np.array([[0.0], [0.62]])
            canvas.limb(hem, np.array([[0.036, 0.034]]) * thin, [sleeve], [upper], BODY, self.light)
        if front and not bare:
            self._join_shoulder(canvas, side)
        self._hand(canvas, side, front, held)

    def _join_shoulder(self, canvas: Canvas, side: int) -> None:
        """Cover the sleeve's outline where it meets the torso."""
        shoulder, neck, pelvis = self.xy[body.SHOULDERS[side]], self.xy[body.NECK], self.xy[body.PELVIS]
        inwards = neck + 0.12 * (pelvis - neck) - shoulder
        length = max(np.hypot(*inwards), 1e-6)
        centre = shoulder + inwards / length * min(0.02 * self.scale, length)
        radius = 0.026 * self.thin
        canvas.fill(ellipse(centre, (radius, 0), (0, radius)), shade(self.look.top, 0.9), self.core_depth + 10)
        joints = self.xy[[body.SHOULDERS[side], body.ELBOWS[side]]]
        radii = np.array([0.034, 0.027]) * self.thin
        lit = joints + self.light * (radii * 0.36)[:, None]
        strip = capsules(lit[:1], lit[1:] * 0.5 + lit[:1] * 0.5, radii[:1] * 0.52, radii.mean(keepdims=True) * 0.52)
        canvas.fill(strip[0], shade(self.look.top, 1.1), self.core_depth + 10)

    def _hand(self, canvas: Canvas, side: int, front: bool, held: Callable[[], None] | None) -> None:
        hand = self.points[body.HANDS[side]]
        xy, z = hand[:, :2], hand[:, 2]
        skin, edge, size = self.look.skin, shade(self.look.skin, 0.6), self.thin**0.5 * self.scale**0.5
        depth = self._depth(z[[0, 5, 17]].mean(), front) + 1
        palm = smooth_closed(xy[[0, 1, 5, 9, 13, 17]], 1)
        width, rim = 0.0135 * size, 0.0135 * size + 1.4 * canvas.line / canvas.scale
        canvas.stroke(palm, edge, depth, rim * 0.85, HAND, True)
        canvas.fill(palm, skin, depth, HAND)
        canvas.stroke(palm, skin, depth, width * 0.85, None, True)
        if held is not None:
            held()
        fingers = [[17, 18, 19, 20], [13, 14, 15, 16], [9, 10, 11, 12], [5, 6, 7, 8], [1, 2, 3, 4]]
        fingers.sort(key=lambda f: z[f].mean())
        for finger in fingers:
            tip_depth = min(max(self._depth(z[finger].mean(), front), depth - 6), depth + 8)
            grow = 1.1 if finger[0] == 1 else 1.0
            line = (
                xy[finger] if finger[0] == 1 else np.concatenate([xy[finger[:1]] * 0.8 + xy[:1] * 0.2, xy[finger[1:]]])
            )
            canvas.stroke(xy[finger], edge, tip_depth, rim * grow, HAND)
            canvas.stroke(line, shade(skin, 1.02), tip_depth, width * grow)

    def _legs(self, canvas: Canvas) -> None:
        points = self.points
        order = sorted((RIGHT, LEFT), key=lambda s: points[[body.KNEES[s], body.ANKLES[s]], 2].mean())
        for side in order:
            self._leg(canvas, side)
        self._hips(canvas)

    def _leg(self, canvas: Canvas, side: int) -> None:
        look, thin, xy = self.look, self.thin, self.xy
        index = [body.HIPS[side], body.KNEES[side], body.ANKLES[side]]
        joints, z = xy[index], self.points[index, 2]
        # Legs stay within the body's depth layer: their z spread is small and the floor is at the feet.
        depths = [min(self.depth_of((z[i] + z[i + 1]) / 2), self.core_depth - 1) for i in (0, 1)]
        self._shoe(canvas, side, depths[1])
        bare = look.bottom_kind in ("skirt", "dress", "shorts")
        thigh = look.skin if look.bottom_kind in ("skirt", "dress") else look.bottom
        radii = np.array([[0.052 * look.hips**0.5, 0.038], [0.036, 0.026]]) * thin
        canvas.limb(joints, radii, [thigh, look.skin if bare else look.bottom], depths, BODY, self.light)
        if look.bottom_kind == "shorts":
            hem = joints[0] + (joints[1] - joints[0]) * np.array([[0.0], [0.75]])
            canvas.limb(hem, np.array([[0.053, 0.048]]) * thin, [look.bottom], [depths[0]], BODY, self.light)
        elif look.bottom_kind == "trousers":
            hem = joints[1] + (joints[2] - joints[1]) * np.array([[0.2], [0.9]])
            canvas.limb(hem, np.array([[0.035, 0.033]]) * thin, [look.bottom], [depths[1]], BODY, self.light)

    def _shoe(self, canvas: Canvas, side: int, depth: int) -> None:
        heel, toe, ankle = self.xy[body.HEELS.start + side], self.xy[body.TOES.start + side], self.xy[body.ANKLES[side]]
        colour = self.look.shoes
        foot = np.stack([ankle * 0.4 + heel * 0.6, ankle * 0.25 + toe * 0.75])
        canvas.limb(foot, np.array([[0.029, 0.026]]) * self.thin, [colour], [depth], BODY, self.light)
        sole = np.stack([heel, toe]) + np.array([0, 0.008 * self.scale])
        canvas.stroke(sole, shade(colour, 0.5), depth, 0.011 * self.scale, BODY)

    @cached_property
    def _frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Neck, spine vector and rightwards unit vector in the picture, and how far the torso is turned (−1…1)."""
        neck, pelvis = self.xy[body.NECK], self.xy[body.PELVIS]
        spine = pelvis - neck
        across = np.array([spine[1], -spine[0]]) / max(np.hypot(*spine), 1e-6)
        turned = (self.points[body.BODY_Z, 0] - self.points[body.PELVIS, 0]) / (0.1 * self.scale)
        return neck, spine, across, float(np.clip(turned, -1, 1))

    @cached_property
    def _widths(self) -> np.ndarray:
        """Half widths of the torso in pixels at `_STATIONS`."""
        look, xy, turned = self.look, self.xy, self._frame[3]
        facing = np.sqrt(max(1 - turned**2, 0))
        shoulder = np.hypot(*(xy[5] - xy[2])) / 2 / self.scale

        def half(wide: float, deep: float) -> float:
            return np.hypot(wide * facing, deep * turned)

        chest = half(0.104 * look.shoulders, 0.078)
        waist, hips = half(0.088 * look.waist, 0.07 * look.waist), half(0.098 * look.hips, 0.08)
        top = max(shoulder * look.shoulders, half(0.0, 0.06))
        thick = look.thickness**0.7
        return (
            np.array([0.034, top * 0.98 + 0.012, max(chest, top) + 0.012, chest, waist, hips, hips * 0.96])
            * thick
            * self.scale
        )

    def _torso_outline(self, first: float = -1.0, last: float = 2.0, grow: float = 1.0) -> np.ndarray:
        neck, spine, across, turned = self._frame
        rows = np.clip(np.linspace(max(first, _STATIONS[0]), min(last, _STATIONS[-1]), 9), _STATIONS[0], _STATIONS[-1])
        half = np.interp(rows, _STATIONS, self._widths) * grow
        centre = neck + np.multiply.outer(rows, spine)
        return np.concatenate([centre + half[:, None] * across, (centre - half[:, None] * across)[::-1]])

    def _torso(self, canvas: Canvas) -> None:
        look, depth = self.look, self.core_depth
        outline = smooth_closed(self._torso_outline(), 1)
        canvas.fill(outline, shade(look.top, 0.9), depth, BODY, shade(look.top, 0.6))
        lit = self._torso_outline(0.0, 1.0, 0.72) + self.light * 0.018 * self.scale
        canvas.fill(smooth_closed(lit, 1), shade(look.top, 1.08), depth)
        self._pattern(canvas, depth)
        if look.bottom_kind == "dress":
            return
        band = self._torso_outline(0.97, 1.08)
        colour = look.accent if look.pattern == "belt" else shade(look.bottom, 0.8)
        canvas.fill(band, colour, depth, BODY, shade(colour, 0.65))

    def _pattern(self, canvas: Canvas, depth: int) -> None:
        look = self.look
        neck, spine, across, turned = self._frame
        accent = look.accent
        if look.pattern == "stripes":
            for row in (0.22, 0.46, 0.70):
                canvas.fill(self._torso_outline(row, row + 0.11, 0.97), accent, depth)
        elif look.pattern == "yoke":
            canvas.fill(self._torso_outline(0.02, 0.26, 0.97), accent, depth)
        elif look.pattern == "belt":
            canvas.fill(self._torso_outline(0.80, 0.92, 0.98), accent, depth)
        else:
            centre = neck + 0.38 * spine + across * (0.06 * turned * self.scale)
            facing = np.sqrt(max(1 - turned**2, 0.05))
            side, down = across * 0.044 * self.scale * facing, spine * 0.16
            if look.pattern == "emblem":
                canvas.fill(ellipse(centre, side, down), accent, depth, None, shade(accent, 0.7))
            elif look.pattern == "panel":
                rows = np.array([[-0.8, -2.1], [0.8, -2.1], [0.8, 3.7], [-0.8, 3.7]])
                canvas.fill(centre + rows[:, :1] * side + rows[:, 1:] * down, accent, depth)
            elif look.pattern == "vest":
                for s in (-1, 1):
                    rows = np.array([[s * 0.9, -2.1], [s * 1.9, -2.0], [s * 1.8, 3.4], [s * 1.1, 3.6], [s * 0.6, 0.6]])
                    canvas.fill(
                        centre + rows[:, :1] * side + rows[:, 1:] * down, accent, depth, None, shade(accent, 0.7)
                    )

    def _neck(self, canvas: Canvas) -> None:
        neck, head = self.xy[body.NECK], self.xy[body.HEAD]
        skin = self.look.skin
        base = neck + 0.05 * (neck - head)
        line = np.stack([base, neck + 0.55 * (head - neck)])
        canvas.limb(
            line, np.array([[0.031, 0.029]]) * self.thin, [shade(skin, 0.88)], [self.core_depth + 1], BODY, self.light
        )

    def _hips(self, canvas: Canvas) -> None:
        look, xy, depth = self.look, self.xy, self.core_depth - 1
        neck, spine, across, turned = self._frame
        half = self._widths[-1]
        pelvis = xy[body.PELVIS]
        if look.bottom_kind not in ("skirt", "dress"):
            down = spine / max(np.hypot(*spine), 1e-6) * 0.05 * self.scale
            block = np.stack([pelvis - half * across, pelvis + half * across, pelvis + 0.9 * half * across + down,
                              pelvis - 0.9 * half * across + down])  # fmt: skip
            canvas.fill(block, shade(look.bottom, 0.92), depth, BODY)
            return
        colour: Colour = look.bottom if look.bottom_kind == "skirt" else look.top
        knees = xy[list(body.KNEES)]
        low = knees[:, 1].max() * 0.75 + pelvis[1] * 0.25
        left = min(knees[:, 0].min() - 0.05 * self.thin, pelvis[0] - 1.25 * half)
        right = max(knees[:, 0].max() + 0.05 * self.thin, pelvis[0] + 1.25 * half)
        top = pelvis - 0.04 * spine
        middle = (left + right) / 2
        shape = np.array(
            [top - half * across, top + half * across, [right, low], [middle, low + 0.018 * self.scale], [left, low]]
        )
        canvas.fill(shape, shade(colour, 0.9), depth, BODY, shade(colour, 0.6))
        for fold in (0.3, 0.62):
            bottom = np.array([left + (right - left) * fold, low - 0.01 * self.scale])
            canvas.stroke(
                np.stack([top + (2 * fold - 1) * 0.6 * half * across, bottom]),
                shade(colour, 0.78),
                depth,
                0.012 * self.scale,
            )
