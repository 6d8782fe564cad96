"""The example workflows in ComfyUI's own frontend, drawn in both ways: they open clean, UI and API form are the same
graph, the note can be read, nothing lies on anything, and the Run button makes a video.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from inhabit.media import read_video

from . import browser
from .browser import LOOKS, NODES_2, Frontend, differences, frontend
from .cores import Core
from .server import PACK, ROOT, ComfyServer
from .subgraphs import BLUEPRINT, PACKED, unpacked
from .titles import TITLES

WORKFLOWS = ROOT / "workflows"
SHORT = {"frames": 5, "steps": 2}
PRESSED = {"first-animation": "Inhabit Windowed Sampler", "animate-in-one-node": BLUEPRINT}  # and where one looks;
# all of them run through /prompt in other tests
PREVIEWED = """title => {
    const shows = widget => widget.name === "inhabit_preview" && widget.element.offsetWidth > 0;
    const nodes = inhabitApp.graph.nodes.filter(node => node.widgets?.some(shows));
    return nodes.length === 1 && nodes[0].title === title;
}"""
SHOWN = """names => {
    const videos = [...document.querySelectorAll("video")].filter(video => video.videoWidth > 0);
    return names.every(name => videos.some(video => video.currentSrc.includes(name)));
}"""
SEARCHES = [
    "pose transfer",
    "motion transfer",
    "replace character",
    "character swap",
    "wan animate",
    "video to video",
    "retarget",
    "mocap",
    "animate anyone",
    "dance",
]
CLEAR_VIEW = """() => {  // the blueprint's name is to be seen in the library alone, and free canvas beside it
    const { graph, canvas } = inhabitApp;
    graph.nodes.filter(node => node.type === "MarkdownNote").forEach(node => graph.remove(node));
    graph.nodes.find(node => node.subgraph).title = "old";
    canvas.ds.scale = 1;
    canvas.ds.offset = [5000, 5000];
    canvas.setDirty(true, true);
}"""
REPLACE = """() => {  // the packed node by the one from the library
    const { graph } = inhabitApp, packed = graph.nodes.filter(node => node.subgraph);
    const old = packed.find(node => node.title === "old"), placed = packed.find(node => node !== old);
    const only = type => graph.nodes.find(node => node.type === type), scene = only("InhabitSampleScene");
    const wire = (from, output, input) =>
        from.connect(from.findOutputSlot(output), placed, placed.findInputSlot(input));
    wire(only("CreateVideo"), "VIDEO", "video");
    wire(scene, "reference", "image");
    wire(scene, "pose", "pose");
    wire(scene, "character", "mask");
    placed.connect(0, only("SaveVideo"), 0);
    graph.remove(old);
    return graph.nodes.filter(node => node.subgraph).length;
}"""


@pytest.fixture(scope="module", params=LOOKS)
def page(comfyui: ComfyServer, request: pytest.FixtureRequest) -> Iterator[Frontend]:
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with frontend(comfyui, request.param) as opened:
        if request.param == NODES_2 and not opened.has_nodes_2():
            pytest.skip(f"the frontend of ComfyUI {comfyui.core.version} has no Nodes 2.0")
        yield opened


@pytest.fixture(scope="module")
def info(comfyui: ComfyServer) -> dict:
    return comfyui.get("/object_info")


def ui_form(name: str) -> dict:
    return json.loads((WORKFLOWS / f"{TITLES[name]}.json").read_text())


def api_form(name: str) -> dict:
    return json.loads((WORKFLOWS / "api" / f"{name}.json").read_text())


def test_they_lie_where_comfyui_looks(comfyui: ComfyServer):
    assert sorted(comfyui.get("/workflow_templates")[PACK]) == sorted(TITLES.values())
    for title in TITLES.values():
        place = f"/api/workflow_templates/{PACK}/{quote(title)}"
        assert comfyui.get(f"{place}.json")["nodes"]
        with urllib.request.urlopen(f"{comfyui.url}{place}.jpg", timeout=60) as picture:
            assert picture.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("name", TITLES)
def test_no_node_of_it_is_missing_or_deprecated(info: dict, name: str):
    types = {node["class_type"] for node in api_form(name).values()}
    assert types <= set(info) and [kind for kind in types if info[kind].get("deprecated")] == []


@pytest.mark.parametrize("words", SEARCHES)
def test_people_find_us_by_what_they_call_it(info: dict, words: str):
    """What the frontend's search reads: the names, and aliases where this ComfyUI knows them."""
    ours = [node for name, node in info.items() if name.startswith("Inhabit")]
    if not any("search_aliases" in node for node in ours):
        pytest.skip("this ComfyUI has no search aliases")
    assert [node["name"] for node in ours if words in node["search_aliases"]]


