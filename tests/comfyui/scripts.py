"""Runs the scripts of this folder with a checkout's Python and code, and reads what they print."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path

from .cores import Core

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900


def run_script(core: Core, name: str, *arguments: object) -> dict:
    """Run a script of this folder and return the JSON of its last line.

    In a process of its own, since ComfyUI's top-level modules are named `nodes`, `utils`, `app`: a fork of one that has
    imported ComfyUI, torch and the pack, which takes longer than most scripts. Raises AssertionError with what it wrote
    to standard error where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {"output": f"{folder}/output", "errors": f"{folder}/errors"}
        script = str(Path(__file__).with_name(name))
        code = _host(core).run({"script": script, "arguments": [str(each) for each in arguments], **files})
        assert code == 0, Path(files["errors"]).read_text(errors="replace")
        return json.loads(Path(files["output"]).read_text().splitlines()[-1])


def run_code(core: Core, *command: object, environment: dict[str, str] | None = None) -> dict:
    """The same with arguments of Python's own, as `-c CODE`, in a Python started for it."""
    with _beside(core, environment) as variables:
        words = [str(core.python), *map(str, command)]
        done = subprocess.run(words, cwd=core.folder, env=variables, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def without_this_python(variables) -> dict[str, str]:
    """The environment without what would put packages of the tests' own Python before the checkout's."""
    return {name: value for name, value in variables.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


class _Host:
    """A process of `script_host.py`."""

    def __init__(self, core: Core) -> None:
        with contextlib.ExitStack() as opened:
            variables = opened.enter_context(_beside(core))
            command = [str(core.python), str(Path(__file__).with_name("script_host.py"))]
            self._errors = opened.enter_context(tempfile.TemporaryFile())
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors, "text": True}
            self._process = subprocess.Popen(command, cwd=core.folder, env=variables, **pipes)
            self._opened = opened.pop_all()

    def run(self, what: dict) -> int:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        answer = self._process.stdout.readline() if ready else ""
        if not answer.strip():
            self._errors.seek(0)
            raise AssertionError(f"{what['script']} gave no answer\n{self._errors.read().decode(errors='replace')}")
        return int(answer)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._opened.close()


@functools.cache
def _host(core: Core) -> _Host:
    host = _Host(core)
    atexit.register(host.stop)
    return host


@contextlib.contextmanager
def _beside(core: Core, environment: dict[str, str] | None = None):
    """The environment of a checkout's Python that finds ComfyUI's code, and this pack as `inhabit`."""
    environment = environment or {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inhabit").symlink_to(ROOT, target_is_directory=True)
        path = [environment.get("PYTHONPATH"), str(core.folder), folder]
        yield without_this_python(os.environ) | environment | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
