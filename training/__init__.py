"""Headless training: a recipe in, checkpoints and one model file out."""

from .loop import Trainer
from .recipe import Recipe, load_recipe

__all__ = ["Recipe", "Trainer", "load_recipe"]
