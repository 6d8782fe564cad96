"""What docstrings, comments, messages and help name is there: files of the repository, nodes, functions and fields."""

import ast
import functools
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from inhabit.models.config import ModelConfig

from .test_architecture import FILES, ROOT, parse

FILE = re.compile(r"[\w./*-]*\w\.(?:py|md|yaml|toml|js)\b")
OTHERS = {"report.md", "FILE.yaml", "extra_model_paths.yaml"}  # what a command writes, a placeholder, ComfyUI's
NODE_ID = re.compile(r"\bInhabit[A-Z]\w+")
NODE_NAME = re.compile(r"\bInhabit (?=[A-Z])")
ROOMS = "evaluation|media|models|nodes|perception|pipeline|sampling|scenes|training|weights"
NAMED = re.compile(rf"`((?:{ROOMS})(?:\.\w+)+)")
DOCUMENTS = [ROOT / "README.md", *(ROOT / "web" / "docs").glob("*.md")]


@functools.cache
def texts() -> list[tuple[str, str]]:
    """Every comment and string of the shipped files, and the documents whole, with the file's name."""
    return [(str(path.relative_to(ROOT)), text) for path in [*FILES, *DOCUMENTS] for text in _texts(path)]


def _texts(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield " ".join(line.strip() for line in text.splitlines() if not line.startswith("#"))
        return
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)
    constants = (node.value for node in ast.walk(parse(path)) if isinstance(node, ast.Constant))
    yield from (value for value in constants if isinstance(value, str))


def test_files_that_are_named_exist():
    places = [path for path in ROOT.iterdir() if not path.name.startswith(".")]
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place])]
    there = {f"/{path.relative_to(ROOT)}" for path in files}
    named = {(name, file) for file, text in texts() for name in FILE.findall(text)}
    missing = {pair for pair in named if "*" not in pair[0] and not any(path.endswith(f"/{pair[0]}") for path in there)}
    assert len(named) > 10 and not {pair for pair in missing if pair[0] not in OTHERS}


def test_nodes_that_are_named_exist():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "nodes").rglob("*.py"))
    ids = set(re.findall(r'node_id="(\w+)"', source))
    names = tuple(re.findall(r'display_name="(Inhabit [^"]+)"', source))
    assert len(ids) == len(names) > 15
    classes = {node.name for file in FILES for node in ast.walk(parse(file)) if isinstance(node, ast.ClassDef)}
    unknown = {(name, file) for file, text in texts() for name in NODE_ID.findall(text) if name not in ids | classes}
    assert not unknown
    called = {(text[found.start() :][:60], file) for file, text in texts() for found in NODE_NAME.finditer(text)}
    ours = (*names, "Inhabit MODEL")
    assert not {(name, file) for name, file in called if not name.startswith(ours)}


def test_functions_and_fields_that_are_named_exist():
    named = {(name, file) for file, text in texts() for name in NAMED.findall(text)}
    assert len(named) > 5 and not {(name, file) for name, file in named if not _is_there(name)}


def _is_there(name: str) -> bool:
    """Whether it is a module, what is in one, or a field of a model's configuration (`sampling.window`)."""
    room, *rest = name.split(".")
    field = ModelConfig.model_fields.get(room)
    if field is not None and rest[0] in getattr(field.annotation, "model_fields", {}):
        return True
    found = importlib.import_module(f"inhabit.{room}")
    for part in rest:
        try:
            found = importlib.import_module(f"{found.__name__}.{part}")  # first: a function may have its module's name
        except (ModuleNotFoundError, AttributeError):
            if not hasattr(found, part):
                return part == "py" or part in getattr(found, "__annotations__", {})
            found = getattr(found, part)
    return True
