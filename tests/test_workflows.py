"""The example workflows and blueprints as files; what ComfyUI makes of them is tested in tests/comfyui."""

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .comfyui.titles import TITLES

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS, BLUEPRINTS = ROOT / "workflows", ROOT / "subgraphs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALL = [*(WORKFLOWS / f"{title}.json" for title in TITLES.values()), *sorted(BLUEPRINTS.glob("*.json"))]
SELF_CHANGING = {"randomize", "increment", "decrement"}


def graphs(path: Path) -> list[dict]:
    """Return a UI-format workflow and its subgraphs: what holds nodes."""
    workflow = json.loads(path.read_text())
    return [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]


def nodes(path: Path) -> list[dict]:
    return [node for graph in graphs(path) for node in graph["nodes"]]


def each_file(files: list[Path]):
    return pytest.mark.parametrize("path", files, ids=lambda path: path.stem)


def test_every_form_is_there_and_none_is_left_over():
    assert sorted(path.stem for path in (WORKFLOWS / "api").iterdir()) == sorted(TITLES)
    assert sorted(path.stem for path in (WORKFLOWS / "notes").iterdir()) == sorted(TITLES)
    for kind in ("json", "jpg"):
        assert sorted(path.stem for path in WORKFLOWS.glob(f"*.{kind}")) == sorted(TITLES.values())
    assert [path.stem for path in BLUEPRINTS.iterdir()] == ["Animate a character in a video"]


def test_titles_are_numbered_from_one_without_a_gap_and_readable():
    """What the template browser shows; a file's name must be one on every system, and in an address."""
    assert [title[:3] for title in TITLES.values()] == [f"{number:02} " for number in range(1, len(TITLES) + 1)]
    for title in TITLES.values():
        assert title[3].isupper() and title[3:].replace(" ", "").replace(",", "").isalnum()


@pytest.mark.parametrize("title", TITLES.values())
def test_a_thumbnail_lies_beside_it(title: str):
    with Image.open(WORKFLOWS / f"{title}.jpg") as picture:
        assert picture.format == "JPEG" and picture.size == (512, 512)


def test_no_thumbnail_looks_like_another():
    """In shapes that can still be told apart at 32 pixels a side."""
    small = {}
    for title in TITLES.values():
        with Image.open(WORKFLOWS / f"{title}.jpg") as picture:
            small[title] = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BOX), float)
    alike = [
        (one, other)
        for one in small
        for other in small
        if one < other and np.abs(small[one] - small[other]).mean() < 20
    ]
    assert alike == []


@pytest.mark.parametrize("name", TITLES)
def test_its_note_says_what_to_change_and_what_to_expect(name: str):
    text = (WORKFLOWS / "notes" / f"{name}.md").read_text()
    assert text.startswith("## ") and "**Expect**" in text
    assert "**Change first**" in text or "\n1. " in text


@each_file(ALL)
def test_nothing_in_it_changes_by_itself(path: Path):
    assert not SELF_CHANGING & {str(value) for node in nodes(path) for value in node.get("widgets_values", [])}


@each_file(ALL)
def test_nothing_in_it_asks_for_a_file(path: Path):
    """All input is made by nodes, since a fresh ComfyUI has no files to load."""
    assert not [node["type"] for node in nodes(path) if node["type"].startswith(("LoadImage", "LoadVideo"))]


@each_file(ALL)
def test_every_node_says_whose_it_is(path: Path):
    """Where the pack is missing, the Manager can offer it."""
    packed = {graph["id"] for graph in graphs(path)[1:]}
    told = {}
    for node in nodes(path):
        if node["type"] not in packed | {"MarkdownNote"}:
            told[node["type"]] = (node["properties"].get("cnr_id"), node["properties"].get("ver"))
    for kind, (pack, version) in told.items():
        ours = kind.startswith("Inhabit")
        assert pack == (PROJECT["name"] if ours else "comfy-core"), kind
        assert version == PROJECT["version"] if ours else version, kind
    assert any(kind.startswith("Inhabit") for kind in told)


@each_file(ALL)
def test_nodes_do_not_lie_on_each_other(path: Path):
    """With their title bars (30 pixels), and what Nodes 2.0 adds below: badges and wider rows (46 pixels)."""
    for graph in graphs(path):
        boxes = [(*node["pos"], *node["size"]) for node in graph["nodes"]]
        for number, (x, y, width, height) in enumerate(boxes):
            for left, top, wide, high in boxes[:number]:
                apart = y - 30 >= top + high + 46 or top - 30 >= y + height + 46
                assert apart or x >= left + wide or left >= x + width


@each_file(ALL)
def test_a_sampler_has_room_for_its_animated_preview(path: Path):
    """300 pixels below it, inside its group."""
    for graph in graphs(path):
        for node in graph["nodes"]:
            if node["type"] not in ("InhabitWindowedSampler", "KSampler", "SamplerCustomAdvanced"):
                continue
            (x, y), (width, height) = node["pos"], node["size"]
            around = [group["bounding"] for group in graph["groups"] if inside(x, y, group["bounding"])]
            assert len(around) == 1 and y + height + 300 <= around[0][1] + around[0][3]
            below = [
                other["pos"] for other in graph["nodes"] if inside(*other["pos"], (x - 1, y + 1, width, height + 300))
            ]
            assert below == []


def inside(x: float, y: float, box) -> bool:
    return box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]


@each_file(ALL)
def test_links_lead_to_nodes(path: Path):
    """Of a blueprint, whose form is made of a workflow's, too."""
    workflow, *packed = graphs(path)
    numbers = {node["id"] for node in workflow["nodes"]}
    assert all({link[1], link[3]} <= numbers for link in workflow["links"])
    for graph in packed:
        numbers = {node["id"] for node in graph["nodes"]} | {-10, -20}
        assert all({link["origin_id"], link["target_id"]} <= numbers for link in graph["links"])
        assert [node for node in workflow["nodes"] if node["type"] == graph["id"]]


def test_blueprint_and_workflow_hold_the_same_nodes_under_their_own_names():
    """A workflow may hold both."""
    name = "animate-in-one-node"
    (_, of_workflow), (_, of_library) = (
        graphs(WORKFLOWS / f"{TITLES[name]}.json"),
        graphs(BLUEPRINTS / "Animate a character in a video.json"),
    )
    assert of_workflow["id"] != of_library["id"]
    digests = [hashlib.sha256(json.dumps(graph["nodes"]).encode()).digest() for graph in (of_workflow, of_library)]
    assert digests[0] == digests[1]
    sockets = [(socket.get("label") or socket["name"], socket["type"]) for socket in of_library["inputs"][:4]]
    wanted = [("video", "VIDEO"), ("character", "IMAGE"), ("pose", "POSE_KEYPOINT"), ("mask", "MASK")]
    assert sockets == wanted and [socket["type"] for socket in of_library["outputs"]] == ["VIDEO"]
