"""Where the nodes of an example workflow lie: groups side by side, columns in a group, nodes in a column.

All of it runs in the frontend's page. Nodes 2.0 draws a node up to 46 pixels higher than the classic canvas, for its
badges and wider rows, so that much and a bit more is left free below each.
"""

from __future__ import annotations

from .browser import Frontend

GROUPS = {  # title → its columns of nodes, by title or by type
    "Input": [
        ["InhabitModelLoader", "InhabitLoRALoader", "InhabitSampleScene", "EmptyImage", "Stands in: the video"],
        ["Frames, sound and rate", "GetVideoComponents", "Width to work at", "Height to work at"],
        ["ImageScale", "GetImageSize"],
        ["Mask as a picture", "Mask at that size", "Mask to work with"],
    ],
    "Motion and masks": [
        ["InhabitSkeletonRenderer", "InhabitMotionBlur", "InhabitShapeAgnosticMask", "InhabitHandFaceRegions"],
        ["Character blanked", "MaskToImage"],
    ],
    "Conditions": [["InhabitReference", "InhabitMotion"], ["InhabitEnvironment", "InhabitObjects"]],
    "Animation": [
        ["Animate a character in a video"],
        ["InhabitShiftedSNR", "InhabitContextWindows", "VAEEncode"],
        ["InhabitReferenceNoise", "InhabitAnimationGuider", "KSamplerSelect", "InhabitTrailingSigmas"],
        ["InhabitWindowedSampler", "KSampler", "SamplerCustomAdvanced"],
    ],
    "Video": [
        ["VAEDecode", "The video's own size", "Result at its size"],
        ["Blocks as a picture", "Blocks at its size", "Where the result goes"],
        ["InhabitPasteBack", "ImageScaleBy"],
        ["ImageStitch", "CreateVideo"],
        ["SaveVideo"],
    ],
}
SETTLE = """([pack, version, core]) => {  // what no later load may change: seeds, and whose node it is
    const graphs = [inhabitApp.graph];
    for (const graph of graphs)
        for (const node of graph.nodes) {
            if (node.subgraph) { graphs.push(node.subgraph); continue; }
            for (const widget of node.widgets ?? [])
                if (widget.name === "control_after_generate") widget.value = "fixed";
            const module = LiteGraph.registered_node_types[node.type]?.nodeData?.python_module;
            if (!module) continue;  // a note, which the frontend itself knows
            const ours = module.startsWith("custom_nodes.");
            node.properties.cnr_id = ours ? pack : "comfy-core";
            node.properties.ver = ours ? version : core;
        }
}"""
ARRANGE = """groups => {
    const gap = 60, title = 40, below = 50, padding = 24, highest = 1500;
    const rooms = {SaveVideo: 400};  // the height of a node that will show a video
    const samplers = ["InhabitWindowedSampler", "KSampler", "SamplerCustomAdvanced"];
    const preview = 360;  // below a sampler: it grows by the animated preview
    const entries = new Set(Object.values(groups).flat(2));
    const entry = node => entries.has(node.title) ? node.title : node.type;
    const inner = node => [...node.subgraph?.nodes ?? []].some(node => samplers.includes(node.type));
    const height = node => Math.max(node.computeSize()[1], rooms[node.type] ?? 0);
    const room = node => height(node) + title + below + (samplers.includes(node.type) || inner(node) ? preview : 0);
    const split = nodes => {  // a column that would be too high becomes several
        const parts = [[]];
        let y = 0;
        for (const node of nodes) {
            if (y + room(node) > highest && y > 0) { parts.push([]); y = 0; }
            parts.at(-1).push(node);
            y += room(node);
        }
        return parts;
    };
    const arrange = graph => {
        for (const group of [...graph._groups ?? graph.groups]) graph.remove(group);
        const homeless = graph.nodes.map(entry).filter(name => !entries.has(name));
        if (homeless.length) throw new Error(`in none of GROUPS: ${homeless.join(", ")}`);
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
                    node.setSize([Math.max(node.computeSize()[0], 320), height(node)]);
                    node.pos = [x, y + title];
                    node.updateArea?.();
                    y += room(node);
                    width = Math.max(width, node.size[0]);
                }
                x += width + gap;
                bottom = Math.max(bottom, y);
            }
            const group = new LiteGraph.LGraphGroup(name);
            group.pos = [left, 0];
            group.size = [x - gap + padding - left, bottom];
            graph.add(group);
            x += padding;
        }
        if (graph.inputNode) {
            graph.inputNode.pos = [-300, title];
            graph.outputNode.pos = [x, title];
        }
        graph.nodes.filter(node => node.subgraph).forEach(node => arrange(node.subgraph));
    };
    arrange(inhabitApp.graph);
    inhabitApp.canvas.setDirty(true, true);
}"""
ADD_NOTE = """note => {
    const text = LiteGraph.createNode("MarkdownNote");
    inhabitApp.graph.add(text);
    text.title = "Read this first";
    text.widgets[0].value = note.text;
    text.setSize([note.width, note.height]);
    text.pos = [-note.width - 60, 40];
    text.updateArea?.();
}"""


def lay_out(page: Frontend, pack: str, version: str, core: str) -> None:
    """Give the open graph and its subgraphs their places, fixed seeds, and the name and version of what they are of."""
    page.page.evaluate(SETTLE, [pack, version, core])
    page.page.evaluate(ARRANGE, GROUPS)


def add_note(page: Frontend, note: dict[str, str | int]) -> None:
    """Put a note left of everything: its text, width and height."""
    page.page.evaluate(ADD_NOTE, note)
