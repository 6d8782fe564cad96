"""The example workflows in ComfyUI's own frontend: UI and API form are the same graph, no node is missing, the note can
be read, and the Run button makes a video.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from . import browser
from .browser import Frontend, frontend, plain
from .server import PACK, ROOT, ComfyServer

WORKFLOWS = ROOT / "workflows"
NAMES = sorted(path.stem for path in (WORKFLOWS / "api").glob("*.json"))
WHOLE = ("first-animation", "masks-only")  # the others are shortened in the page, as a user would
SHORT = {"frames": 9, "steps": 1}
SHORTEN = """values => {
    for (const node of inhabitApp.graph.nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name in values) widget.value = values[widget.name];
}"""
LISTEN = """() => {
    window.inhabitEnded = null;
    for (const name of ["execution_success", "execution_error", "execution_interrupted"])
        inhabitApp.api.addEventListener(name, event => { window.inhabitEnded = [name, event.detail.prompt_id]; });
}"""
SHOWN = """names => {
    const videos = [...document.querySelectorAll("video")].filter(video => video.videoWidth > 0);
    return names.every(name => videos.some(video => video.currentSrc.includes(name)));
}"""


@pytest.fixture(scope="module")
def page(comfyui: ComfyServer) -> Iterator[Frontend]:
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with frontend(comfyui) as opened:
        yield opened


def test_they_lie_where_comfyui_looks(comfyui: ComfyServer):
    assert sorted(comfyui.get("/workflow_templates")[PACK]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_ui_form_means_the_api_form(page: Frontend, name: str):
    workflow = json.loads((WORKFLOWS / f"{name}.json").read_text())
    assert page.missing_nodes(workflow) == []
    page.load_ui(workflow, name)
    assert plain(page.prompt()["output"]) == plain(json.loads((WORKFLOWS / "api" / f"{name}.json").read_text()))


@pytest.mark.parametrize("name", NAMES)
def test_the_note_is_the_leftmost_and_shown(page: Frontend, name: str):
    ui = json.loads((WORKFLOWS / f"{name}.json").read_text())
    [note] = [node for node in ui["nodes"] if node["type"] == "MarkdownNote"]
    assert note["pos"][0] == min(node["pos"][0] for node in ui["nodes"])
    assert note["widgets_values"] == [(WORKFLOWS / "notes" / f"{name}.md").read_text().strip()]
    page.load_ui(ui, name)
    heading = note["widgets_values"][0].splitlines()[0].lstrip("# ")
    page.page.locator(".comfy-markdown h2").get_by_text(heading, exact=True).wait_for(state="attached")


@pytest.mark.parametrize("name", NAMES)
def test_the_run_button_makes_the_videos(page: Frontend, comfyui: ComfyServer, name: str):
    page.load_ui(json.loads((WORKFLOWS / f"{name}.json").read_text()), name)
    if name not in WHOLE:
        page.page.evaluate(SHORTEN, SHORT)
    page.page.evaluate(LISTEN)
    page.page.get_by_test_id("queue-button").get_by_role("button").first.click()
    page.page.wait_for_function("() => window.inhabitEnded")
    ended, number = page.page.evaluate("() => window.inhabitEnded")
    assert ended == "execution_success", comfyui.log_tail()
    made = comfyui.files(comfyui.get(f"/history/{number}")[number])
    assert made and all(path.stat().st_size > 1000 for path in made)
    page.page.wait_for_function(SHOWN, arg=[path.name for path in made])
