"""ComfyUI's own frontend in a headless Chromium."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from .server import ComfyServer

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = """() => {
    const app = window.app ?? window.comfyAPI?.app?.app;
    if (!app?.vueAppReady || !app.graph || !app.canvas) return false;
    if (!app.extensionManager?.workflow?.activeWorkflow) return false;
    window.inhabitApp = app;
    return Object.keys(LiteGraph.registered_node_types).length > 50;
}"""
LOAD_API = "async ([prompt, name]) => { await inhabitApp.loadApiJson(prompt, name); }"
LOAD_UI = "async ([workflow, name]) => { await inhabitApp.loadGraphData(workflow, true, true, name); }"
PROMPT = "async () => JSON.stringify(await inhabitApp.graphToPrompt())"
MISSING = """workflow => {
    const subgraphs = workflow.definitions?.subgraphs ?? [];
    const known = new Set([...Object.keys(LiteGraph.registered_node_types), ...subgraphs.map(graph => graph.id)]);
    const types = [workflow, ...subgraphs].flatMap(graph => graph.nodes.map(node => node.type));
    return types.filter(type => !known.has(type));
}"""
STORE = """const store = name =>
    document.querySelector("#vue-app").__vue_app__.config.globalProperties.$pinia._s.get(name);"""
HAS_NODES_2 = f"""() => {{ {STORE}  // a hidden trial in 1.27, under this name since
    return Boolean(store("setting").settingsById["Comfy.VueNodes.Enabled"]?.name?.includes("Nodes 2.0"));
}}"""
COMPLAINTS = f"""() => {{ {STORE}  // what newer frontends list as issues; and choices that are none, in all of them
    const told = [["missingMedia", "hasMissingMedia"], ["missingModel", "hasMissingModels"],
                  ["missingNodesError", "hasMissingNodes"]].filter(([name, key]) => store(name)?.[key]);
    const graphs = [inhabitApp.graph], wrong = [];
    for (const graph of graphs)
        for (const node of graph.nodes) {{
            if (node.subgraph) graphs.push(node.subgraph);
            for (const {{ name, type, value, options }} of node.widgets ?? [])
                if (type === "combo" && Array.isArray(options?.values) && !options.values.includes(value))
                    wrong.push([node.title, name, value]);
        }}
    return [...told.map(([name]) => name), ...wrong];
}}"""
FIT = """() => {  // the whole graph on the screen, below the bars
    const { canvas, graph } = inhabitApp, area = graph.nodes.map(node => node.boundingRect);
    const left = Math.min(...area.map(box => box[0])), top = Math.min(...area.map(box => box[1]));
    const right = Math.max(...area.map(box => box[0] + box[2])), bottom = Math.max(...area.map(box => box[1] + box[3]));
    const { width, height } = canvas.canvas.getBoundingClientRect();
    const scale = Math.min((width - 140) / (right - left), (height - 160) / (bottom - top), 1);
    canvas.ds.scale = scale;
    canvas.ds.offset = [90 / scale - left, 120 / scale - top];
    canvas.setDirty(true, true);
}"""
DRAWN = """() => inhabitApp.canvas.graph.nodes.every(node => document.querySelector(`[data-node-id="${node.id}"]`))"""
BOXES = """() => inhabitApp.canvas.graph.nodes.map(node => {
    const element = document.querySelector(`[data-node-id="${node.id}"]`), scale = inhabitApp.canvas.ds.scale;
    const { x, y, width, height } = element?.getBoundingClientRect() ?? {};
    return [node.title, ...element ? [x, y, width, height].map(side => side / scale) : node.boundingRect];
})"""
LOOK_AT = """title => {  // small widgets are not drawn
    inhabitApp.canvas.ds.scale = 1;
    inhabitApp.canvas.centerOnNode(inhabitApp.graph.nodes.find(node => node.title === title));
    inhabitApp.canvas.setDirty(true, true);
}"""
ENTER = """title => {
    const node = inhabitApp.graph.nodes.find(node => node.title === title);
    inhabitApp.canvas.openSubgraph(node.subgraph, node);
}"""
CLASSIC, NODES_2 = "classic", "Nodes 2.0"
LOOKS = (CLASSIC, NODES_2)
RUN_BUTTON = "button[data-testid='queue-button'], [data-testid='queue-button'] button"  # of newer and older frontends
LISTEN = """() => {
    window.inhabitEnded = null;
    for (const name of ["execution_success", "execution_error", "execution_interrupted"])
        inhabitApp.api.addEventListener(name, event => { window.inhabitEnded = [name, event.detail.prompt_id]; });
}"""
SET = """values => {
    const graphs = [inhabitApp.graph];
    for (const graph of graphs)
        for (const node of graph.nodes) {
            if (node.subgraph) graphs.push(node.subgraph);
            for (const widget of node.widgets ?? [])
                if (widget.name in values) widget.value = values[widget.name];
        }
}"""
SECONDS = 90


def chromium() -> str | None:
    """Return the path of a Chromium, from $CHROMIUM or the usual names; None when there is none."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def missing() -> str | None:
    """Say why no browser can be started here; None when one can."""
    if chromium() is None:
        return "no Chromium: install one (Debian: apt install chromium) or set CHROMIUM"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    return None


