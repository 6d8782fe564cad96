"""The driving video's own pixels around what the model drew."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipeline.paste_back import paste_back
from .inputs import checked_image, mask_of, plate_of, same_frames
from .kinds import rare, schema


class InhabitPasteBack(io.ComfyNode):
    """What `inhabit animate` does last, unless --no-paste-back is given."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitPasteBack",
            display_name="Inhabit Paste Back",
            category="Inhabit",
            search_aliases=["composite", "restore background", "original pixels", "uncrop", "replace character"],
            description="Puts the driving video's exact pixels back wherever the model did not draw.",
            inputs=[
                io.Image.Input("result", tooltip="What the model drew, decoded."),
                io.Image.Input("driving", tooltip="The driving video, of the same length and size."),
                io.Mask.Input("mask", tooltip="The mask given to Inhabit Environment. One a frame, or one for all."),
                io.Int.Input(
                    "feather",
                    default=4,
                    min=0,
                    max=512,
                    tooltip="Pixels outside the region over which the result fades into the video. 0: a hard edge.",
                ),
                rare(
                    io.Int.Input,
                    "grow",
                    default=-1,
                    min=-1,
                    max=512,
                    optional=True,
                    tooltip="Pixels that the region may reach out of the mask to what the model drew there: shadows, "
                    "hair, a hand. -1: an eighth of the shorter side; 0: the mask alone.",
                ),
                io.Image.Input(
                    "plate",
                    optional=True,
                    tooltip="Of Inhabit Clean Plate: shown around the new character, inside the mask too. Needs matte.",
                ),
                io.Mask.Input(
                    "known",
                    optional=True,
                    tooltip="Of Inhabit Clean Plate: where the plate counts. Without: everywhere.",
                ),
                io.Mask.Input(
                    "matte",
                    optional=True,
                    tooltip="1 on the new character in the result, from any segmenter. Needs plate.",
                ),
            ],
            outputs=[io.Image.Output("image")],
        )

    @classmethod
    def execute(
        cls, result, driving, mask, feather: int, grow: int = -1, plate=None, known=None, matte=None
    ) -> io.NodeOutput:
        result, driving = checked_image(result, "result"), checked_image(driving, "driving")
        same_frames(driving, result, "driving", "result")
        mask = mask_of(driving, mask, "driving", "mask")
        place = {"plate": plate_of(driving, plate)}
        for name, value in (("known", known), ("matte", matte)):
            place[name] = None if value is None else mask_of(driving, value, "driving", name)
        return io.NodeOutput(paste_back(result, driving, mask, feather, None if grow < 0 else grow, **place))
