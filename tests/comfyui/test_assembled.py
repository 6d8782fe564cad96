"""Models put together from the files that people have: the same as `inhabit convert` makes, and they run."""

from __future__ import annotations

import json

import pytest
from inhabit.media import read_video

from .cores import Core
from .parts import write_parts
from .scripts import run_script
from .server import ROOT, ComfyServer, failure

SMALL = {"width": 96, "height": 96, "frames": 7, "length": 5, "overlap": 2, "steps": 2, "cfg": 2.0}


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    models = tmp_path_factory.mktemp("assembled") / "models"
    write_parts(models)
    return run_script(core, "assembled.py", models)


def test_the_same_as_a_converted_file(report: dict):
    assert report["convert"] and all(report["convert"].values()), report["convert"]


def test_the_vae_is_the_checkpoints(report: dict):
    assert report["vae"] == 0
    assert "without-vae.safetensors carries no VAE: use Load VAE" in report["no vae"]


def test_core_saves_what_shares_memory(report: dict):
    assert report["saved by core"]


def test_an_unusable_file_is_one_clear_line(report: dict):
    for expected, said in report["refusals"].items():
        assert expected in said and "\n" not in said, said


def test_a_replaced_file_is_loaded_again(report: dict):
    before, after = report["fingerprints"]
    assert before != after


def test_pickles_are_not_listed(report: dict):
    assert "sd.safetensors" in report["listed"] and "pickle.ckpt" not in report["listed"]


def test_a_lora_reaches_every_layer_of_stable_diffusion(report: dict):
    assert report["lora"] == {"layers": 282, "patched": 282, "missed": []}


@pytest.fixture(scope="module")
def with_parts(comfyui: ComfyServer) -> ComfyServer:
    write_parts(comfyui.base / "models")
    return comfyui


@pytest.mark.parametrize(
    ("name", "motion_module", "inhabit"),
    [
        ("ksampler", "none", "none"),
        ("first-animation", "v2.safetensors", "none"),
        ("first-animation", "none", "trained.safetensors"),
        ("ksampler", "v2.safetensors", "trained.safetensors"),
        ("ksampler", "none", "version-1.safetensors"),
        ("first-animation", "v2.safetensors", "version-1.safetensors"),
    ],
)
def test_a_workflow_runs_with_an_assembled_model(with_parts: ComfyServer, name: str, motion_module: str, inhabit: str):
    prompt = small(name)
    files = {"checkpoint": "sd.safetensors", "motion_module": motion_module, "inhabit": inhabit}
    prompt["1"] = {"class_type": "InhabitAssembleModel", "inputs": files}
    check_video(with_parts, prompt)


@pytest.mark.parametrize("name", ["first-animation", "ksampler"])
def test_a_workflow_runs_with_converted_weights_of_animate_anyone(with_parts: ComfyServer, name: str):
    prompt = small(name)
    prompt["1"]["inputs"]["checkpoint"] = "version-1.safetensors"
    prompt["vae"] = {"class_type": "VAELoader", "inputs": {"vae_name": "tiny.safetensors"}}
    for node in prompt.values():
        node["inputs"] |= {key: ["vae", 0] for key, value in node["inputs"].items() if value == ["1", 1]}
    check_video(with_parts, prompt)
    log = with_parts.log.read_text(errors="replace")
    assert "model animate-anyone has no object guider: the objects are not used" in log
    assert "model animate-anyone reads no depth: it is not used" in log


def small(name: str) -> dict:
    prompt = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text())
    for node in prompt.values():
        node["inputs"] |= {key: value for key, value in SMALL.items() if key in node["inputs"]}
    return prompt


def check_video(server: ComfyServer, prompt: dict) -> None:
    history = server.run(prompt)
    assert failure(history) is None, server.log_tail()
    [video] = [path for path in server.files(history) if path.suffix == ".mp4"]
    assert read_video(video).frames.shape == (7, 96, 96, 3)
