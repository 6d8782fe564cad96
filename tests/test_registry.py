"""What ComfyUI's registry reads of the pack, and the archive that it hands out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMFY = os.environ.get("COMFY_CLI") or shutil.which("comfy")
NO_COMFY = "no `comfy` command: install comfy-cli in an environment of its own, put it on the path or set COMFY_CLI"
LEFT_OUT = ("tests/", ".ci/", ".git", ".venv/", "Makefile")  # not needed where the pack is used


def test_the_fields_are_there():
    project, comfy = PROJECT["project"], PROJECT["tool"]["comfy"]
    assert (ROOT / project["license"]["file"]).is_file()
    assert project["urls"]["Repository"].startswith("https://")
    assert comfy["requires-comfyui"] == ">=0.3.64" and comfy["PublisherId"] and comfy["DisplayName"]
    kinds = [words.split(" :: ")[0] for words in project["classifiers"]]
    assert "Operating System" in kinds and "Environment" in kinds


def tracked() -> list[str]:
    """Return the repository's files, by git, skips where this is no repository."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    names = done.stdout.split("\0")[:-1] if done.returncode == 0 else []
    if not names:
        pytest.skip("this is no git repository, of whose files the archive is made")
    return [name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own with the same files, and one that nobody added."""
    if COMFY is None:
        pytest.skip(NO_COMFY)
    folder = tmp_path_factory.mktemp("registry") / "ComfyUI-Inhabit"
    for name in tracked():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)
    for words in (["init", "--quiet"], ["add", "--all", "--force"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "notes-of-mine.txt").write_text("not for others")
    return folder


def comfy(folder: Path, *words: str) -> str:
    """Run the registry's own command without its questions and without the network, and return what it says."""
    proxy = dict.fromkeys(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9")
    environment = {**os.environ, **proxy, "HOME": str(folder.parent), "PYTHONPATH": ""}
    command = [COMFY, "--skip-prompt", "--no-json", "node", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_the_registry_finds_nothing_to_say(checkout: Path):
    said = comfy(checkout, "validate")
    assert "passed" in said and "arning" not in said, said


def test_the_archive_holds_what_is_needed_and_nothing_else(checkout: Path, tmp_path: Path):
    comfy(checkout, "pack")
    with zipfile.ZipFile(checkout / "node.zip") as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "inhabit")
    wanted = {name for name in tracked() if not name.startswith(LEFT_OUT)}
    assert names - {".comfyignore"} == wanted - {".comfyignore"}
    rooms = {name.split("/")[0] for name in names}
    assert {"nodes", "web", "locales", "workflows", "subgraphs", "assets", "__init__.py", "requirements.txt"} <= rooms
    words = [sys.executable, "-c", "import inhabit.cli as cli; cli.main(['scene', '--out', 'scene', '--frames', '1'])"]
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True)
    assert (tmp_path / "scene" / "driving.mp4").is_file(), done.stderr.decode()
