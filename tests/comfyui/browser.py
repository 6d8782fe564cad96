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
MISSING = """workflow => workflow.nodes.map(node => node.type)
    .filter(type => !(type in LiteGraph.registered_node_types))"""
SECONDS = 120


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

    def __init__(self, page) -> None:
        self.page = page

    def load_api(self, prompt: dict, name: str) -> None:
        self.page.evaluate(LOAD_API, [prompt, name])

    def load_ui(self, workflow: dict, name: str) -> None:
        self.page.evaluate(LOAD_UI, [workflow, name])

    def prompt(self) -> dict:
        """Return the open graph as {"output": API form, "workflow": UI form}."""
        return json.loads(self.page.evaluate(PROMPT))

    def missing_nodes(self, workflow: dict) -> list[str]:
        return self.page.evaluate(MISSING, workflow)


@contextmanager
def frontend(server: ComfyServer) -> Iterator[Frontend]:
    """Open the server's page, with every other host blocked, and wait until its graph can be used."""
    from playwright.sync_api import sync_playwright

    server.post("/settings", {"Comfy.TutorialCompleted": True})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(SECONDS * 1000)
            page.route("**/*", lambda route: _own(route, server.url))
            opened = Frontend(page)
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
