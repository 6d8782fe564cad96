"""The conditions of the animation model, each described once.

From this table come ComfyUI's keys and what a context window cuts, what guidance goes without, and what is told where a
model has no network for a condition. A new one is a row here, a line of `AnimationModel.features`, a way to make it of
files in `pipeline/conditions.py`, and a node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from .config import ModelConfig

Space = Literal["pixels", "latents", "cells", "tokens"]
Mechanism = Literal["reference", "motion", "environment", "objects"]


@dataclass(frozen=True)
class Condition:
    """One input of the model beside the noise.

    name: of the keyword; ComfyUI's key is `inhabit_` and the name.
    space: "pixels" of the frames, "latents" of the VAE, "cells": one value a latent, "tokens" of an encoder.
    per_frame: one a frame, else one a clip.
    mechanism: what is switched off as one, and what guidance's unconditional pass goes without as one.
    read_by: whether a model of this config has a network for it.
    unread: what is told where it has none; nothing where "".
    lost: whether it is without effect there; else it is used in another way.
    """

    name: str
    space: Space
    per_frame: bool
    mechanism: Mechanism
    read_by: Callable[[ModelConfig], bool] = lambda config: True
    unread: str = ""
    lost: bool = True


CONDITIONS = (
    Condition("reference", "latents", False, "reference"),
    Condition("context", "tokens", False, "reference", lambda config: config.unet.cross_attention_dim is not None),
    Condition("skeleton", "pixels", True, "motion"),
    Condition("depth", "pixels", True, "motion", lambda config: config.pose.depth, "reads no depth: it is not used"),
    Condition(
        "blur",
        "pixels",
        True,
        "motion",
        lambda config: config.pose.blur is not None,
        "reads no motion-blur maps: they are not used",
    ),
    Condition(
        "environment",
        "latents",
        True,
        "environment",
        lambda config: config.environment,
        "has no environment input: the scene is kept by a noise mask instead",
        lost=False,
    ),
    Condition("mask", "cells", True, "environment", lambda config: config.environment),
    Condition(
        "objects",
        "latents",
        True,
        "objects",
        lambda config: config.objects is not None,
        "has no object guider: the objects are not used",
    ),
)


def unread(config: ModelConfig, given: Collection[str]) -> list[Condition]:
    """Of the conditions given by name, those that a model has no network for."""
    return [each for each in CONDITIONS if each.name in given and not each.read_by(config)]
