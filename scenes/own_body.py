"""A character with bones of its own doing another one's motion in the other one's place: the truth of retargeting."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np

from . import body
from .motion import LEFT, RIGHT, Controls, smoothstep

GRIP_POINTS = [5, 9, 13, 6, 10]  # the hand keypoints whose middle holds an object
_ROUNDS = 4  # a hand that follows its forearm turns when the wrist moves: the grip settles within these


def own_points(rig: body.Rig, own: body.Rig, controls: Controls) -> np.ndarray:
    """Points (T, POINTS, 3) of a body `own` under the controls that move a body `rig`; see `body.solve`.

    It is as tall as `rig`, since no picture of a character tells its height. Feet are on the same ground at the same
    steps; a hand that holds an object holds it where it is held by `rig`; a hand on the face touches the own face.
    """
    own = _scaled(own, standing_height(rig) / standing_height(own))
    points = body.solve(own, controls)
    if controls.hold is None:
        return points
    wanted, holds = _grips(body.solve(rig, controls)), smoothstep(2 * controls.hold)[..., None]
    turn = body.torso_rotation(controls)
    for _ in range(_ROUNDS):
        missed = (wanted - _grips(points)) * holds
        wrists = controls.wrists + np.einsum("tji,tsj->tsi", turn, missed)
        controls = replace(controls, wrists=wrists)
        points = body.solve(own, controls)
    return points


def standing_height(rig: body.Rig) -> float:
    """From the ground to the top of the head, upright, in body heights."""
    return rig.pelvis + rig.torso + rig.neck + rig.head[1]


def _scaled(rig: body.Rig, factor: float) -> body.Rig:
    return body.Rig(*(tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor
                      for value in astuple(rig)))  # fmt: skip


def _grips(points: np.ndarray) -> np.ndarray:
    """Where each hand holds: (T, 2, 3), right and left."""
    return np.stack([points[:, body.HANDS[side]][:, GRIP_POINTS].mean(axis=1) for side in (RIGHT, LEFT)], axis=1)
