"""Whether a training may go on from a checkpoint: its recipe and its model must be the ones it was begun with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..models import ModelConfig
from .recipe import Recipe, files_by_name, parse_recipe
from .saving import Saved

FREE = {"save_every", "keep", "log_every", "workers", "export"}  # they change no weight
TOLD = 4  # differences that a message names


def begun_with(recipe: Recipe, config: ModelConfig) -> dict[str, Any]:
    """What a checkpoint remembers of its training, as JSON has it: recipe and the model's config."""
    return {"recipe": recipe.model_dump(mode="json"), "config": config.model_dump(mode="json")}


def check_same(saved: Saved, recipe: Recipe, config: ModelConfig, folder: Path) -> None:
    """Raise InputError, with the fields that differ, unless the training that was `saved` may go on with these.

    The stage that it has reached may have become longer, later ones may be others, files may lie elsewhere, and what
    changes no weight may change. Checkpoints of earlier versions, whose `begun` is empty, say nothing.
    """
    begun = saved.begun
    if not begun:
        return
    here = begun_with(recipe, config)
    changed = _recipe_changes(_with_defaults(begun["recipe"]), here["recipe"], saved.scalars["stage"])
    if not changed:
        changed = _changes(_flat(begun["config"]), _flat(here["config"]), "model config ")
    if changed:
        more = f" and {len(changed) - TOLD} more" if len(changed) > TOLD else ""
        raise InputError(
            f"{folder} holds a training of another recipe: {'; '.join(changed[:TOLD])}{more}. Go on with the recipe "
            "that it was begun with, or give another --out"
        )


def _with_defaults(recipe: dict[str, Any]) -> dict[str, Any]:
    """The saved recipe with the fields that came later at their defaults; as it is where it cannot be read any more."""
    try:
        return parse_recipe(recipe).model_dump(mode="json")
    except InputError:
        return recipe


def _recipe_changes(there: dict[str, Any], here: dict[str, Any], reached: int) -> list[str]:
    before, now = (
        _flat({**files_by_name(recipe), "stages": recipe["stages"][: reached + 1]}) for recipe in (there, here)
    )
    for values in (before, now):
        for name in FREE:
            values.pop(name, None)
    steps = f"stages.{reached}.steps"
    if now.get(steps, 0) >= before[steps]:
        before.pop(steps)
        now.pop(steps)
    return _changes(before, now)


def _changes(there: dict[str, Any], here: dict[str, Any], what: str = "") -> list[str]:
    names = [name for name in here | there if there.get(name, ...) != here.get(name, ...)]
    return [f"{what}{name} is {_told(there, name)} there and {_told(here, name)} here" for name in names]


def _told(values: dict[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "not set"


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested fields as {dotted name: value}; of lists, those of objects alone are taken apart."""
    if isinstance(values, dict):
        pairs = values.items()
    elif isinstance(values, list) and values and isinstance(values[0], dict):
        pairs = ((str(index), value) for index, value in enumerate(values))
    else:
        return {name: values}
    found = {}
    for key, value in pairs:
        found |= _flat(value, f"{name}.{key}" if name else key)
    return found
