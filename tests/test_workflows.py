"""The example workflows as files; what ComfyUI makes of them is tested in tests/comfyui."""

import json
from pathlib import Path

import pytest
from PIL import Image

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
NAMES = sorted(path.stem for path in (WORKFLOWS / "api").glob("*.json"))


def test_there_are_some_and_each_has_both_forms():
    assert {"first-animation", "ksampler"} <= set(NAMES)
    assert sorted(path.stem for path in WORKFLOWS.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_thumbnail_lies_beside_it(name: str):
    with Image.open(WORKFLOWS / f"{name}.jpg") as picture:
        assert picture.format == "JPEG" and min(picture.size) >= 128


@pytest.mark.parametrize("name", NAMES)
def test_its_note_says_what_to_change_and_what_to_expect(name: str):
    text = (WORKFLOWS / "notes" / f"{name}.md").read_text()
    assert text.startswith("## ") and "**Expect**" in text
    assert "**Change first**" in text or "\n1. " in text


def test_no_note_is_left_over():
    assert sorted(path.stem for path in (WORKFLOWS / "notes").iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_changes_by_itself(name: str):
    """Seeds stay, and nodes do not lie on each other."""
    nodes = json.loads((WORKFLOWS / f"{name}.json").read_text())["nodes"]
    assert not {"randomize", "increment", "decrement"} & {str(v) for n in nodes for v in n.get("widgets_values", [])}
    boxes = [(*node["pos"], *node["size"]) for node in nodes]
    for number, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:number]:
            assert x >= left + wide or left >= x + width or y >= top + high or top >= y + height
