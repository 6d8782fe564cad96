"""Example workflows whose nodes are packed into one, and the same as a blueprint of the node library."""

from __future__ import annotations

import copy
import uuid

from .browser import Frontend

BLUEPRINT = "Animate a character in a video"
DESCRIPTION = (
    "A driving video and a picture of a character go in, with the pose and the mask of the person in the video; the "
    "video comes out with that character in it, with its size, rate and sound, and its own pixels everywhere else."
)
ALIASES = [
    "animate anyone",
    "wan animate",
    "character animation",
    "character swap",
    "replace character",
    "pose transfer",
    "motion transfer",
    "video to video",
    "dance",
]
# workflow → what its subgraph is called, which nodes stay outside, where its sockets lead in order (node by title or
# type, its input, the name shown), and which settings are on the packed node
PACKED = {
    "animate-in-one-node": {
        "name": BLUEPRINT,
        "outside": ["InhabitSampleScene", "Stands in: the video", "SaveVideo"],
        "sockets": [
            ["Frames, sound and rate", "video", "video"],
            ["InhabitReference", "image", "character"],
            ["InhabitSkeletonRenderer", "pose", "pose"],
            ["Mask as a picture", "mask", "mask"],
        ],
        "settings": [
            ["InhabitModelLoader", "checkpoint", "model"],
            ["Width to work at", "value", "width"],
            ["Height to work at", "value", "height"],
            ["InhabitShapeAgnosticMask", "block_px", "block_px"],
            ["InhabitWindowedSampler", "seed", "seed"],
            ["InhabitWindowedSampler", "steps", "steps"],
            ["InhabitWindowedSampler", "cfg", "cfg"],
        ],
    }
}
PACK = """packed => {
    const graph = inhabitApp.graph;
    const named = (nodes, name) => nodes.find(node => node.title === name) ?? nodes.find(node => node.type === name);
    const outside = packed.outside.map(name => named(graph.nodes, name));
    const inside = graph.nodes.filter(node => !outside.includes(node));
    const first = packed.sockets.map(([name]) => named(inside, name));  // sockets come in the order of their nodes
    const { subgraph, node } = graph.convertToSubgraph(new Set([...first, ...inside]));
    node.title = subgraph.name = packed.name;
    packed.sockets.forEach(([name, input, shown], index) => {
        const socket = subgraph.inputs[index];
        if (socket.name !== input) throw new Error(`input ${index} is ${socket.name} and not ${input} of ${name}`);
        if (shown !== input) subgraph.renameInput(socket, shown);
    });
    for (const [name, input, shown] of packed.settings) {
        const inner = named(subgraph.nodes, name);
        const slot = inner.inputs.find(found => found.name === input);
        subgraph.addInput(shown, slot.type).connect(slot, inner);
    }
    subgraph.renameOutput(subgraph.outputs[0], "video");
}"""


def pack(page: Frontend, name: str) -> None:
    """Turn the open graph's nodes into one, where the workflow of this name is such a one."""
    if name in PACKED:
        page.page.evaluate(PACK, PACKED[name])


def unpacked(prompt: dict) -> dict:
    """Return an API-format workflow whose nodes are numbered as before they were packed: "25:3" is 3."""

    def own(value):
        return [value[0].split(":")[-1], value[1]] if isinstance(value, list) else value

    return {
        number.split(":")[-1]: {**node, "inputs": {name: own(value) for name, value in node["inputs"].items()}}
        for number, node in prompt.items()
    }


def with_fixed_ids(workflow: dict) -> dict:
    """Return a UI-format workflow whose subgraphs are always called the same, by their names and the workflow's id."""
    for subgraph in workflow.get("definitions", {}).get("subgraphs", []):
        fixed = str(uuid.uuid5(uuid.UUID(workflow["id"]), subgraph["name"]))
        for node in workflow["nodes"]:
            node["type"] = fixed if node["type"] == subgraph["id"] else node["type"]
        subgraph["id"] = fixed
        for socket in [*subgraph["inputs"], *subgraph["outputs"]]:
            socket["id"] = str(uuid.uuid5(uuid.UUID(fixed), f"{socket['name']} {socket['type']}"))
    return workflow


def blueprint(workflow: dict) -> dict:
    """Return the packed node of a UI-format workflow alone, in the form in which the node library keeps it."""
    [subgraph] = copy.deepcopy(workflow["definitions"]["subgraphs"])
    [node] = [copy.deepcopy(node) for node in workflow["nodes"] if node["type"] == subgraph["id"]]
    node["pos"], node["order"] = [0, 0], 0
    for socket in node["inputs"]:
        socket["link"] = None
    for socket in node["outputs"]:
        socket["links"] = []
    told = {"BlueprintDescription": DESCRIPTION, "BlueprintSearchAliases": ALIASES}
    subgraph |= {"category": "Inhabit", "description": DESCRIPTION, "extra": told}
    return with_fixed_ids(
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"inhabit/blueprint/{subgraph['name']}")),
            "revision": 0,
            "last_node_id": node["id"],
            "last_link_id": 0,
            "nodes": [node],
            "links": [],
            "version": workflow["version"],
            "definitions": {"subgraphs": [subgraph]},
            "extra": told,
        }
    )
