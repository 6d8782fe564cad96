"""Smooth parametric motions: every control of the puppet as a function of time, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("walk", "reach", "object", "handface", "dance", "pass", "fasthands")
FPS = 24.0

RIGHT, LEFT = 0, 1
SIDES = np.array([-1.0, 1.0])  # the character's right is at the picture's left when it faces the camera


@dataclass
class Controls:
    """What drives the skeleton, for T moments. Lengths in body heights, x right, y down, z to the camera; radians.

    root (T, 3) pelvis offset; yaw, lean, pitch (T,) of the torso; head (T, 3) yaw, pitch, roll; wrists (T, 2, 3)
    relative to the shoulders in the torso's frame; poles (T, 2, 3) where elbows point; feet (T, 2, 3) ankles relative
    to the ground under the root (y = −lift); curls (T, 2, 5) 0 straight … 1 fist; spread (T, 2); hand_direction and
    palm (T, 2, 3) with hand_weight (T, 2) override the hand's own orientation; mouth, blink (T,) 0…1; travel (T,)
    camera path; hold (T, 2) share of each hand in carrying the object; object_turn (T,); contact_* describe a hand
    that touches the face.
    """

    root: np.ndarray
    yaw: np.ndarray
    lean: np.ndarray
    pitch: np.ndarray
    head: np.ndarray
    wrists: np.ndarray
    poles: np.ndarray
    feet: np.ndarray
    curls: np.ndarray
    spread: np.ndarray
    hand_direction: np.ndarray
    palm: np.ndarray
    hand_weight: np.ndarray
    mouth: np.ndarray
    blink: np.ndarray
    travel: np.ndarray
    hold: np.ndarray | None = None
    object_turn: np.ndarray | None = None
    contact_hand: int = -1
    contact_point: np.ndarray | None = None  # (T, 2) on the face, −1…1
    contact_gap: np.ndarray | None = None  # (T,) distance from the skin
    contact_press: np.ndarray | None = None  # (T,) how deep the skin is pushed
    contact_tip: int = 8  # the hand keypoint that touches


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth in between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def wave(rng: np.random.Generator, t: np.ndarray, slow: float = 0.15, fast: float = 0.6, terms: int = 3) -> np.ndarray:
    """A sum of sinusoids in −1…1 with frequencies slow…fast Hz, at times t (T,) in seconds."""
    weights = rng.uniform(0.4, 1, terms)
    weights /= weights.sum()
    frequency, phase = rng.uniform(slow, fast, terms), rng.uniform(0, 2 * np.pi, terms)
    return (weights[:, None] * np.sin(2 * np.pi * frequency[:, None] * t + phase[:, None])).sum(0)


def _resting_arm(rng: np.random.Generator, t: np.ndarray, side: float, hang_only: bool = False) -> np.ndarray:
    """Wrist path (T, 3) of an arm that does little: hanging, behind the back, before the belly, or on the hip."""
    places = {
        "hang": (side * 0.07, 0.275, 0.03),
        "behind": (-side * 0.10, 0.20, -0.15),
        "belly": (-side * 0.13, 0.185, 0.13),
        "hip": (side * 0.015, 0.20, 0.05),
    }
    names = ["hang"] if hang_only else ["hang", "hang", "behind", "belly", "hip"]
    place = np.array(places[names[rng.integers(len(names))]])
    return place + 0.014 * np.stack([wave(rng, t), 0.6 * wave(rng, t), wave(rng, t)], 1)


def _idle(rng: np.random.Generator, t: np.ndarray, yaw_range: float = 0.5) -> Controls:
    count = len(t)
    yaw = rng.uniform(-yaw_range, yaw_range) + 0.10 * wave(rng, t)
    head = np.stack(
        [np.clip(yaw * 0.8 + 0.25 * wave(rng, t), -0.75, 0.75), 0.10 * wave(rng, t), 0.10 * wave(rng, t)], 1
    )
    wrists = np.stack([_resting_arm(rng, t, s) for s in SIDES], 1)
    poles = np.stack([np.tile((s * 0.8, 0.5, -0.5), (count, 1)) for s in SIDES], 1)
    stance = rng.uniform(0.055, 0.095)
    turn_out = rng.uniform(-0.04, 0.04, 2)
    feet = np.stack([np.tile((s * stance, 0.0, z), (count, 1)) for s, z in zip(SIDES, turn_out, strict=True)], 1)
    curls = np.stack([np.clip(rng.uniform(0.05, 0.3, 5) + 0.1 * wave(rng, t)[:, None], 0, 1) for _ in SIDES], 1)
    blink_at = rng.uniform(1.2, 3.0)
    return Controls(
        root=np.stack([0.02 * wave(rng, t), 0.006 * (1 + wave(rng, t)), np.zeros(count)], 1),
        yaw=yaw,
        lean=0.05 * wave(rng, t),
        pitch=0.04 * wave(rng, t),
        head=head,
        wrists=wrists,
        poles=poles,
        feet=feet,
        curls=curls,
        spread=np.full((count, 2), rng.uniform(0.35, 0.7)),
        hand_direction=np.tile((0.0, -1.0, 0.0), (count, 2, 1)),
        palm=np.tile((0.0, 0.0, 1.0), (count, 2, 1)),
        hand_weight=np.zeros((count, 2)),
        mouth=np.clip(0.9 * wave(rng, t, 0.5, 2.0), 0, 1),
        blink=np.exp(-((((t + rng.uniform(0, 2)) % blink_at - blink_at / 2) / 0.07) ** 2)),
        travel=rng.uniform(0.05, 0.12) * wave(rng, t, 0.08, 0.2) if rng.random() < 0.4 else np.zeros(count),
    )


def _walk(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t, 0.0)
    direction = rng.choice([-1.0, 1.0])
    facing = direction * rng.uniform(0.5, 1.15)
    c.yaw = facing + 0.05 * wave(rng, t)
    c.head[:, 0] = direction * rng.uniform(0.25, 0.7) + 0.12 * wave(rng, t)
    pace, step = rng.uniform(0.75, 1.1), rng.uniform(0.12, 0.165)
    phase = 2 * np.pi * pace * t + rng.uniform(0, 2 * np.pi)
    for side in (RIGHT, LEFT):
        leg = phase + side * np.pi
        lift = 0.075 * np.maximum(0, -np.sin(leg)) ** 1.3
        c.feet[:, side] = np.stack([np.full_like(t, SIDES[side] * 0.045), -lift, step * np.cos(leg)], 1)
        swing = -rng.uniform(0.45, 0.75) * np.cos(leg) + 0.08
        bend = 0.27 + 0.012 * np.cos(leg)
        c.wrists[:, side] = np.stack(
            [np.full_like(t, SIDES[side] * 0.035), bend * np.cos(swing), bend * np.sin(swing) + 0.03], 1
        )
    c.root[:, 1] = 0.012 + 0.010 * np.cos(2 * phase)
    c.lean, c.pitch = 0.03 * np.sin(phase), 0.05 + 0.02 * np.cos(2 * phase)
    # Camera follows; a long clip walks more on the spot so that the backdrop stays finite.
    speed = min(step * pace * 4 * abs(np.sin(facing)), 1.6 / max(t[-1] - t[0], 1e-6)) * direction
    c.root[:, 0] = 0.10 * wave(rng, t, 0.1, 0.3)
    c.travel = speed * t
    return c


def _reach(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t)
    active = [rng.integers(2)] if rng.random() < 0.6 else [RIGHT, LEFT]
    for side in active:
        s = SIDES[side]
        across = 0.6 + 0.85 * wave(rng, t, 0.2, 0.6)
        up = -0.2 + 0.95 * wave(rng, t, 0.2, 0.6)
        far = 0.235 + 0.05 * wave(rng, t, 0.2, 0.6)
        c.wrists[:, side] = far[:, None] * np.stack(
            [s * np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)], 1
        )
        c.curls[:, side] = np.clip(0.15 + 0.25 * wave(rng, t)[:, None] + 0.1 * rng.normal(size=5), 0, 1)
        c.spread[:, side] = 0.6
    c.lean = c.lean + 0.1 * wave(rng, t)
    return c


def _object(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t, 0.45)
    side = int(rng.integers(2))
    s = SIDES[side]
    path = np.stack([wave(rng, t, 0.2, 0.6), wave(rng, t, 0.2, 0.6), wave(rng, t, 0.2, 0.5)], 1)
    centre = np.array([s * rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.15), 0.16])
    c.wrists[:, side] = centre + path * np.array([0.10, 0.10, 0.05])
    c.curls[:, side] = 0.55
    c.hand_direction[:, side] = (-s * 0.75, -0.45, 0.5)
    c.palm[:, side] = (-s * 0.3, -0.5, -0.8)
    c.hand_weight[:, side] = 1.0
    c.hold = np.zeros((len(t), 2))
    c.hold[:, side] = 1
    c.object_turn = s * 0.3 + 0.35 * wave(rng, t, 0.2, 0.6)
    return c


def _pass(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _object(rng, t)
    period = rng.uniform(1.9, 2.6)
    beat = np.sin(2 * np.pi * (t - t[0]) / period + rng.uniform(-0.6, 0.6) - np.pi / 2)  # −1 right hand … +1 left hand
    share = smoothstep(0.5 + 1.6 * beat)
    height, reach_out = rng.uniform(0.05, 0.13), rng.uniform(0.12, 0.17)
    for side in (RIGHT, LEFT):
        s = SIDES[side]
        apart = smoothstep(np.clip(s * beat, 0, 1) * 1.2)  # how far the carrying hand has gone to its own side
        away = smoothstep(np.clip(-s * beat - 0.25, 0, 1) * 1.4)  # the empty hand drops
        meet = np.array([-s * 0.075, height, reach_out])
        own = np.array([s * 0.10, height - 0.12, reach_out - 0.02])
        rest = np.array([s * 0.05, 0.24, 0.08])
        c.wrists[:, side] = meet + apart[:, None] * (own - meet) + away[:, None] * (rest - meet)
        c.curls[:, side] = (0.55 - 0.3 * away)[:, None]
        c.hand_direction[:, side] = (-s * 0.8, -0.35, 0.45)
        c.palm[:, side] = (-s * 0.3, -0.5, -0.8)
        c.hand_weight[:, side] = 1 - 0.8 * away
    c.hold = np.stack([1 - share, share], 1)
    return c


def _dance(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t, 0.2)
    beat = rng.uniform(0.8, 1.15)
    phase = 2 * np.pi * beat * t + rng.uniform(0, 2 * np.pi)
    c.yaw = c.yaw + 0.45 * wave(rng, t, 0.2, 0.5)
    c.head[:, 0] = np.clip(c.yaw * 0.7 + 0.2 * wave(rng, t), -0.75, 0.75)
    c.head[:, 2] = 0.18 * np.sin(phase)
    c.lean = 0.16 * np.sin(phase + 0.6)
    c.root = np.stack([0.06 * np.sin(phase / 2), 0.028 + 0.022 * np.cos(2 * phase), np.zeros_like(t)], 1)
    for side in (RIGHT, LEFT):
        s, lag = SIDES[side], rng.uniform(0, 2 * np.pi)
        up = rng.uniform(-0.6, 0.3) + 0.8 * np.sin(phase / 2 + lag) + 0.25 * np.sin(phase + lag)
        across = rng.uniform(0.5, 1.0) + 0.5 * np.sin(phase / 2 + 2 * lag)
        far = 0.225 + 0.05 * np.sin(phase + lag)
        c.wrists[:, side] = far[:, None] * np.stack(
            [s * np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up) * 0.8], 1
        )
        lift = 0.07 * np.maximum(0, np.sin(phase / 2 + side * np.pi)) ** 1.5
        c.feet[:, side, 0] = s * (0.085 + 0.5 * lift)
        c.feet[:, side, 1] = -lift
    c.mouth = np.clip(0.4 + 0.6 * np.sin(phase), 0, 1)
    return c


def _fasthands(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t, 0.3)
    both = rng.random() < 0.6
    pace = rng.uniform(2.2, 3.3)
    for side in [RIGHT, LEFT] if both else [int(rng.integers(2))]:
        s = SIDES[side]
        phase = 2 * np.pi * pace * t + rng.uniform(0, 2 * np.pi)
        strength = 0.35 + 0.65 * smoothstep(0.5 + 1.2 * wave(rng, t, 0.3, 0.6))
        swing = np.stack([np.sin(phase), 0.7 * np.sin(phase + rng.uniform(0, 3)), 0.3 * np.cos(phase)], 1)
        centre = np.array([s * rng.uniform(0.02, 0.14), rng.uniform(-0.14, 0.06), 0.16])
        c.wrists[:, side] = centre + swing * (strength * rng.uniform(0.055, 0.085))[:, None]
        c.curls[:, side] = np.clip(0.25 + 0.3 * np.sin(phase[:, None] / 2 + np.arange(5)), 0, 1)
        c.spread[:, side] = 0.7
        c.hand_direction[:, side] = np.stack(
            [s * 0.2 + 0.35 * np.sin(phase), np.full_like(t, -1), np.full_like(t, 0.2)], 1
        )
        c.hand_weight[:, side] = 0.8
    return c


# How a left hand touches: name → (u, v) on the face, hand direction, palm normal, curls, touching keypoint.
TOUCHES = {
    "poke_cheek": ((0.82, 0.42), (-0.85, -0.28, -0.2), (-0.2, 0.3, -0.9), (0.6, 0.0, 0.9, 1.0, 1.0), 8),
    "palm_cheek": ((0.82, 0.36), (-0.25, -0.95, -0.2), (-0.75, 0.0, -0.65), (0.1, 0.12, 0.1, 0.12, 0.15), 9),
    "poke_nose": ((0.10, 0.26), (-0.5, -0.70, -0.35), (-0.5, 0.3, -0.8), (0.6, 0.05, 0.9, 1.0, 1.0), 8),
    "pinch_cheek": ((0.80, 0.50), (-0.8, -0.45, -0.2), (-0.3, 0.2, -0.9), (0.35, 0.45, 0.9, 1.0, 1.0), 8),
    "chin": ((0.30, 0.85), (-0.7, -0.65, 0.1), (-0.3, -0.4, -0.8), (0.2, 0.5, 0.6, 0.7, 0.8), 6),
}


def _handface(rng: np.random.Generator, t: np.ndarray) -> Controls:
    c = _idle(rng, t, 0.25)
    c.head *= 0.6
    side = int(rng.integers(2))
    mirror = SIDES[side]
    names = tuple(TOUCHES)
    point, direction, palm, curls, tip = TOUCHES[names[rng.integers(len(names))]]
    flip = np.array([mirror, 1.0, 1.0])
    c.hand_direction[:, side] = np.array(direction) * flip + 0.12 * np.stack([wave(rng, t), wave(rng, t), 0 * t], 1)
    c.palm[:, side] = np.array(palm) * flip
    c.hand_weight[:, side] = 1.0
    c.curls[:, side] = np.array(curls)
    c.spread[:, side] = 0.35
    c.contact_hand, c.contact_tip = side, tip
    rub = np.stack([wave(rng, t, 0.5, 1.2), wave(rng, t, 0.5, 1.2)], 1) * 0.07
    c.contact_point = np.array(point) * flip[:2] + rub
    period = rng.uniform(1.3, 2.0)
    push = np.sin(2 * np.pi * t / period + rng.uniform(0, 2 * np.pi))
    c.contact_press = 0.030 * smoothstep(0.45 + 1.1 * push)
    c.contact_gap = 0.06 * smoothstep(-0.35 - 1.3 * push)
    c.poles[:, side] = (mirror * 0.75, 0.9, 0.1)
    other = 1 - side
    if rng.random() < 0.5:
        c.wrists[:, other] = _resting_arm(rng, t, SIDES[other])
    return c


_MAKERS = {
    "walk": _walk,
    "reach": _reach,
    "object": _object,
    "handface": _handface,
    "dance": _dance,
    "pass": _pass,
    "fasthands": _fasthands,
}


def make_controls(kind: str, seed: list[int], t: np.ndarray) -> Controls:
    """Controls of the motion `kind` at times t (T,) in seconds; the same seed gives the same motion at any times."""
    return _MAKERS[kind](np.random.default_rng(seed), t)


def idle_controls(rng: np.random.Generator) -> Controls:
    """One moment of the reference picture's pose: front view, arms slightly away from the body, small variation."""
    t = np.zeros(1)
    c = _idle(rng, t, 0.0)
    small = np.deg2rad(8)
    c.yaw, c.lean, c.pitch = rng.uniform(-small, small, (1,)), rng.uniform(-0.04, 0.04, (1,)), np.zeros(1)
    c.head = rng.uniform(-small, small, (1, 3)) * np.array([1, 0.6, 0.5])
    c.root = np.zeros((1, 3))
    for side in (RIGHT, LEFT):
        angle = np.deg2rad(20) + rng.uniform(-small, small)
        c.wrists[0, side] = 0.285 * np.array([SIDES[side] * np.sin(angle), np.cos(angle), 0.08])
    c.feet[0, :, 0], c.feet[0, :, 1:] = SIDES * rng.uniform(0.065, 0.08), 0.0
    c.curls[:] = rng.uniform(0.1, 0.25)
    c.spread[:] = 0.5
    c.mouth[:], c.blink[:], c.travel[:] = 0, 0, 0
    return c
