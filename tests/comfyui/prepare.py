"""Give every ComfyUI checkout without a virtual environment one, with all that its tests need, or say how to get one.

    python -m tests.comfyui.prepare

An environment that was there before is its owner's: what it lacks is said, and nothing is installed into it. Where
nothing is missing, nothing is downloaded. COMFYUI_FRONTEND names another frontend than a checkout asks for, by the
checkout's version: "0.33.0=1.58.1", several with blanks between them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .cores import Core, cores

ROOT = Path(__file__).resolve().parents[2]
FRONTEND, SOUND, PICTURES = "comfyui-frontend-package", "torchaudio", "opencv-python-headless"
FIRST = ("torch", "torchvision")  # together, so that their versions fit
OURS = ".made-for-inhabit-tests"  # in environments that were made here
# What pip would have to install. OpenCV counts as there whichever of its wheels brings cv2.
MISSING = """
import importlib.util, json, sys
from importlib.metadata import PackageNotFoundError, version
from pip._vendor.packaging.requirements import Requirement
def there(line):
    wanted = Requirement(line)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    if wanted.name.startswith("opencv"):
        return importlib.util.find_spec("cv2") is not None
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False
print(json.dumps([line for line in sys.argv[1:] if not there(line)]))
"""
STARTS = "import comfy.cli_args; comfy.cli_args.args.cpu = True; import comfy.sd"


def main() -> None:
    found = cores()
    for core in found:
        prepare(core)
    if not found:
        place = Path((os.environ.get("COMFYUI_DIR") or "~/ComfyUI").split(os.pathsep)[0])
        say(f"No ComfyUI at {place}. Get one with")
        say(f"    git clone https://github.com/comfyanonymous/ComfyUI {place}")
        say("(several beside each other as ~/ComfyUI-…, or COMFYUI_DIR=one:other), then run make comfyui again.")


def prepare(core: Core) -> None:
    """Make the environment where there is none, and install what is missing into one that was made here."""
    if core.own_python is None:
        folder = core.folder / ".venv"
        say(f"A virtual environment for ComfyUI {core.version} in {folder}")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        (folder / OURS).touch()
        core = Core(core.folder)
    if not (core.python.parent.parent / OURS).exists():
        lacking = missing(core, [*FIRST, *requirements(core)])
        state = f"lacks {', '.join(lacking)}: install that to test with it" if lacking else "has all that is needed"
        say(f"ComfyUI {core.version} at {core.folder}: its own environment is left alone, and {state}.")
        return
    for lines in (list(FIRST), requirements(core)):
        lacking = missing(core, lines)
        if lacking:
            say(f"ComfyUI {core.version}: {', '.join(lacking)}")
            pip_install(core, *lacking)
    sound(core)
    say(f"ComfyUI {core.version} at {core.folder} is ready for tests/comfyui.")


def requirements(core: Core) -> list[str]:
    """Return what the checkout asks for but torchaudio, with the frontend chosen, and what the pack asks for."""
    lines = _lines(core.folder / "requirements.txt") + _lines(ROOT / "requirements.txt") + [PICTURES]
    chosen = dict(pair.split("=") for pair in os.environ.get("COMFYUI_FRONTEND", "").split())
    if core.version in chosen:
        lines = [line for line in lines if not line.startswith(FRONTEND)]
        lines.append(f"{FRONTEND}=={chosen[core.version]}")
    return [line for line in lines if not line.startswith(SOUND)]


def missing(core: Core, lines: list[str]) -> list[str]:
    """Return those of the requirements that the checkout's environment does not meet."""
    command = [str(core.python), "-c", MISSING, *lines]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def sound(core: Core) -> None:
    """Install torchaudio where ComfyUI does not start without it: its newest release may refuse the newest torch."""
    goes_without = core.python.parent.parent / ".starts-without-torchaudio"
    if goes_without.exists() or not missing(core, [SOUND]):
        return
    if subprocess.run([str(core.python), "-c", STARTS], cwd=core.folder, capture_output=True).returncode == 0:
        goes_without.touch()
        return
    say(f"ComfyUI {core.version}: {SOUND}")
    pip_install(core, SOUND)


def pip_install(core: Core, *lines: str) -> None:
    command = [str(core.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lines]
    subprocess.run(command, check=True)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _lines(file: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


if __name__ == "__main__":
    main()
