"""Every checkout of ComfyUI that is there, one server each; tests that need one skip with a reason where none is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .cores import Core, cores, nothing_found
from .lora_files import write_loras
from .server import ComfyServer
from .tiny import tiny_checkpoint


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "core" in metafunc.fixturenames:
        metafunc.parametrize("core", _each(), indirect=True, scope="session")


def _each() -> list:
    """Return one parameter a checkout, named by its version."""
    found = cores()
    if not found:
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=nothing_found()))]
    names = [core.version for core in found]
    ids = [core.version if names.count(core.version) == 1 else f"{core.version} {core.folder.name}" for core in found]
    skips = [[pytest.mark.skip(reason=core.missing)] if core.missing else [] for core in found]
    return [pytest.param(core, id=name, marks=skip) for core, name, skip in zip(found, ids, skips, strict=True)]


@pytest.fixture(scope="session")
def core(request: pytest.FixtureRequest) -> Core:
    """The ComfyUI checkout that a test runs with: pytest runs all of one version, then all of the next."""
    return request.param


@pytest.fixture(scope="session")
def comfyui(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    base = tmp_path_factory.mktemp("comfyui") / "base"
    server = ComfyServer(base, core, dynamic_vram=core.has_dynamic_vram)
    yield server
    server.stop()


def tiny_with_loras(folder: Path) -> Path:
    """Write a tiny model and the LoRAs of it, in `loras`; return the folder."""
    tiny_checkpoint(folder / "tiny.safetensors")
    write_loras(folder / "tiny.safetensors", folder / "loras")
    return folder