def test_rare_inputs_are_folded_away(core: Core, info: dict):
    """In the nodes whose many settings most people never touch, where this ComfyUI can."""
    if core.version.startswith("0.3."):
        pytest.skip("the node interface of ComfyUI 0.3 has no advanced inputs")

    def folded(name: str) -> set[str]:
        groups = info[name]["input"].values()
        return {key for group in groups for key, (_, options) in group.items() if options.get("advanced")}

    assert folded("InhabitWindowedSampler") == {"sampler", "scheduler"}
    assert folded("InhabitEnvironment") == {"fill", "mode"}
    assert {"blocks_high", "blocks_wide", "stable_frames"} <= folded("InhabitShapeAgnosticMask")


@pytest.mark.parametrize("name", TITLES)
def test_it_opens_clean(page: Frontend, info: dict, name: str):
    workflow = ui_form(name)
    assert page.missing_nodes(workflow) == []
    page.load_ui(workflow, TITLES[name])
    heading = (WORKFLOWS / "notes" / f"{name}.md").read_text().splitlines()[0].lstrip("# ")
    page.look_at("Read this first")
    page.page.locator("h2", has_text=heading).first.wait_for(state="attached")
    assert page.complaints() == []
    assert differences(unpacked(page.prompt()["output"]), api_form(name), info) == []
    assert overlaps(page.boxes()) == []
    if name in PACKED:
        page.enter(PACKED[name]["name"])
        assert len(page.boxes()) > 10 and overlaps(page.boxes()) == []


def overlaps(boxes: list[tuple[str, float, float, float, float]]) -> list[tuple[str, str]]:
    """Return the titles of nodes that lie on each other."""
    found = []
    for number, (title, x, y, width, height) in enumerate(boxes):
        for other, left, top, wide, high in boxes[:number]:
            if x < left + wide and left < x + width and y < top + high and top < y + height:
                found.append((other, title))
    return found


@pytest.mark.parametrize("name", PRESSED)
def test_the_run_button_makes_the_video(page: Frontend, comfyui: ComfyServer, name: str):
    page.load_ui(ui_form(name), TITLES[name])
    page.set(**SHORT, seed=900_100 + LOOKS.index(page.look))  # not what ComfyUI has in its cache
    check_video(page, comfyui)
    page.look_at(PRESSED[name])
    page.page.wait_for_function(PREVIEWED, arg=PRESSED[name])


def test_the_blueprint_is_a_node_of_the_library(page: Frontend, comfyui: ComfyServer):
    """Searched for, placed by a click, wired, and run."""
    if not page.has_nodes_2():
        pytest.skip(f"the library of ComfyUI {comfyui.core.version} has no blueprints of packs")
    page.load_ui(ui_form("animate-in-one-node"), "blueprint")
    page.page.evaluate(CLEAR_VIEW)
    page.page.get_by_test_id("node-library-tab-button").click()
    page.page.get_by_placeholder("Search Nodes").fill("Animate a character")
    page.page.get_by_text(BLUEPRINT, exact=True).first.click()
    page.page.mouse.move(900, 400)
    page.page.mouse.click(900, 400)
    page.page.wait_for_function("() => inhabitApp.graph.nodes.filter(node => node.subgraph).length === 2")
    page.page.get_by_test_id("node-library-tab-button").click()
    assert page.page.evaluate(REPLACE) == 1
    page.set(**SHORT, seed=900_200 + LOOKS.index(page.look))
    check_video(page, comfyui)


def check_video(page: Frontend, comfyui: ComfyServer) -> None:
    """Press Run; the video is saved, has the length asked for, and is shown on its node."""
    ended, number = page.run()
    assert ended == "execution_success", comfyui.log_tail()
    [made] = comfyui.files(comfyui.get(f"/history/{number}")[number])
    video = read_video(made)
    assert video.frames.shape == (SHORT["frames"], 128, 128, 3) and video.fps == 24
    page.look_at("Save Video")
    page.page.wait_for_function(SHOWN, arg=[made.name])
