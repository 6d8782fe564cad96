"""The example workflows in ComfyUI's own frontend: UI and API form are the same graph, and no node is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from . import browser
from .browser import Frontend, frontend, plain
from .server import PACK, ROOT, ComfyServer

NAMES = sorted(path.stem for path in (ROOT / "workflows" / "api").glob("*.json"))


@pytest.fixture(scope="module")
def page(comfyui: ComfyServer) -> Iterator[Frontend]:
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with frontend(comfyui) as opened:
        yield opened


def test_they_lie_where_comfyui_looks(comfyui: ComfyServer):
    assert {"first-animation", "ksampler"} <= set(NAMES)
    assert sorted(comfyui.get("/workflow_templates")[PACK]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_ui_form_means_the_api_form(page: Frontend, name: str):
    workflow = json.loads((ROOT / "workflows" / f"{name}.json").read_text())
    assert page.missing_nodes(workflow) == []
    page.load_ui(workflow, name)
    assert plain(page.prompt()["output"]) == plain(
        json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text())
    )
