"""Output that is either whole or not there: write under a temporary name beside the goal, then rename."""

import itertools
import logging
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError

logger = logging.getLogger(__name__)

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # a process number means nothing to another machine or container
OURS = re.compile(r"\.inhabit\.(?P<host>[0-9a-f]{8})\.\d+\.(?P<process>\d+)\.part(\..*)?")
LONGEST_SUFFIX = 32  # bytes
ABANDONED_SECONDS = 24 * 3600  # after which nobody writes any more to what another machine began

_numbers = itertools.count()
_in_use: set[str] = set()


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder and with the same suffix; rename it to `path` on success.

    On any exception (Ctrl-C too) the temporary file goes and `path` stays as it was. Missing parent folders are made.
    Every name that the file system takes will do: the temporary one is short. What killed runs left is swept.
    """
    path = Path(path)
    with _temporary(path, path.suffix) as temporary:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success its files become those of `path`.

    A new `path` appears by one rename. In a `path` that exists, files of the same name are replaced, one by one, and
    others kept. On any exception (Ctrl-C too) while they are made the temporary folder goes and `path` stays as it was.
    Raises InputError, and replaces nothing, where a folder of the same name is in the way.
    """
    path = Path(path)
    with _temporary(path, "") as temporary:
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush(file)
        _flush(temporary)
        if not path.exists():
            os.rename(temporary, path)
            _flush(path.parent)
            return
        replaced = {made: path / made.name for made in sorted(temporary.iterdir())}
        for made, goal in replaced.items():
            if goal.is_dir() or (goal.exists() and made.is_dir()):
                raise InputError(
                    f"{goal} is in the way of what is to be written by that name: move it, or give another place"
                )
        for made, goal in replaced.items():
            os.replace(made, goal)


def sweep(folder: Path) -> None:
    """Delete what killed runs left half-written in `folder`, and nothing that a living process holds."""
    for left in list(folder.iterdir()):
        named = OURS.fullmatch(left.name)
        if named is None or left.name in _in_use or not _is_abandoned(left, named):
            continue
        logger.info("%s was left by a run that did not end: it is deleted", left)
        with suppress(OSError):  # another's, or swept by another run just now
            _delete(left)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Flush a file, or a folder's names, to the disk, so that no name stands for content that a power cut took away."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # and flushes no file opened for reading
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _temporary(path: Path, suffix: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    suffix = suffix if len(os.fsencode(suffix)) <= LONGEST_SUFFIX else ""
    temporary = path.parent / f".inhabit.{HOST}.{next(_numbers)}.{os.getpid()}.part{suffix}"
    _in_use.add(temporary.name)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            _delete(temporary)
        _in_use.discard(temporary.name)


def _is_abandoned(left: Path, named: re.Match) -> bool:
    """Whether the process that began a file runs no more; where that cannot be known, whether it is a day old."""
    if named["host"] == HOST and os.name == "posix":
        return not _is_alive(int(named["process"]))
    try:
        return time.time() - left.stat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False


def _is_alive(process: int) -> bool:
    """Whether another process of this number runs here; what this process itself holds is known by name."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)  # asks, and sends nothing (on POSIX)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
