"""The place without the character."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..perception.plate import CleanPlate
from .inputs import checked_image, mask_of
from .kinds import rare, schema


class InhabitCleanPlate(io.ComfyNode):
    """The place without the character, from the frames that show it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitCleanPlate",
            display_name="Inhabit Clean Plate",
            category="Inhabit/masks",
            search_aliases=["background", "remove person", "inpaint video", "clean background", "remove object"],
            description="Removes the character: shows what other frames saw behind it. The camera may move.",
            inputs=[
                io.Image.Input("driving", tooltip="The video's frames, of one shot."),
                io.Mask.Input("mask", tooltip="1 on the character and on what it holds. One a frame, or one for all."),
                rare(
                    io.Int.Input,
                    "margin",
                    default=-1,
                    min=-1,
                    max=512,
                    optional=True,
                    tooltip="Pixels around the mask that are filled like it: soft edges, shadows. -1: a fiftieth of "
                    "the shorter side.",
                ),
            ],
            outputs=[
                io.Image.Output("plate", tooltip="One picture a frame; the video's own pixels where nothing is known."),
                io.Mask.Output("known", tooltip="1 where the picture shows the place."),
            ],
        )

    @classmethod
    def execute(cls, driving, mask, margin: int = -1) -> io.NodeOutput:
        driving = checked_image(driving, "driving")
        mask = mask_of(driving, mask, "driving", "mask")
        plate, known = torch.empty(driving.shape), torch.empty(driving.shape[:3])
        for index, frame in enumerate(CleanPlate(driving, mask, None if margin < 0 else margin)):
            plate[index], known[index] = frame
        return io.NodeOutput(plate, known)
