"""A ComfyUI whose Python lacks what the pack needs, as after an install that ran no line of the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cores import Core
from .scripts import run_code
from .server import PACK, ROOT, ComfyServer, failure
from .test_pack import CONTRACT

BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise {error}
sys.meta_path.insert(0, Missing())
"""
ABSENT = 'ModuleNotFoundError(f"No module named {name!r}", name=name)'
BROKEN = 'RuntimeError("Failed to import (look up to see its traceback):\\nno such symbol")'
LOAD = """
import asyncio, json, logging, sys
import comfy.cli_args
comfy.cli_args.args.cpu = True
import nodes
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.getMessage())
logging.getLogger().addHandler(handler)
asyncio.run(nodes.load_custom_node(sys.argv[1]))
found = {name: node for name, node in nodes.NODE_CLASS_MAPPINGS.items() if name.startswith("Inhabit")}
texts = {name: node.GET_NODE_INFO_V1()["description"] for name, node in found.items()}
print(json.dumps({"lines": lines, "nodes": texts}))
"""
SIZE = {"width": 64, "height": 64}
FRAMES = 2


def without(folder: Path, *names: str, error: str = ABSENT) -> dict[str, str]:
    """Return the environment of a Python that does not find these packages."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(BLOCK.format(names=names, error=error))
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def no_opencv(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    folder = tmp_path_factory.mktemp("without-opencv")
    server = ComfyServer(folder / "base", core, environment=without(folder / "blocked", "cv2"))
    yield server
    server.stop()


def test_without_opencv_every_node_is_there(no_opencv: ComfyServer):
    assert {name for name in no_opencv.get("/object_info") if name.startswith("Inhabit")} == set(CONTRACT)
    log = no_opencv.log.read_text(errors="replace")
    assert not re.search(rf"(IMPORT FAILED|Cannot import|Error while calling).*{PACK}", log) and "cv2" not in log, log


def test_a_node_that_needs_opencv_says_what_to_install(no_opencv: ComfyServer):
    prompt = {
        "1": node("InhabitSampleScene", kind="walk", seed=1, frames=FRAMES, width=96, height=96),
        "2": node("SaveImage", images=["1", 1], filename_prefix="scene"),
    }
    told = failure(no_opencv.run(prompt))
    assert "this needs OpenCV, which is not installed here: python -m pip install opencv-python-headless" in told
    assert "\n" not in told


def test_a_video_is_sampled_without_opencv(no_opencv: ComfyServer):
    conditions = {"positive": ["reference", 0], "negative": ["reference", 1]}
    driven = {"positive": ["motion", 0], "negative": ["motion", 1]}
    placed = {"positive": ["environment", 0], "negative": ["environment", 1]}
    how = {"seed": 1, "steps": 1, "cfg": 1.0, "sampler": "euler", "scheduler": "trailing", "length": FRAMES}
    prompt = {
        "model": node("InhabitModelLoader", checkpoint="inhabit-puppets.safetensors"),
        "character": node("EmptyImage", batch_size=1, color=0x804020, **SIZE),
        "video": node("EmptyImage", batch_size=FRAMES, color=0x208040, **SIZE),
        "mask": node("SolidMask", value=1.0, **SIZE),
        "reference": node("InhabitReference", vae=["model", 1], image=["character", 0], model=["model", 0]),
        "motion": node("InhabitMotion", skeleton=["video", 0], **conditions),
        "environment": node(
            "InhabitEnvironment", vae=["model", 1], driving=["video", 0], mask=["mask", 0],
            fill="blank", mode="model input", **driven,
        ),
        "sampled": node(
            "InhabitWindowedSampler", model=["model", 0], latent=["environment", 2],
            overlap=0, long_video="windows", **placed, **how,
        ),
        "decoded": node("VAEDecode", samples=["sampled", 0], vae=["model", 1]),
        "saved": node("SaveImage", images=["decoded", 0], filename_prefix="sampled"),
    }  # fmt: skip
    history = no_opencv.run(prompt)
    assert failure(history) is None, no_opencv.log_tail()
    assert len(no_opencv.files(history)) == FRAMES


def node(class_type: str, **inputs: object) -> dict:
    return {"class_type": class_type, "inputs": inputs}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ABSENT, "No module named 'diffusers'"),
        (BROKEN, "Failed to import (look up to see its traceback): no such symbol"),
    ],
    ids=["absent", "broken"],
)
def test_a_missing_package_is_named_in_the_log_and_by_a_node(core: Core, tmp_path: Path, error: str, said: str):
    pack = tmp_path / PACK
    pack.symlink_to(ROOT, target_is_directory=True)
    found = run_code(core, "-c", LOAD, pack, environment=without(tmp_path / "blocked", "diffusers", error=error))
    [line] = [line for line in found["lines"] if "nhabit" in line]
    assert line.startswith(f"Inhabit's nodes cannot be loaded: {said}. ") and "\n" not in line
    assert f'"{core.python}" -m pip install -r "{ROOT / "requirements.txt"}"' in line
    assert found["nodes"] == {"InhabitIncomplete": line}
