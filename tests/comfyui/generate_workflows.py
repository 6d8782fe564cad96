"""Write the UI forms of the example workflows, the blueprint and the thumbnails from `workflows/api/*.json`, with
ComfyUI itself.

    python -m tests.comfyui.generate_workflows [--no-thumbnails] [NAME …]

The UI form is never written by hand: the frontend of the oldest ComfyUI that is there loads the API form (newer ones
read older files), the nodes are laid out in columns, the text of `workflows/notes/NAME.md` is put beside them as a
note, and the frontend saves what it has. It is named by its title (`titles.py`).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import tomllib
import uuid
from pathlib import Path

from .browser import Frontend, frontend, plain
from .layout import add_note, lay_out
from .server import ROOT, ComfyServer
from .subgraphs import BLUEPRINT, blueprint, pack, unpacked, with_fixed_ids
from .thumbnails import draw
from .titles import TITLES

WORKFLOWS = ROOT / "workflows"
BLUEPRINTS = ROOT / "subgraphs"
NOTE_WIDTH, NOTE_LETTERS, NOTE_LINE, NOTE_GAP = 420, 72, 12, 9  # pixels; letters in a line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--no-thumbnails", dest="thumbnails", action="store_false", help="leave the pictures as they are"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="workflows to write; all where none is given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ComfyServer(Path(folder) / "base")
        try:
            for name in options.names or TITLES:
                with frontend(server) as page:
                    write_ui_form(page, name, server.core.version)
                if options.thumbnails:
                    draw(server, name, api_form(name)).save(WORKFLOWS / f"{TITLES[name]}.jpg", quality=88)
        finally:
            server.stop()


def api_form(name: str) -> dict:
    return json.loads((WORKFLOWS / "api" / f"{name}.json").read_text())


def write_ui_form(page: Frontend, name: str, core: str) -> None:
    """Write the UI form of a workflow, and its blueprint where it is packed; check that it still means the same."""
    prompt = api_form(name)
    missing = page.missing_nodes({"nodes": [{"type": node["class_type"]} for node in prompt.values()]})
    if missing:
        raise SystemExit(f"{name}: ComfyUI has no {', '.join(missing)}")
    page.load_api(prompt, name)
    pack(page, name)
    lay_out(page, *pack_name_and_version(), core)
    add_note(page, note(name))
    workflow = page.prompt()["workflow"]
    workflow["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"inhabit/{name}"))
    workflow.get("extra", {}).pop("ds", None)
    workflow = with_fixed_ids(workflow)
    page.load_ui(workflow, name)
    assert plain(unpacked(page.prompt()["output"])) == plain(prompt), f"{name} changed on its way through the frontend"
    _write(WORKFLOWS / f"{TITLES[name]}.json", workflow)
    if "definitions" in workflow:
        _write(BLUEPRINTS / f"{BLUEPRINT}.json", blueprint(workflow))


def pack_name_and_version() -> tuple[str, str]:
    """Return by what ComfyUI's registry and Manager know the pack."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["name"], project["version"]


def note(name: str) -> dict[str, str | int]:
    """Return the workflow's note, and a size in which it can be read without scrolling."""
    text = (WORKFLOWS / "notes" / f"{name}.md").read_text().strip()
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n(?=\s*(?:\n|[-#*]|\d+\.))", text)]
    lines = sum(math.ceil(len(paragraph) / NOTE_LETTERS) for paragraph in paragraphs)
    return {"text": text, "width": NOTE_WIDTH, "height": 80 + NOTE_LINE * lines + NOTE_GAP * len(paragraphs)}


def _write(path: Path, workflow: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(workflow, indent=2) + "\n")


if __name__ == "__main__":
    main()
