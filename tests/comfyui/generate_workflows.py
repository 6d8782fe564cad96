"""Write `workflows/*.json` (UI form) and their thumbnails from `workflows/api/*.json`, with ComfyUI itself.

    python -m tests.comfyui.generate_workflows [--no-thumbnails]

The UI form is never written by hand: the frontend loads the API form, the nodes are laid out in columns, and the
frontend saves what it has. A thumbnail shows the middle frame of what the workflow made.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import uuid
from pathlib import Path

from inhabit.media import read_video
from PIL import Image

from .browser import Frontend, frontend, plain
from .server import ROOT, ComfyServer, failure

WORKFLOWS = ROOT / "workflows"
THUMBNAIL = 512  # pixels
GROUPS = {  # title → its columns of nodes
    "Input": [["InhabitModelLoader", "InhabitSampleScene"], ["InhabitSkeletonRenderer", "InhabitShapeAgnosticMask"]],
    "Conditions": [["InhabitReference", "InhabitMotion"], ["InhabitEnvironment", "InhabitObjects"]],
    "Animation": [["InhabitContextWindows", "InhabitWindowedSampler", "KSampler"]],
    "Video": [["VAEDecode", "CreateVideo", "SaveVideo"]],
}
ARRANGE = """groups => {
    const graph = inhabitApp.graph, gap = 60, title = 40, padding = 24;
    for (const node of graph.nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === "control_after_generate") widget.value = "fixed";
    for (const group of [...graph._groups ?? graph.groups]) graph.remove(group);
    let x = 0;
    for (const [name, columns] of Object.entries(groups)) {
        const left = x;
        let bottom = 0;
        x += padding;
        for (const types of columns) {
            let y = title + padding, width = 0;
            for (const type of types)
                for (const node of graph.nodes.filter(node => node.type === type)) {
                    const [wide, high] = node.computeSize();
                    node.setSize([Math.max(wide, 300), high]);
                    node.pos = [x, y + title];
                    node.updateArea?.();
                    y += high + title + gap / 2;
                    width = Math.max(width, node.size[0]);
                }
            x += width + gap;
            bottom = Math.max(bottom, y);
        }
        const group = new LiteGraph.LGraphGroup(name);
        group.pos = [left, 0];
        group.size = [x - gap + padding - left, bottom + padding];
        graph.add(group);
        x += padding;
    }
    inhabitApp.canvas.setDirty(true, true);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--no-thumbnails", dest="thumbnails", action="store_false", help="leave the pictures as they are"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = ComfyServer(Path(folder) / "base")
        try:
            for path in sorted((WORKFLOWS / "api").glob("*.json")):
                with frontend(server) as page:
                    write_ui_form(page, path)
                if options.thumbnails:
                    write_thumbnail(server, path)
        finally:
            server.stop()


def write_ui_form(page: Frontend, path: Path) -> None:
    """Write the UI form of the API-format file `path`, and check that it still means the same."""
    prompt = json.loads(path.read_text())
    page.load_api(prompt, path.stem)
    page.page.evaluate(ARRANGE, GROUPS)
    workflow = page.prompt()["workflow"]
    workflow["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"inhabit/{path.stem}"))
    workflow.get("extra", {}).pop("ds", None)
    page.load_ui(workflow, path.stem)
    assert plain(page.prompt()["output"]) == plain(prompt), f"{path.stem} changed on its way through the frontend"
    (WORKFLOWS / path.name).write_text(json.dumps(workflow, indent=2) + "\n")


def write_thumbnail(server: ComfyServer, path: Path) -> None:
    """Run the workflow and save its middle frame beside the UI form."""
    history = server.run(json.loads(path.read_text()))
    if failure(history) is not None:
        raise SystemExit(f"{path.stem}: {failure(history)}")
    [video] = [file for file in server.files(history) if file.suffix == ".mp4"]
    frames = read_video(video).frames
    picture = Image.fromarray(frames[len(frames) // 2])
    scale = THUMBNAIL / max(picture.size)
    size = tuple(round(side * scale) for side in picture.size)
    picture.resize(size, Image.Resampling.LANCZOS).save(WORKFLOWS / f"{path.stem}.jpg", quality=88)


if __name__ == "__main__":
    main()
