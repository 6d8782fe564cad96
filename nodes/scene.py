"""A rendered puppet scene with exact ground truth: input that needs no download."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
from comfy_api.latest import io

from ..media import to_float
from ..scenes import KINDS, render_scene
from .inputs import chosen
from .kinds import PoseKeypoint, schema


class InhabitSampleScene(io.ComfyNode):
    """Character A performs in an environment; the reference shows another character, B."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitSampleScene",
            display_name="Inhabit Sample Scene",
            category="Inhabit",
            search_aliases=["puppet", "test scene", "example", "demo", "synthetic", "dance"],
            description="Renders a puppet scene by seed: driving video, pose, depth, masks and the exact answer.",
            inputs=[
                io.Combo.Input("kind", options=list(KINDS), default=KINDS[0], tooltip="What the character does."),
                io.Int.Input(
                    "seed",
                    default=900001,
                    min=0,
                    max=2**32 - 1,
                    control_after_generate=True,
                    tooltip="Everything follows from it. 900000 and above were never trained on.",
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=1,
                    max=4096,
                    tooltip="Length of the video; the motion is made for 24 a second.",
                ),
                io.Int.Input("width", default=128, min=96, max=512, step=8, tooltip="In pixels."),
                io.Int.Input("height", default=128, min=96, max=512, step=8, tooltip="In pixels."),
            ],
            outputs=[
                io.Image.Output("reference", tooltip="Character B, alone."),
                io.Image.Output("driving", tooltip="Character A performing."),
                PoseKeypoint.Output("pose", tooltip="A's pose in every frame."),
                io.Image.Output("depth", tooltip="White is near."),
                io.Mask.Output("character", tooltip="A."),
                io.Mask.Output("object", tooltip="What A holds or touches."),
                io.Mask.Output("hands"),
                io.Mask.Output("face"),
                io.Image.Output("target", tooltip="The exact answer: B performing A's motion in A's environment."),
            ],
        )

    @classmethod
    def execute(cls, kind: str, seed: int, frames: int, width: int, height: int) -> io.NodeOutput:
        chosen(kind, list(KINDS), "kind")
        bar = comfy.utils.ProgressBar(frames)

        def progress(*_) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            bar.update(1)

        scene = render_scene(seed, kind, frames, width, height, progress=progress)
        return io.NodeOutput(
            to_float(scene.reference)[None],
            to_float(scene.driving),
            scene.pose,
            to_float(scene.depth).unsqueeze(-1).expand(-1, -1, -1, 3).contiguous(),
            to_float(scene.character),
            to_float(scene.object),
            to_float(scene.hands),
            to_float(scene.face),
            to_float(scene.target),
        )
