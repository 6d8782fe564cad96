"""Runs in a process of its own, with ComfyUI on the path: imports once what all scripts of this folder import, and runs
each in a fork of itself. Nothing is computed here, so that a fork finds a fresh torch.

Reads lines of JSON, {"script", "arguments", "output", "errors"}, and answers each with the script's exit code.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback

import primitives  # noqa: F401  ComfyUI, torch and the pack


def run(script: str, arguments: list[str], output: str, errors: str) -> int:
    child = os.fork()
    if child == 0:
        os._exit(_in_child(script, arguments, output, errors))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_child(script: str, arguments: list[str], output: str, errors: str) -> int:
    for descriptor, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
        return 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    for line in sys.stdin:
        sys.__stdout__.write(f"{run(**json.loads(line))}\n")
        sys.__stdout__.flush()
