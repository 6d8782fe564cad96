"""Dynamic VRAM, on by default with NVIDIA since ComfyUI 0.30: all of ours loads and draws the same, to the last bit.

The server that all tests share runs with it where a ComfyUI has it.
"""

from __future__ import annotations

import pytest

from .cores import Core
from .lora_files import MADE, write_loras
from .parts import write_parts
from .scripts import run_script
from .server import SWITCHED_ON, ComfyServer
from .tiny import tiny_checkpoint


@pytest.fixture
def dynamic(core: Core) -> Core:
    if not core.has_dynamic_vram:
        pytest.skip(f"ComfyUI {core.version} has no dynamic VRAM")
    return core


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    if not core.has_dynamic_vram:
        return {}
    folder = tmp_path_factory.mktemp("dynamic")
    write_parts(folder / "models")
    checkpoint = folder / "models" / "inhabit" / "tiny.safetensors"
    tiny_checkpoint(checkpoint)
    write_loras(checkpoint, folder / "loras")
    return run_script(core, "dynamic_vram.py", folder / "models", folder / "loras" / MADE)


def test_all_of_ours_loads_and_draws_the_same(dynamic: Core, report: dict):
    assert len(report["gaps"]) == 11 and set(report["gaps"].values()) == {0}, report["gaps"]
    assert min(report["spread"].values()) > 1e-3 and report["the LoRA changes"] > 0.1


def test_the_switch_switches(dynamic: Core, report: dict):
    assert report["layers wait for their weights"] == [False, True]


def test_the_patcher_is_a_plain_one(dynamic: Core, report: dict):
    assert report["plain patcher"], "core's dynamic one would look for weights that its own layers load"


def test_the_server_of_all_tests_runs_with_it(dynamic: Core, comfyui: ComfyServer):
    assert SWITCHED_ON in comfyui.log.read_text(errors="replace")
