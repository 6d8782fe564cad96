"""What docstrings, comments and messages name is there: files of the repository, its nodes, its functions."""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_architecture import FILES, ROOT, each_file, parse

FILE = re.compile(r"[\w./*-]*\w\.(?:py|md|yaml|toml|js)\b")
MADE = {"card.md", "FILE.yaml", "config.yaml", "extra_model_paths.yaml"}  # what commands write, ComfyUI's, placeholders
OTHERS = {"node.js", "model.py"}
NODE_ID = re.compile(r"\bInhabit[A-Z]\w+")
NODE_NAME = re.compile(r"\bInhabit((?:\s+(?:[A-Z][\w-]*|&))+)")
WORD = re.compile(r"[A-Z&][\w-]*")
NAMED = re.compile(r"`((?:models|media|perception|sampling|scenes|training|evaluation)(?:\.\w+)+)")
DOCUMENTS = [ROOT / "README.md", *(ROOT / "web" / "docs").glob("*.md")]


def words(path: Path) -> Iterator[str]:
    """Every comment and string of a file; a document as it is."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    found = (node.value for node in ast.walk(parse(path)) if isinstance(node, ast.Constant))
    yield from (value for value in found if isinstance(value, str))


def nodes() -> tuple[set[str], set[str]]:
    """Ids and display names, from the nodes' source."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "nodes").glob("*.py"))
    return set(re.findall(r'node_id="(\w+)"', text)), set(re.findall(r'display_name="(Inhabit [^"]+)"', text))


@pytest.mark.parametrize("path", [*FILES, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path):
    endings = {".py", ".md", ".yaml", ".js", ".toml"}
    tracked = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*") if file.suffix in endings}
    for text in words(path):
        for name in FILE.findall(text):
            short = name.removeprefix("./")
            there = any(file == short or file.endswith(f"/{short}") for file in tracked) or "*" in name
            assert there or name in MADE | OTHERS, f"{path.relative_to(ROOT)} names {name}"


@pytest.mark.parametrize("path", [*FILES, *DOCUMENTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_nodes_that_are_named_exist(path):
    ids, names = nodes()
    assert len(ids) == len(names) > 15
    classes = {node.name for file in FILES for node in ast.walk(parse(file)) if isinstance(node, ast.ClassDef)}
    for text in words(path):
        for name in NODE_ID.findall(text):
            assert name in ids | classes, f"{path.relative_to(ROOT)} names {name}"
        for rest in NODE_NAME.findall(text):
            name = " ".join(["Inhabit", *WORD.findall(rest)])
            known = any(name.startswith(node) for node in (*names, "Inhabit MODEL"))  # what our loaders give
            assert known, f"{path.relative_to(ROOT)} names {name}"


@each_file(FILES)
def test_functions_and_fields_that_are_named_exist(path):
    for text in words(path):
        for name in NAMED.findall(text):
            assert _resolves(name), f"{path.relative_to(ROOT)} names {name}"


def _resolves(name: str) -> bool:
    """Whether it is a module, what is in one, or a field of a model's configuration (`sampling.window`)."""
    from inhabit.models.config import ModelConfig

    room, *rest = name.split(".")
    if room in ModelConfig.model_fields and rest[0] in _fields(room):
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


def _fields(room: str) -> set[str]:
    from inhabit.models.config import ModelConfig

    return set(getattr(ModelConfig.model_fields[room].annotation, "model_fields", {}))
