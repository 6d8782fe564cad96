"""Output that is either whole or not there: write under a temporary name beside the goal, then rename."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder and with the same suffix; rename it to `path` on success.

    On any exception (Ctrl-C too) the temporary file goes and `path` stays as it was. Missing parent folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{os.getpid()}.part{path.suffix}"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success its files become those of `path`.

    A new `path` appears by one rename. In a `path` that exists, files of the same name are replaced and others kept.
    On any exception (Ctrl-C too) the temporary folder goes and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.part"
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed and had the same number
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            for made in sorted(temporary.iterdir()):
                os.replace(made, path / made.name)
        else:
            os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
