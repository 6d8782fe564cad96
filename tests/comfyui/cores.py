"""The ComfyUI checkouts that are there to be tested with, each with a Python of its own. Standard library alone."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("comfyui_frontend_package", "torch", "aiohttp", "diffusers", "einops")  # core's requirements, and the pack's
ABSENT = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))
"""


@dataclass(frozen=True)
class Core:
    """One checkout."""

    folder: Path

    @functools.cached_property
    def version(self) -> str:
        """As `comfyui_version.py` has it, 0.33.0; the folder's name where there is no such file."""
        file = self.folder / "comfyui_version.py"
        found = re.search(r'__version__ = "(.+)"', file.read_text(encoding="utf-8")) if file.is_file() else None
        return found[1] if found else self.folder.name

    @functools.cached_property
    def own_python(self) -> Path | None:
        """Of the checkout's `.venv` or `venv`; None where it has neither."""
        places = (self.folder / name / "bin" / "python" for name in (".venv", "venv"))
        return next((place for place in places if place.is_file()), None)

    @property
    def has_dynamic_vram(self) -> bool:
        """Whether this ComfyUI knows it, by default on with NVIDIA; on a CPU the tests switch it on."""
        return (self.folder / "comfy" / "memory_management.py").is_file()

    @property
    def python(self) -> Path:
        """Its own, else this one."""
        return self.own_python or Path(sys.executable)

    @functools.cached_property
    def missing(self) -> str | None:
        """Why it cannot be started; None when it can."""
        command = [str(self.python), "-c", ABSENT, *NEEDED]
        absent = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
        if not absent:
            return None
        return f"ComfyUI {self.version} at {self.folder}: {', '.join(absent)} not installed, run `make comfyui`"


def cores() -> list[Core]:
    """Return the checkouts of COMFYUI_DIR, several as in PATH, else `~/ComfyUI` and `~/ComfyUI-*`, oldest first."""
    named, home = os.environ.get("COMFYUI_DIR"), Path.home()
    folders = named.split(os.pathsep) if named else [home / "ComfyUI", *sorted(home.glob("ComfyUI-*"))]
    places = dict.fromkeys(Path(folder).expanduser().resolve() for folder in folders if folder)
    found = [Core(folder) for folder in places if (folder / "main.py").is_file()]
    return sorted(found, key=lambda core: [int(part) for part in re.findall(r"\d+", core.version)])


def nothing_found() -> str:
    """What to do where there is none."""
    where = os.environ.get("COMFYUI_DIR") or "~/ComfyUI or ~/ComfyUI-*"
    return f"no ComfyUI checkout at {where}: `make comfyui` says how to get one, or set COMFYUI_DIR"
