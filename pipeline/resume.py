"""How far a run has come, on disk beside its result, so that one that was killed goes on where it was."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..atomic import atomic_file
from ..errors import InputError

logger = logging.getLogger(__name__)

SUFFIX = ".resume.safetensors"
NO_MATTER = {"resume", "compile"}  # settings that change nothing of the result, or no more than the machine does


@dataclass(frozen=True)
class Progress:
    """The file that holds a run's latents while it is sampled, and what the run was asked for.

    request: names of options → what they were, as `request_of` tells.
    """

    path: Path
    request: dict[str, Any]

    def start(self, resume: bool) -> tuple[int, Tensor] | None:
        """(parts done, latents) of a run that was cut off, None where there is none.

        What a part is, the sampler says: a denoising step of the whole video, or a finished clip. Raises InputError
        where the file is another request's, or no file of this kind.
        """
        if not resume or not self.path.exists():
            if resume:
                logger.info("nothing to resume: %s is not there, the run starts from the beginning", self.path)
            return None
        try:
            with safe_open(self.path, "pt") as file:
                told, latents = file.metadata() or {}, file.get_tensor("latents")
                asked, done = json.loads(told["request"]), int(told["done"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(
                f"{self.path} cannot be read ({' '.join(str(error).split())}): delete it, or leave out --resume"
            ) from None
        own = json.loads(json.dumps(self.request))
        changed = [name for name in sorted({*own, *asked}) if own.get(name) != asked.get(name)]
        if changed:
            was = ", ".join(f"{name}: {asked.get(name)} then, {own.get(name)} now" for name in changed)
            raise InputError(f"{self.path} is of another run ({was}): give the same, or leave out --resume")
        logger.info("%s: the run goes on behind part %d", self.path, done)
        return done, latents

    def save(self, done: int, latents: Tensor) -> None:
        """Keep the latents (F, C, h, w) after `done` parts, whole or as they were kept before."""
        told = {"request": json.dumps(self.request), "done": str(done)}
        with atomic_file(self.path) as temporary:
            save_file({"latents": latents.contiguous()}, temporary, told)

    def finish(self) -> None:
        """The result is written: nothing is left to resume."""
        self.path.unlink(missing_ok=True)


def progress_of(out: Path, *asked) -> Progress:
    """The progress of the run that writes `out`. asked: dataclasses of what it was asked for."""
    return Progress(out.with_name(out.name + SUFFIX), request_of(*asked))


def request_of(*asked) -> dict[str, Any]:
    """Options by name; files with their size and the time they were written, so that a changed one is another."""
    values = {field.name: getattr(part, field.name) for part in asked for field in fields(part)}
    return {name: _told(value) for name, value in values.items() if name not in NO_MATTER}


def _told(value) -> Any:
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    if not isinstance(value, Path):
        return value
    stat = value.stat() if value.is_file() else None
    return [value.name, *((stat.st_size, stat.st_mtime_ns) if stat else ())]
