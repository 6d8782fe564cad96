"""One training a folder: a lock that its process holds, and that ends with it however it ends."""

from __future__ import annotations

import errno
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError

logger = logging.getLogger(__name__)

LOCK = ".training.lock"  # stays in the folder: to take it away would let a third process in between
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}  # what such a file system answers


@contextmanager
def sole_training(folder: Path) -> Iterator[None]:
    """Hold the folder for this training. The operating system lets it go when the process ends, killed or not.

    Raises InputError, naming the process, where another training holds it. Where the file system has no locks (some
    network folders) that is said in a warning, and the training goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    lock = FileLock(path, timeout=0, fallback_to_soft=False)  # a soft lock would outlive a killed process
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder} is being trained into{_holder(path)}: wait for it, or give another --out") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logger.warning("%s is on a file system without locks: see to it that no other training writes there", folder)
        yield
        return
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    """Leave this process' number and machine in the file, for the other's message."""
    try:
        path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
    except OSError:  # Windows: a locked file is its holder's handle's alone
        logger.debug("%s cannot be signed", path)


def _holder(path: Path) -> str:
    try:
        return f" by {path.read_text(encoding='utf-8')}"
    except OSError:
        return " by another process"
