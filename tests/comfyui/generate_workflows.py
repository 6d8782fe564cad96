"""Write `workflows/*.json` (UI form) and their thumbnails from `workflows/api/*.json`, with ComfyUI itself.

    python -m tests.comfyui.generate_workflows [--no-thumbnails] [NAME …]

The UI form is never written by hand: the frontend loads the API form, the nodes are laid out in columns, the text of
`workflows/notes/NAME.md` is put beside them as a note, and the frontend saves what it has. A thumbnail shows the middle
frame of what the workflow made, of four videos where there are several.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import uuid
from pathlib import Path

from inhabit.media import read_video
from PIL import Image

from .browser import Frontend, frontend, plain
from .server import ROOT, ComfyServer, failure

WORKFLOWS = ROOT / "workflows"
THUMBNAIL = 512  # pixels
NOTE_WIDTH, NOTE_LETTERS, NOTE_LINE, NOTE_GAP = 400, 72, 12, 9  # pixels; letters in a line
GROUPS = {  # title → its columns of nodes, by title or by type
    "Input": [
        ["Your character", "Your video"],
        [
            "InhabitModelLoader",
            "InhabitLoRALoader",
            "InhabitSampleScene",
            "EmptyImage",
            "Stands in: the video",
        ],
        ["GetVideoComponents", "ImageScale", "GetImageSize"],
    ],
    "Motion and masks": [
        ["InhabitSkeletonRenderer", "InhabitMotionBlur", "InhabitShapeAgnosticMask", "InhabitHandFaceRegions"],
        ["Character blanked", "Face: a square around it", "MaskToImage"],
    ],
    "Conditions": [["InhabitReference", "InhabitMotion"], ["InhabitEnvironment", "InhabitObjects"]],
    "Animation": [
        ["InhabitShiftedSNR", "InhabitContextWindows", "VAEEncode"],
        ["InhabitReferenceNoise", "InhabitAnimationGuider", "KSamplerSelect", "InhabitTrailingSigmas"],
        ["InhabitWindowedSampler", "KSampler", "SamplerCustomAdvanced"],
    ],
    "Video": [
        ["VAEDecode", "InhabitPasteBack"],
        ["ImageCrop", "ImageScaleBy"],
        ["ImageStitch", "CreateVideo"],
        ["SaveVideo"],
    ],
}
ARRANGE = """([groups, note]) => {
    const graph = inhabitApp.graph, gap = 60, title = 40, padding = 24, highest = 1400;
    const rooms = {SaveVideo: 380, LoadImage: 380, LoadVideo: 380};  // the height of a node that will show a picture
    for (const node of graph.nodes)
        for (const widget of node.widgets ?? [])
            if (widget.name === "control_after_generate") widget.value = "fixed";
    for (const group of [...graph._groups ?? graph.groups]) graph.remove(group);
    const entries = new Set(Object.values(groups).flat(2));
    const entry = node => entries.has(node.title) ? node.title : node.type;
    const homeless = graph.nodes.map(entry).filter(name => !entries.has(name));
    if (homeless.length) throw new Error(`in none of GROUPS: ${homeless.join(", ")}`);
    const height = node => Math.max(node.computeSize()[1], rooms[node.type] ?? 0);
    const split = nodes => {  // a column that would be too high becomes several
        const parts = [[]];
        let y = 0;
        for (const node of nodes) {
            const wanted = height(node) + title + gap / 2;
            if (y + wanted > highest && y > 0) { parts.push([]); y = 0; }
            parts.at(-1).push(node);
            y += wanted;
        }
        return parts;
    };
    let x = 0;
    for (const [name, columns] of Object.entries(groups)) {
        const filled = columns.map(names => names.flatMap(n => graph.nodes.filter(node => entry(node) === n)))
            .filter(nodes => nodes.length).flatMap(split);
        if (!filled.length) continue;
        const left = x;
        let bottom = 0;
        x += padding;
        for (const nodes of filled) {
            let y = title + padding, width = 0;
            for (const node of nodes) {
                node.setSize([Math.max(node.computeSize()[0], 300), height(node)]);
                node.pos = [x, y + title];
                node.updateArea?.();
                y += node.size[1] + title + gap / 2;
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
    const text = LiteGraph.createNode("MarkdownNote");
    graph.add(text);
    text.title = "Read this first";
    text.widgets[0].value = note.text;
    text.setSize([note.width, note.height]);
    text.pos = [-note.width - gap, title];
    text.updateArea?.();
    inhabitApp.canvas.setDirty(true, true);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--no-thumbnails", dest="thumbnails", action="store_false", help="leave the pictures as they are"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="workflows to write; all where none is given")
    options = parser.parse_args()
    paths = [WORKFLOWS / "api" / f"{name}.json" for name in options.names]
    with tempfile.TemporaryDirectory() as folder:
        server = ComfyServer(Path(folder) / "base")
        try:
            for path in paths or sorted((WORKFLOWS / "api").glob("*.json")):
                with frontend(server) as page:
                    write_ui_form(page, path)
                if options.thumbnails:
                    write_thumbnail(server, path)
        finally:
            server.stop()


def write_ui_form(page: Frontend, path: Path) -> None:
    """Write the UI form of the API-format file `path`, and check that it still means the same."""
    prompt = json.loads(path.read_text())
    missing = page.missing_nodes({"nodes": [{"type": node["class_type"]} for node in prompt.values()]})
    if missing:
        raise SystemExit(f"{path.stem}: ComfyUI has no {', '.join(missing)}")
    page.load_api(prompt, path.stem)
    page.page.evaluate(ARRANGE, [GROUPS, note(path.stem)])
    workflow = page.prompt()["workflow"]
    workflow["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"inhabit/{path.stem}"))
    workflow.get("extra", {}).pop("ds", None)
    page.load_ui(workflow, path.stem)
    assert plain(page.prompt()["output"]) == plain(prompt), f"{path.stem} changed on its way through the frontend"
    (WORKFLOWS / path.name).write_text(json.dumps(workflow, indent=2) + "\n")


def note(name: str) -> dict[str, str | int]:
    """Return the workflow's note, and a size in which it can be read without scrolling."""
    text = (WORKFLOWS / "notes" / f"{name}.md").read_text().strip()
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n(?=\s*(?:\n|[-#*]|\d+\.))", text)]
    lines = sum(math.ceil(len(paragraph) / NOTE_LETTERS) for paragraph in paragraphs)
    return {"text": text, "width": NOTE_WIDTH, "height": 80 + NOTE_LINE * lines + NOTE_GAP * len(paragraphs)}


def write_thumbnail(server: ComfyServer, path: Path) -> None:
    """Run the workflow and save its middle frames beside the UI form."""
    history = server.run(json.loads(path.read_text()))
    if failure(history) is not None:
        raise SystemExit(f"{path.stem}: {failure(history)}")
    outputs = {number: history["outputs"][number] for number in sorted(history["outputs"], key=int)}
    videos = [read_video(file).frames for file in server.files({"outputs": outputs}) if file.suffix == ".mp4"]
    pictures = [Image.fromarray(frames[len(frames) // 2]) for frames in videos]
    picture = pictures[0] if len(pictures) == 1 else four(pictures)
    scale = THUMBNAIL / max(picture.size)
    size = tuple(round(side * scale) for side in picture.size)
    picture.resize(size, Image.Resampling.LANCZOS).save(WORKFLOWS / f"{path.stem}.jpg", quality=88)


def four(pictures: list[Image.Image]) -> Image.Image:
    """Return the first four pictures as one, two by two."""
    side = THUMBNAIL // 2
    whole = Image.new("RGB", (THUMBNAIL, THUMBNAIL))
    for number, picture in enumerate(pictures[:4]):
        whole.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (number % 2 * side, number // 2 * side))
    return whole


if __name__ == "__main__":
    main()
