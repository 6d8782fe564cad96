"""Types and schema helpers that several nodes share."""

from __future__ import annotations

import inspect

from comfy_api.latest import io

PoseKeypoint = io.Custom("POSE_KEYPOINT")
BoundingBox = io.Custom("BOUNDING_BOX")  # core has a type of its own for it only after 0.3.64
SAMPLING = "Inhabit/sampling"  # a category

# Inputs of several nodes.
WIDTH_AND_HEIGHT = {"default": 512, "min": 8, "max": 8192, "step": 8, "tooltip": "Of the driving video, in pixels."}
OWN = 0  # of steps and length: the model's own number
STEPS = {
    "default": OWN,
    "min": OWN,
    "max": 1000,
    "tooltip": "Denoising steps. 0: the model's own number, 3 for inhabit-puppets and 25 for full-size models.",
}
CFG = {
    "default": 1.0,
    "min": 0.0,
    "max": 30.0,
    "step": 0.1,
    "tooltip": "How strongly reference and motion are followed. 1 needs half the time and suits inhabit-puppets; about "
    "3.5 suits full-size models.",
}


def schema(**fields) -> io.Schema:
    """`io.Schema` with the fields this ComfyUI knows: `search_aliases` came after 0.3.64.

    An output without a display name gets its id for one: the frontend would show its type.
    """
    for output in fields.get("outputs", []):
        output.display_name = output.display_name or output.id
    known = inspect.signature(io.Schema).parameters
    return io.Schema(**{name: value for name, value in fields.items() if name in known})


def rare(kind: type[io.Input], name: str, **options) -> io.Input:
    """An input that most people never change: folded away as "advanced" where this ComfyUI knows it, after 0.3.64."""
    if "advanced" in inspect.signature(kind).parameters:
        options["advanced"] = True
    return kind(name, **options)


def positive_and_negative() -> tuple[list[io.Input], list[io.Output]]:
    """The pair of CONDITIONING inputs and outputs of every node that adds a condition."""
    inputs = [
        io.Conditioning.Input("positive", tooltip="From Inhabit Reference or another condition node."),
        io.Conditioning.Input("negative", tooltip="From the same node as the positive conditioning."),
    ]
    outputs = [
        io.Conditioning.Output("positive_out", display_name="positive"),
        io.Conditioning.Output("negative_out", display_name="negative"),
    ]
    return inputs, outputs
