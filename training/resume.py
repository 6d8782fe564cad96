"""Whether a training may go on from a checkpoint: its recipe and its model must be the ones it was begun with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..models import ModelConfig
from .recipe import Recipe, parse_recipe

FREE = {"save_every", "keep", "log_every", "workers", "export"}  # they change no weight
FILES = {"init", "codec", "clip_vision", "data.folder"}  # may have been moved: their names are compared
TOLD = 4  # differences that a message names


def begun_with(recipe: Recipe, config: ModelConfig) -> dict[str, Any]:
    """What a checkpoint remembers of its training, as JSON has it: recipe and the model's config."""
    return {"recipe": recipe.model_dump(mode="json"), "config": config.model_dump(mode="json")}


def check_same(begun: dict[str, Any], recipe: Recipe, config: ModelConfig, folder: Path) -> None:
    """Raise InputError, with the fields that differ, unless a training `begun` so may go on with these.

    The last stage may have become longer, files may lie elsewhere, and what changes no weight may change. `begun` is
    empty in checkpoints of earlier versions, which say nothing.
    """
    if not begun:
        return
    here = begun_with(recipe, config)
    changed = _recipe_changes(_with_defaults(begun["recipe"]), here["recipe"])
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


def _recipe_changes(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    before, now = _flat(there), _flat(here)
    for values in (before, now):
        for name in FREE:
            values.pop(name, None)
        for name in FILES & values.keys():
            values[name] = values[name] and Path(values[name]).name
    last = f"stages.{len(there['stages']) - 1}.steps"
    if len(there["stages"]) == len(here["stages"]) and now[last] >= before[last]:
        before.pop(last)
        now.pop(last)
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
