"""Rendered puppet scenes with exact ground truth."""

from .motion import FPS, KINDS
from .renderer import SceneRenderer, render_scene
from .scene import HELD_OUT_SEED, Frame, Scene

__all__ = ["FPS", "HELD_OUT_SEED", "KINDS", "Frame", "Scene", "SceneRenderer", "render_scene"]
