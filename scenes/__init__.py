"""Rendered puppet scenes with exact ground truth."""

from .files import read_scene, write_scene
from .motion import FPS, KINDS
from .renderer import SHUTTER, SceneRenderer, render_scene
from .scene import HELD_OUT_SEED, Frame, Scene

__all__ = [
    "FPS",
    "HELD_OUT_SEED",
    "KINDS",
    "SHUTTER",
    "Frame",
    "Scene",
    "SceneRenderer",
    "read_scene",
    "render_scene",
    "write_scene",
]
