"""Help pages and locale in step with the nodes, and every page opened in ComfyUI's own frontend."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from . import browser
from .browser import Frontend, frontend
from .cores import Core
from .generate_locales import LOCALE, node_defs, schemas
from .server import PACK, ROOT, ComfyServer

PAGES = ROOT / "web" / "docs"
NAMES = sorted(path.stem for path in PAGES.glob("*.md"))
FILES = {"checkpoint", "motion_module", "inhabit", "lora"}  # choices that differ from machine to machine
LONGEST_LIST = 8  # choices that a page names
ITEM = re.compile(r"- `(\w+)` \((.+?)\): .+")  # a list, since the help panel is too narrow for tables
OPEN_LIBRARY = """() => {  // older frontends show help in it
    const settings = document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s.get('setting');
    if ('Comfy.NodeLibrary.NewDesign' in settings.settingsById) return;
    inhabitApp.extensionManager.sidebarTab.toggleSidebarTab('node-library');
}"""
OPEN_HELP = """id => {  // in the node library, and in newer frontends in the panel beside the chosen node
    const stores = document.querySelector('#vue-app').__vue_app__.config.globalProperties.$pinia._s;
    if (stores.has('nodeHelp')) {
        stores.get('nodeHelp').openHelp(stores.get('nodeDef').nodeDefsByName[id]);
        return;
    }
    inhabitApp.graph.clear();
    const node = LiteGraph.createNode(id);
    inhabitApp.graph.add(node);
    inhabitApp.canvas.selectNode(node);
    stores.get('rightSidePanel').openPanel('info');
}"""
PICTURES_LOADED = """() => {
    const pictures = [...document.querySelectorAll('.node-help-content img')];
    return pictures.length > 0 && pictures.every(picture => picture.complete);
}"""
PICTURES = """() => [...document.querySelectorAll('.node-help-content img')]
    .map(picture => [picture.src, picture.naturalWidth])"""


@pytest.fixture(scope="module")
def info(comfyui: ComfyServer) -> dict:
    """What ComfyUI tells about the pack's nodes, id → its entry of `/object_info`."""
    return {name: node for name, node in comfyui.get("/object_info").items() if node["python_module"].endswith(PACK)}


@pytest.fixture(scope="module")
def shown(core: Core) -> dict:
    """Names and texts of the nodes as the frontend shows them."""
    return schemas(core)


@pytest.fixture(scope="module")
def page(comfyui: ComfyServer) -> Iterator[Frontend]:
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with frontend(comfyui) as opened:
        opened.page.evaluate(OPEN_LIBRARY)
        yield opened


def test_every_node_has_a_page(info: dict):
    assert sorted(info) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_told_as_they_are(info: dict, name: str):
    """Every input in order, with its type, range and default, and no other."""
    assert told(name, "Inputs") == inputs_of(info[name])


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_told_as_they_are(info: dict, shown: dict, name: str):
    assert told(name, "Outputs") == outputs_of(info[name], shown[name])


@pytest.mark.parametrize("name", NAMES)
def test_title_and_neighbours_are_display_names(shown: dict, name: str):
    text = page_of(name)
    titles = {node["display_name"] for node in shown.values()}
    assert text.startswith(f"# {shown[name]['display_name']}\n")
    assert set(re.findall(r"\*(Inhabit [^*]+)\*", text)) <= titles


def test_the_locale_is_in_step(core: Core):
    assert json.loads(LOCALE.read_text(encoding="utf-8")) == node_defs(core), "run tests.comfyui.generate_locales"


def test_comfyui_serves_the_locale(comfyui: ComfyServer):
    assert comfyui.get("/i18n")["en"]["nodeDefs"] == json.loads(LOCALE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_page_opens_in_the_frontend(page: Frontend, shown: dict, name: str):
    answers = {}
    page.page.on("response", lambda answer: answers.update({answer.url: answer.status}))
    page.page.evaluate(OPEN_HELP, name)
    title = page.page.locator(".node-help-content h1")
    title.get_by_text(shown[name]["display_name"], exact=True).wait_for()
    page.page.wait_for_function(PICTURES_LOADED)
    text = page.page.locator(".node-help-content").inner_text()
    assert all(value in text for value in shown[name]["inputs"])
    [(source, width)] = page.page.evaluate(PICTURES)
    assert source.endswith(f"/extensions/{PACK}/docs/img/{name}.jpg") and width > 0
    assert answers[source] == 200


def page_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def told(name: str, heading: str) -> list[tuple[str, str]]:
    """Return what the list below a heading says: name, and what its brackets hold."""
    part = page_of(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [ITEM.fullmatch(line) for line in part.strip().splitlines()]
    assert all(found), part
    return [(item[1], item[2]) for item in found]


def inputs_of(node: dict) -> list[tuple[str, str]]:
    items = []
    for group in ("required", "optional"):
        for name, (kind, *options) in node["input"].get(group, {}).items():
            options = options[0] if options else {}
            items.append((name, f"{kind}{range_of(name, kind, options)}; {default_of(options, group)}"))
    return items


def outputs_of(node: dict, shown: dict) -> list[tuple[str, str]]:
    kinds = [kind + " list" * many for kind, many in zip(node["output"], node["output_is_list"], strict=True)]
    return [(texts["name"], kind) for texts, kind in zip(shown["outputs"].values(), kinds, strict=True)]


def range_of(name: str, kind: str, options: dict) -> str:
    if kind in ("INT", "FLOAT"):
        step = options.get("step", 1)
        return f" {options['min']:g}…{options['max']}" + (f" in steps of {step:g}" if step != 1 else "")
    if kind == "COMBO" and name not in FILES and len(options["options"]) <= LONGEST_LIST:
        return ": " + ", ".join(options["options"])
    return ""


def default_of(options: dict, group: str) -> str:
    value = options.get("default")
    if value is None:
        return group
    if isinstance(value, bool):
        return "default " + ("on" if value else "off")
    return f"default {value}" if value != "" else "default empty"