class Frontend:
    """The open page."""

    def __init__(self, page, look: str) -> None:
        self.page, self.look = page, look

    def load_api(self, prompt: dict, name: str) -> None:
        self.page.evaluate(LOAD_API, [prompt, name])

    def load_ui(self, workflow: dict, name: str) -> None:
        self.page.evaluate(LOAD_UI, [workflow, name])

    def prompt(self) -> dict:
        """Return the open graph as {"output": API form, "workflow": UI form}."""
        return json.loads(self.page.evaluate(PROMPT))

    def missing_nodes(self, workflow: dict) -> list[str]:
        return self.page.evaluate(MISSING, workflow)

    def complaints(self) -> list:
        """Return what the frontend misses in the open workflow: files, models, nodes, and choices that do not exist."""
        return self.page.evaluate(COMPLAINTS)

    def has_nodes_2(self) -> bool:
        return self.page.evaluate(HAS_NODES_2)

    def enter(self, title: str) -> None:
        """Open the subgraph of the node of this title."""
        self.page.evaluate(ENTER, title)

    def look_at(self, title: str) -> None:
        """Show the node of this title in full size."""
        self.page.evaluate(LOOK_AT, title)

    def boxes(self) -> list[tuple[str, float, float, float, float]]:
        """Return title, x, y, width and height of every node of the open graph with its title bar, as it is drawn."""
        self.page.evaluate(FIT)
        if self.look == NODES_2:
            self.page.wait_for_function(DRAWN)
        self.page.wait_for_timeout(300)  # heights follow the contents
        return [tuple(box) for box in self.page.evaluate(BOXES)]

    def set(self, **values: object) -> None:
        """Give all widgets of these names a value, as a user would."""
        self.page.evaluate(SET, values)

    def run(self) -> tuple[str, str]:
        """Press Run, wait, and return how it ended and the number of the prompt."""
        self.page.evaluate(LISTEN)
        self.page.locator(RUN_BUTTON).first.click()
        self.page.wait_for_function("() => window.inhabitEnded")
        return tuple(self.page.evaluate("() => window.inhabitEnded"))


@contextmanager
def frontend(server: ComfyServer, look: str = CLASSIC) -> Iterator[Frontend]:
    """Open the server's page, with every other host blocked, and wait until its graph can be used.

    look: CLASSIC, or NODES_2 where the frontend has it (`has_nodes_2`).
    """
    from playwright.sync_api import sync_playwright

    server.post("/settings", {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": look == NODES_2})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(SECONDS * 1000)
            page.route("**/*", lambda route: _own(route, server.url))
            opened = Frontend(page, look)
            page.goto(server.url, wait_until="domcontentloaded")
            page.wait_for_function(READY)
            yield opened
        finally:
            browser.close()


def _own(route, url: str) -> None:
    inside = route.request.url.startswith((url, "data:", "blob:"))
    route.continue_() if inside else route.abort()


def plain(prompt: dict) -> dict:
    """Return an API-format workflow without titles: what decides the result."""
    return {
        number: {"class_type": node["class_type"], "inputs": dict(sorted(node["inputs"].items()))}
        for number, node in sorted(prompt.items())
    }


def differences(shown: dict, wanted: dict, info: dict) -> list:
    """Return where an API-format workflow is not the wanted one.

    Inputs that this ComfyUI's version of a node has besides are none: they have their defaults. `info` is what
    `/object_info` says.
    """
    shown, wanted = plain(shown), plain(wanted)
    found = [number for number in {*shown, *wanted} if number not in shown or number not in wanted]
    for number in {*shown} & {*wanted}:
        ours, theirs = shown[number], wanted[number]
        more = set(ours["inputs"]) - set(theirs["inputs"])
        known = info[ours["class_type"]]["input"]
        unknown = {name for name in more if not any(name.split(".")[0] in known.get(group, {}) for group in known)}
        same = {name: ours["inputs"].get(name) for name in theirs["inputs"]} == theirs["inputs"]
        if ours["class_type"] != theirs["class_type"] or not same or unknown:
            found.append((number, ours, theirs))
        if more and info[ours["class_type"]]["python_module"].startswith("custom_nodes."):
            found.append((number, sorted(more)))
    return found
