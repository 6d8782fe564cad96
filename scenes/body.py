"""The puppet's skeleton: joint positions, hands and face landmarks in space, and their OpenPose form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .motion import LEFT, RIGHT, SIDES, Controls

# Slices of the point array (T, POINTS, 3).
BODY = slice(0, 18)  # OpenPose-18 order
HANDS = (slice(18, 39), slice(39, 60))  # right, left; 21 each
FACE = slice(60, 130)  # 68 + 2 pupils
JAW = slice(130, 147)  # the jaw line before any hand pushed it
TOES, HEELS = slice(147, 149), slice(149, 151)
HEAD, PELVIS = 151, 152
HEAD_X, HEAD_Y, HEAD_Z = 153, 154, 155  # head centre plus its axes, scaled by the head's radii
BODY_X, BODY_Z = 156, 157  # pelvis plus the torso's axes
GRIP, GRIP_UP = 158, 159  # held object: centre, and centre plus its up direction
PRESS, PRESS_END = 160, 161  # where the face is pushed, and where that skin goes
POINTS = 162

NECK = 1
SHOULDERS, ELBOWS, WRISTS = (2, 5), (3, 6), (4, 7)
HIPS, KNEES, ANKLES = (8, 11), (9, 12), (10, 13)

PRESS_RADIUS = 0.040  # how far around the touch the skin moves, in body heights


@dataclass(frozen=True)
class Rig:
    """Bone lengths in body heights."""

    shoulder: float = 0.105
    hip: float = 0.058
    torso: float = 0.285
    upper_arm: float = 0.155
    forearm: float = 0.142
    thigh: float = 0.232
    shin: float = 0.222
    pelvis: float = 0.492  # height above the ground
    ankle: float = 0.042
    neck: float = 0.122  # from the neck keypoint to the head's centre
    head: tuple[float, float, float] = (0.084, 0.106, 0.094)
    hand: float = 0.106


def make_rig(rng: np.random.Generator) -> Rig:
    """Slightly varied proportions."""
    longer = rng.uniform(0.96, 1.04)
    head = rng.uniform(0.97, 1.05)
    return Rig(
        shoulder=0.105 * rng.uniform(0.92, 1.1),
        hip=0.058 * rng.uniform(0.92, 1.1),
        torso=0.285 * (2 - longer),
        thigh=0.232 * longer,
        shin=0.222 * longer,
        pelvis=0.492 * longer,
        upper_arm=0.155 * rng.uniform(0.96, 1.06),
        forearm=0.142 * rng.uniform(0.96, 1.06),
        head=(0.084 * head, 0.106 * head, 0.094 * head),
        hand=0.106 * rng.uniform(0.94, 1.06),
    )


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.sqrt((v * v).sum(-1, keepdims=True)), 1e-9)


def _rotation(yaw: np.ndarray, roll: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Rotation matrices (T, 3, 3): pitch (forward), then roll (to the picture's right), then yaw."""
    cy, sy, cr, sr, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    o, i = np.zeros_like(cy), np.ones_like(cy)
    turn = np.stack([cy, o, sy, o, i, o, -sy, o, cy], -1).reshape(-1, 3, 3)
    tilt = np.stack([cr, -sr, o, sr, cr, o, o, o, i], -1).reshape(-1, 3, 3)
    nod = np.stack([i, o, o, o, cp, sp, o, -sp, cp], -1).reshape(-1, 3, 3)
    return turn @ tilt @ nod


