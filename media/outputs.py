"""What can be known of an output before hours of work go into it: it can be written, and is none of the inputs."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import InputError

LONGEST_NAME = 255  # bytes, where the file system does not tell


def check_output(
    out: Path, inputs: Mapping[str, str | Path | None] | None = None, option: str = "--out", folder: bool = False
) -> None:
    """Raise InputError, in one line, unless `out` can be made and no input is lost by it.

    inputs: what each is called ("--driving") → file or folder, None where it is not given. `out` must be none of them,
    whatever its path is written like (links, relative parts, other case where the system takes both), and not lie in
    one that is a folder. folder: `out` is a folder of files, new or not; else a file. Nothing is read or written.
    """
    _check_place(out, option)
    _check_kind(out, option, folder)
    for name, path in (inputs or {}).items():
        if path is None:
            continue
        if _is_same(out, Path(path)):
            raise InputError(f"{option} {out} is what {name} names, which would be lost: give another name")
        if Path(path).is_dir() and _is_within(out, Path(path)):
            raise InputError(f"{option} {out} lies in {path}, the folder that {name} names: give another place")


def check_folder(out: Path, names: Iterable[str], mark: str, option: str = "--out") -> None:
    """Raise InputError where files of such `names` in a folder would be replaced that are not this program's own.

    They are its own where the file `mark` lies beside them, which it always writes.
    """
    check_output(out, option=option, folder=True)
    theirs = [name for name in names if (out / name).exists()]
    if theirs and not (out / mark).exists():
        raise InputError(
            f"{option} {out} holds a {theirs[0]} that was not written by this command (there is no {mark}), and it "
            "would be lost: give another folder"
        )


def _check_kind(out: Path, option: str, folder: bool) -> None:
    if folder:
        if out.exists() and not out.is_dir():
            raise InputError(f"{option} {out} is a file: give the name of a folder")
        return
    if out.is_dir():
        raise InputError(f"{option} {out} is a folder: give the name of a file in it")
    if out.exists() and not stat.S_ISREG(out.stat().st_mode):
        raise InputError(f"{option} {out} is a device or a pipe, no file: give the name of a file")


def _check_place(out: Path, option: str) -> None:
    """The folder, or the nearest above that exists, can be written to, and all names to be made are short enough."""
    made = [out.absolute(), *out.absolute().parents]
    there = next(path for path in made[1:] if _exists(path))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{option} {out} cannot be written, {there} is no folder you can write to: give another name")
    longest = _longest_name(there)
    for path in made[: made.index(there)]:
        length = len(os.fsencode(path.name))
        if length > longest:
            raise InputError(
                f"{option} names {path.name[:20]}…{path.name[-12:]}, {length} bytes long, and {longest} is the most a "
                "name may have here: give a shorter one"
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for the question
        return False


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return LONGEST_NAME


def _is_same(out: Path, path: Path) -> bool:
    if out.exists() and path.exists():
        return out.samefile(path)
    return os.path.realpath(out) == os.path.realpath(path)


def _is_within(out: Path, folder: Path) -> bool:
    """Whether `out`, which may not exist yet, is to lie in `folder` or below it."""
    above = [path for path in Path(os.path.realpath(out)).parents if path.exists()]
    return any(path.samefile(folder) for path in above)
