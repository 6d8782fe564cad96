"""Character mask → the mask that does not tell the character's outline."""

from __future__ import annotations

from comfy_api.latest import io

from ..perception import feather as soften
from ..perception import held, mask_preview, shape_agnostic_mask
from .inputs import checked_image, checked_mask, same_frames
from .kinds import rare, schema

BLOCKS = {"default": 0, "min": 0, "max": 512}


class InhabitShapeAgnosticMask(io.ComfyNode):
    """Animate Anyone 2, §3.2, equation 2."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitShapeAgnosticMask",
            display_name="Inhabit Shape-Agnostic Mask",
            category="Inhabit/masks",
            search_aliases=[
                "formulated mask",
                "block mask",
                "blockify",
                "grow mask",
                "replace character",
                "wan animate",
            ],
            description="Covers the character by blocks, so that the new character may have another outline.",
            inputs=[
                io.Mask.Input("mask", tooltip="1 on the character, one a frame; above 0.1 counts."),
                io.Int.Input(
                    "block_px",
                    default=10,
                    min=1,
                    max=512,
                    tooltip="About how large a block is in pixels, where no number of blocks is given.",
                ),
                rare(io.Int.Input, "blocks_high", **BLOCKS, tooltip="Blocks over the height; 0: by block_px."),
                rare(io.Int.Input, "blocks_wide", **BLOCKS, tooltip="Blocks over the width; 0: by block_px."),
                io.Boolean.Input(
                    "stable", default=False, tooltip="One grid for the whole clip, so that the blocks do not flicker."
                ),
                io.Int.Input(
                    "snap",
                    default=1,
                    min=1,
                    max=64,
                    tooltip="Block edges lie on multiples of this many pixels; 8 for WanAnimateToVideo.",
                ),
                rare(
                    io.Int.Input,
                    "stable_frames",
                    default=0,
                    min=0,
                    max=4096,
                    optional=True,
                    tooltip="With stable: a new grid every so many frames, for a character that walks far. 0: one.",
                ),
                rare(
                    io.Int.Input,
                    "grow",
                    default=0,
                    min=0,
                    max=512,
                    optional=True,
                    tooltip="Pixels the character grows by before it is covered; more never covers less.",
                ),
                rare(
                    io.Int.Input,
                    "feather",
                    default=0,
                    min=0,
                    max=512,
                    optional=True,
                    tooltip="Pixels over which the finished mask fades outward. Keep 0 for Inhabit Environment.",
                ),
                io.Image.Input("image", optional=True, tooltip="The video to show the mask on, in the preview."),
                rare(
                    io.Int.Input,
                    "hold",
                    default=0,
                    min=0,
                    max=256,
                    optional=True,
                    tooltip="Frames that what was covered stays covered; 3 for character_mask of WanAnimateToVideo.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask_out", display_name="mask"),
                io.Image.Output("preview", tooltip="The mask in red over the image, or white on black."),
            ],
        )

    @classmethod
    def execute(
        cls,
        mask,
        block_px: int,
        blocks_high: int,
        blocks_wide: int,
        stable: bool,
        snap: int,
        stable_frames: int = 0,
        grow: int = 0,
        feather: int = 0,
        image=None,
        hold: int = 0,
    ) -> io.NodeOutput:
        mask = checked_mask(mask, "mask")
        if image is not None:
            image = checked_image(image, "image")
            same_frames(mask, image, "mask", "image")
        mask = shape_agnostic_mask(
            mask,
            blocks_high or None,
            blocks_wide or None,
            block_px,
            stable=stable,
            snap=snap,
            stable_frames=stable_frames or None,
            grow=grow,
        )
        mask = held(mask, hold) if hold else mask
        mask = soften(mask, feather) if feather else mask
        return io.NodeOutput(mask, mask_preview(mask, image))