def _rotate(matrix: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotate vectors v (T, 3) or one vector (3,) by matrices (T, 3, 3)."""
    return np.einsum("tij,tj->ti", matrix, np.broadcast_to(v, (len(matrix), 3)))


def two_bones(
    start: np.ndarray, target: np.ndarray, pole: np.ndarray, first: float, second: float
) -> tuple[np.ndarray, np.ndarray]:
    """Middle and end joint (T, 3) of two bones of given lengths from start towards target, bent towards the pole."""
    reach = target - start
    distance = np.clip(
        np.linalg.norm(reach, axis=-1, keepdims=True), abs(first - second) + 1e-3, (first + second) * 0.999
    )
    along = _unit(reach)
    bend = _unit(pole - (pole * along).sum(-1, keepdims=True) * along)
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0))
    return start + first * (along * cosine + bend * sine), start + along * distance


def hand_points(
    side: int, direction: np.ndarray, palm: np.ndarray, curls: np.ndarray, spread: np.ndarray, length: float
) -> np.ndarray:
    """21 OpenPose hand keypoints (T, 21, 3) with the wrist at the origin.

    direction, palm (T, 3): where the fingers and the palm point; curls (T, 5) 0…1 from thumb to little finger;
    spread (T,).
    """
    d = _unit(direction)
    n = _unit(palm - (palm * d).sum(-1, keepdims=True) * d)
    thumbwards = np.cross(d, n) * SIDES[side]
    points = np.zeros((len(d), 21, 3))
    offsets, lengths = (0.2, 0.075, -0.065, -0.2), (0.44, 0.5, 0.47, 0.37)
    for finger in range(4):
        base = length * (0.52 * d + offsets[finger] * thumbwards)
        out = (spread * (0.45 - 0.3 * finger))[:, None]
        line = _unit(d + out * thumbwards)
        points[:, 5 + 4 * finger] = base
        for joint, (bend, share) in enumerate(((0.6, 0.42), (1.7, 0.33), (2.5, 0.25))):
            angle = (curls[:, finger + 1] * bend)[:, None]
            base = base + length * lengths[finger] * share * (np.cos(angle) * line + np.sin(angle) * n)
            points[:, 6 + 4 * finger + joint] = base
    curl = curls[:, :1]
    out = _unit(0.55 * d + (0.75 + 0.4 * spread[:, None] - 0.9 * curl) * thumbwards + (0.2 + 0.6 * curl) * n)
    base = length * (0.12 * d + 0.15 * thumbwards)
    points[:, 1] = base
    for joint, share in enumerate((0.2, 0.18, 0.16)):
        out = _unit(out + 0.35 * curl * (n - 0.6 * thumbwards) + 0.12 * d)
        base = base + length * share * out
        points[:, 2 + joint] = base
    return points


def _landmark_table() -> np.ndarray:
    """The 70 face landmarks (70, 2) of a neutral face; ±1 = the head's half width and half height."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([np.cos(turn) * (1 - 0.2 * np.sin(turn) ** 4), 0.02 + 0.96 * np.sin(turn) ** 0.9], 1)
    brow = np.stack([np.linspace(-0.64, -0.17, 5), np.array([-0.2, -0.28, -0.31, -0.29, -0.24])], 1)
    bridge = np.stack([np.zeros(4), np.linspace(-0.02, 0.26, 4)], 1)
    nostrils = np.stack([np.linspace(-0.13, 0.13, 5), np.array([0.31, 0.34, 0.36, 0.34, 0.31])], 1)
    eye = np.array([(-0.56, 0.02), (-0.46, -0.085), (-0.32, -0.085), (-0.22, 0.02), (-0.32, 0.10), (-0.46, 0.10)])
    flip = np.array([-1.0, 1.0])
    outer = np.array([(-0.27, 0.56), (-0.17, 0.53), (-0.07, 0.51), (0, 0.52), (0.07, 0.51), (0.17, 0.53), (0.27, 0.56),
                      (0.17, 0.63), (0.08, 0.66), (0, 0.67), (-0.08, 0.66), (-0.17, 0.63)])  # fmt: skip
    inner = np.array(
        [(-0.22, 0.565), (-0.08, 0.57), (0, 0.57), (0.08, 0.57), (0.22, 0.565), (0.08, 0.6), (0, 0.605), (-0.08, 0.6)]
    )
    pupils = np.array([(-0.39, 0.01), (0.39, 0.01)])
    other_eye = (eye * flip)[[3, 2, 1, 0, 5, 4]]
    return np.concatenate([jaw, brow, brow[::-1] * flip, bridge, nostrils, eye, other_eye, outer, inner, pupils])


_NEUTRAL = _landmark_table()


def surface(uv: np.ndarray, radii: tuple[float, float, float]) -> np.ndarray:
    """Points (…, 3) on the front of the head for face coordinates uv (…, 2), relative to the head's centre."""
    u, v = uv[..., 0], uv[..., 1]
    z = np.sqrt(np.maximum(1 - 0.85 * u**2 - 0.45 * v**2, 0.02))
    return np.stack([u * radii[0], v * radii[1], z * radii[2] * 0.92], -1)


def _landmarks(mouth: np.ndarray, blink: np.ndarray, radii: tuple[float, float, float]) -> np.ndarray:
    """Face landmarks (T, 70, 3) in the head's frame for mouth and blink (T,) 0…1."""
    uv = np.tile(_NEUTRAL, (len(mouth), 1, 1))
    uv[:, [41, 40, 46, 47], 1] -= 0.14 * blink[:, None]
    uv[:, [37, 38, 43, 44], 1] += 0.04 * blink[:, None]
    uv[:, 55:60, 1] += 0.13 * mouth[:, None]
    uv[:, 65:68, 1] += 0.14 * mouth[:, None]
    uv[:, 6:11, 1] += 0.03 * mouth[:, None]
    points = surface(uv, radii)
    points[:, 27:31, 2] += radii[2] * np.linspace(0.02, 0.26, 4)
    points[:, 31:36, 2] += radii[2] * 0.1
    points[:, :17, 2] = radii[2] * 0.38 * np.sin(np.linspace(0, np.pi, 17))
    return points


def press(points: np.ndarray, centre: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Push points (…, N, D) near `centre` towards `end` (…, D): displacement falls off as a Gaussian of the radius."""
    centre, end = centre[..., None, :], end[..., None, :]
    near = np.exp(-((points - centre) ** 2).sum(-1, keepdims=True) / (2 * radius**2))
    return points + near * (end - centre)


def _head(points: np.ndarray, rig: Rig, c: Controls) -> np.ndarray:
    """Fill in head, face and the OpenPose face points; returns the head's rotation (T, 3, 3)."""
    turn = _rotation(c.head[:, 0], c.head[:, 2], c.head[:, 1])
    up = _rotation(c.yaw, c.lean * 0.5 + c.head[:, 2] * 0.3, c.pitch * 0.5)
    centre = points[:, NECK] + _rotate(up, np.array([0.0, -rig.neck, 0.012]))
    local = _landmarks(c.mouth, c.blink, rig.head)
    face = np.einsum("tij,tkj->tki", turn, local) + centre[:, None]
    points[:, HEAD] = centre
    for index, axis in ((HEAD_X, 0), (HEAD_Y, 1), (HEAD_Z, 2)):
        points[:, index] = centre + turn[:, :, axis] * rig.head[axis]
    points[:, FACE], points[:, JAW] = face, face[:, :17]
    ears = np.array([(-0.98, 0.05, -0.05), (0.98, 0.05, -0.05)]) * rig.head
    points[:, 16:18] = np.einsum("tij,kj->tki", turn, ears) + centre[:, None]
    return turn


def _orient_hands(points: np.ndarray, rig: Rig, c: Controls) -> None:
    """Place both hands at the wrists, along the forearms or as the motion says."""
    for side in (RIGHT, LEFT):
        wrist, elbow = points[:, WRISTS[side]], points[:, ELBOWS[side]]
        own = _unit(wrist - elbow)
        weight = c.hand_weight[:, side, None]
        direction = _unit(own * (1 - weight) + _unit(c.hand_direction[:, side]) * weight)
        raised = 1 / (1 + np.exp(18 * (wrist[:, 1] - points[:, NECK, 1] - 0.1)))[:, None]
        facing = np.concatenate([np.full_like(raised, -SIDES[side] * 0.5), 0 * raised, 2 * raised - 1], 1)
        palm = facing * (1 - weight) + c.palm[:, side] * weight
        points[:, HANDS[side]] = wrist[:, None] + hand_points(
            side, direction, palm, c.curls[:, side], c.spread[:, side], rig.hand
        )


def _contact_target(points: np.ndarray, rig: Rig, c: Controls, turn: np.ndarray) -> np.ndarray:
    """Wrist position (T, 3) at which the touching keypoint meets the skin; sets PRESS and PRESS_END."""
    side = c.contact_hand
    skin = _rotate(turn, surface(c.contact_point, rig.head)) + points[:, HEAD]
    inwards = _unit(points[:, HEAD] - skin)
    # Not in paper: skin is pushed mostly sideways in the picture, so that the dent shows.
    push = _unit(
        inwards * np.array([1.0, 1.0, 0.6]) + 0.8 * _unit(c.hand_direction[:, side]) * np.array([1.0, 0.8, 0.0])
    )
    hand = hand_points(side, c.hand_direction[:, side], c.palm[:, side], c.curls[:, side], c.spread[:, side], rig.hand)
    touch = skin + push * (c.contact_press - c.contact_gap)[:, None]
    points[:, PRESS], points[:, PRESS_END] = skin, skin + push * c.contact_press[:, None]
    return touch - hand[:, c.contact_tip]


def _arms_and_legs(
    points: np.ndarray, rig: Rig, c: Controls, turn: np.ndarray, body: np.ndarray, ground: np.ndarray
) -> None:
    flat = _rotation(c.yaw, 0 * c.yaw, 0 * c.yaw)
    for side in (RIGHT, LEFT):
        shoulder = points[:, SHOULDERS[side]]
        target = shoulder + _rotate(body, c.wrists[:, side])
        if c.contact_hand == side:
            target = _contact_target(points, rig, c, turn)
        pole = _rotate(body, c.poles[:, side])
        elbow, wrist = two_bones(shoulder, target, pole, rig.upper_arm, rig.forearm)
        points[:, ELBOWS[side]], points[:, WRISTS[side]] = elbow, wrist
        ankle = ground + _rotate(flat, c.feet[:, side] + np.array([0, -rig.ankle, 0]))
        forward = _rotate(flat, np.array([SIDES[side] * 0.22, 0.0, 1.0]))
        knee, foot = two_bones(points[:, HIPS[side]], ankle, forward, rig.thigh, rig.shin)
        points[:, KNEES[side]], points[:, ANKLES[side]] = knee, foot
        toe_drop = np.stack([np.zeros(len(foot)), 0.026 - 0.25 * c.feet[:, side, 1], np.zeros(len(foot))], 1)
        points[:, TOES.start + side] = foot + forward * 0.072 + toe_drop
        points[:, HEELS.start + side] = foot - forward * 0.016 + np.array([0, 0.024, 0])


def _place_object(points: np.ndarray, rig: Rig, c: Controls) -> None:
    if c.hold is None:
        points[:, GRIP] = points[:, GRIP_UP] = points[:, PELVIS]
        return
    grips = np.stack([points[:, HANDS[s]][:, [5, 9, 13, 6, 10]].mean(1) for s in (RIGHT, LEFT)], 1)
    centre = (grips * c.hold[:, :, None]).sum(1) + np.array([0, 0, 0.012])
    up = np.stack([np.sin(c.object_turn), -np.cos(c.object_turn), 0 * c.object_turn], 1)
    points[:, GRIP], points[:, GRIP_UP] = centre, centre + up * 0.1


def torso_rotation(c: Controls) -> np.ndarray:
    """How the torso is turned: matrices (T, 3, 3)."""
    return _rotation(c.yaw, c.lean, c.pitch)


def solve(rig: Rig, c: Controls) -> np.ndarray:
    """All points (T, POINTS, 3) of the puppet: x right, y down (0 = ground), z to the camera, in body heights."""
    count = len(c.yaw)
    points = np.zeros((count, POINTS, 3))
    ground = c.root * np.array([1.0, 0.0, 1.0])
    pelvis = c.root + np.array([0, -rig.pelvis, 0])
    body, hips = torso_rotation(c), _rotation(c.yaw, c.lean * -0.35, 0 * c.pitch)
    points[:, PELVIS] = pelvis
    points[:, BODY_X], points[:, BODY_Z] = pelvis + body[:, :, 0] * 0.1, pelvis + body[:, :, 2] * 0.1
    points[:, NECK] = pelvis - body[:, :, 1] * rig.torso
    for side in (RIGHT, LEFT):
        points[:, SHOULDERS[side]] = points[:, NECK] + body @ (
            SIDES[side] * np.array([rig.shoulder, 0, 0]) + np.array([0, 0.012, 0])
        )
        points[:, HIPS[side]] = pelvis + hips @ np.array([SIDES[side] * rig.hip, 0.012, 0])
    turn = _head(points, rig, c)
    _arms_and_legs(points, rig, c, turn, body, ground)
    _orient_hands(points, rig, c)
    _place_object(points, rig, c)
    if c.contact_hand >= 0:
        points[:, FACE] = press(points[:, FACE], points[:, PRESS], points[:, PRESS_END], PRESS_RADIUS)
    face = points[:, FACE]
    points[:, 0], points[:, 14], points[:, 15] = face[:, 30], face[:, 68], face[:, 69]
    return points


def project(points: np.ndarray, scale: float, origin: tuple[float, float], tilt: float = 0.12) -> np.ndarray:
    """Points (…, 3) in body heights → x, y in pixels and z in body heights: orthographic, from slightly above.

    Pixels are continuous: the picture's left edge is x = 0, the centre of its first pixel 0.5.
    """
    result = np.empty_like(points)
    sine, cosine = np.sin(tilt), np.cos(tilt)
    result[..., 0] = origin[0] + scale * points[..., 0]
    result[..., 1] = origin[1] + scale * (points[..., 1] * cosine + points[..., 2] * sine)
    result[..., 2] = points[..., 2] * cosine - points[..., 1] * sine
    return result


def _flat(points: np.ndarray, visible: np.ndarray) -> list[float]:
    keypoints = np.concatenate([points[:, :2], np.ones((len(points), 1))], 1) * visible[:, None]
    return [round(float(v), 3) for v in keypoints.ravel()]


def keypoints(points: np.ndarray, width: int, height: int) -> dict:
    """One frame's POSE_KEYPOINT dict from projected points (POINTS, 3): pixels, score 1 in the frame, all 0 outside it.

    An ear that the head hides scores 0. Points behind other things still score 1: their place is known exactly.
    """
    inside = ((points[:, :2] >= 0) & (points[:, :2] <= (width, height))).all(1)
    inside[16:18] &= points[16:18, 2] > points[HEAD, 2] - 0.05
    person = {
        "pose_keypoints_2d": _flat(points[BODY], inside[BODY]),
        "face_keypoints_2d": _flat(points[FACE], inside[FACE]),
        "hand_left_keypoints_2d": _flat(points[HANDS[LEFT]], inside[HANDS[LEFT]]),
        "hand_right_keypoints_2d": _flat(points[HANDS[RIGHT]], inside[HANDS[RIGHT]]),
    }
    return {"canvas_width": width, "canvas_height": height, "people": [person]}
