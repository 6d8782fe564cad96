"""Condition nodes: what the denoiser is told, as keys on CONDITIONING. `HostedModel.extra_conds` reads them."""

from __future__ import annotations

import functools
from typing import get_args

import node_helpers
import torch
from comfy_api.latest import io
from torch import Tensor

from ..errors import InputError
from ..pipeline.conditions import Fill, check_size, environment_frames, latent_mask, object_latents, selected
from ..pipeline.inputs import fit_reference
from .host.checks import check_agrees, check_encoded
from .host.conds import BLUR, CELL, DEPTH, ENVIRONMENT, MASK, OBJECTS, REFERENCE, SKELETON
from .host.settings import model_config
from .inputs import checked_conditioning, checked_depth, checked_image, chosen, mask_of, plate_of, same_frames
from .kinds import positive_and_negative, rare, schema

CATEGORY = "Inhabit/conditions"
MODEL_INPUT, NOISE_MASK = "model input", "noise mask"
CONTEXT_WIDTH = 768  # of Stable Diffusion 1.5's cross-attention, where no model says otherwise
MULTIPLE = 8  # of pixels, in the sides of pictures, where no model says otherwise
LARGEST_REFERENCE = (768, 768)  # width and height, where no driving video says otherwise: its pixels, in any shape


class InhabitReference(io.ComfyNode):
    """The character to animate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitReference",
            display_name="Inhabit Reference",
            category=CATEGORY,
            search_aliases=[
                "character",
                "identity",
                "appearance",
                "animate anyone",
                "replace character",
                "character swap",
                "swap character",
                "reference image",
            ],
            description="The character that shall perform. The negative conditioning is without it.",
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of Inhabit Model Loader, or Stable Diffusion 1.5's."),
                io.Image.Input("image", tooltip="One picture of the character, of any size, on any background."),
                io.Model.Input("model", optional=True, tooltip="Connect it to have the inputs checked against it."),
                io.ClipVisionOutput.Input(
                    "clip_vision_output",
                    optional=True,
                    tooltip="CLIP Vision Encode of the same picture with crop: none, for models with cross-attention "
                    "(sd15 size). With center, a standing character loses head and feet.",
                ),
                io.Image.Input(
                    "driving",
                    optional=True,
                    tooltip="The driving video: a picture of more pixels than its frames have is shrunk to as many, as "
                    "inhabit animate does. Without it, to those of 768 x 768.",
                ),
            ],
            outputs=[io.Conditioning.Output("positive"), io.Conditioning.Output("negative")],
        )

    @classmethod
    def execute(cls, vae, image: Tensor, model=None, clip_vision_output=None, driving=None) -> io.NodeOutput:
        config = None if model is None else model_config(model)
        image = checked_image(image, "image")
        if image.shape[0] != 1:
            raise InputError(f"image has {image.shape[0]} images; give one (Image From Batch picks it)")
        size = LARGEST_REFERENCE if driving is None else checked_image(driving, "driving").shape[2:0:-1]
        image = fit_reference(image, size, MULTIPLE if config is None else config.size_multiple, "image")
        context = _context(clip_vision_output, None if config is None else config.unet.cross_attention_dim)
        reference = {REFERENCE: _encode(vae, image), CELL: vae.downscale_ratio}
        if config is not None:
            check_encoded(config, reference)
        return io.NodeOutput([[context, reference]], [[torch.zeros_like(context), {}]])


class InhabitMotion(io.ComfyNode):
    """The motion to perform."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs, outputs = positive_and_negative()
        return schema(
            node_id="InhabitMotion",
            display_name="Inhabit Motion",
            category=CATEGORY,
            search_aliases=[
                "pose",
                "skeleton",
                "openpose",
                "dwpose",
                "driving",
                "pose transfer",
                "motion transfer",
                "retarget",
                "mocap",
                "motion capture",
                "dance",
            ],
            description="The motion to perform. Added to the positive side only, so that guidance pushes towards it.",
            inputs=[
                *inputs,
                io.Image.Input(
                    "skeleton", tooltip="Drawn skeletons on black (OpenPose colours), one a frame, of the video's size."
                ),
                io.Image.Input(
                    "depth",
                    optional=True,
                    tooltip="Structured depth of Inhabit Skeleton Renderer: white is near, black off the skeleton.",
                ),
                io.Image.Input(
                    "blur",
                    optional=True,
                    tooltip="Blur map of Inhabit Motion Blur, for models that were trained with it, as "
                    "inhabit-puppets; others leave it out and say so in the log.",
                ),
            ],
            outputs=outputs,
        )

    @classmethod
    def execute(
        cls, positive, negative, skeleton: Tensor, depth: Tensor | None = None, blur: Tensor | None = None
    ) -> io.NodeOutput:
        positive, negative = _both(positive, negative)
        skeleton = checked_image(skeleton, "skeleton")
        values = {SKELETON: skeleton.movedim(-1, 1)}
        if depth is not None:
            depth = checked_depth(depth)
            same_frames(skeleton, depth, "skeleton", "depth")
            values[DEPTH] = depth.unsqueeze(1)
        if blur is not None:
            blur = checked_image(blur, "blur")
            same_frames(skeleton, blur, "skeleton", "blur")
            values[BLUR] = blur.movedim(-1, 1)
        check_agrees("skeleton", skeleton, positive)
        return io.NodeOutput(node_helpers.conditioning_set_values(positive, values), negative)


class InhabitEnvironment(io.ComfyNode):
    """The scene to perform in."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs, outputs = positive_and_negative()
        return schema(
            node_id="InhabitEnvironment",
            display_name="Inhabit Environment",
            category=CATEGORY,
            search_aliases=["background", "scene", "inpaint", "video to video", "replace character"],
            description="The driving video without its character, and an empty latent of its length and size.",
            inputs=[
                *inputs,
                io.Vae.Input("vae", tooltip="The same VAE as for the reference."),
                io.Image.Input("driving", tooltip="The driving video's frames; width and height multiples of 8."),
                io.Mask.Input(
                    "mask",
                    tooltip="1 where the new character may appear (Shape-Agnostic Mask). One a frame, or one for all.",
                ),
                rare(
                    io.Combo.Input,
                    "fill",
                    options=list(get_args(Fill)),
                    default="blank",
                    optional=True,
                    tooltip="What fills the masked region: grey, as our models know it, mean colour, or surroundings.",
                ),
                rare(
                    io.Combo.Input,
                    "mode",
                    options=[MODEL_INPUT, NOISE_MASK],
                    default=MODEL_INPUT,
                    optional=True,
                    tooltip="model input: the model is shown the scene, and draws it. noise mask: the latent itself "
                    "keeps the scene outside the mask, with any model, also other packs'.",
                ),
                io.Image.Input(
                    "plate",
                    optional=True,
                    tooltip="Of Inhabit Clean Plate, to fill the masked region, for models trained with it; "
                    "inhabit-puppets is not.",
                ),
                io.Mask.Input(
                    "known",
                    optional=True,
                    tooltip="Of Inhabit Clean Plate: where the plate fills. Without: everywhere.",
                ),
            ],
            outputs=[
                *outputs,
                io.Latent.Output("latent", tooltip="One a frame, for the sampler: empty, or scene and noise mask."),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        vae,
        driving: Tensor,
        mask: Tensor,
        fill: str = "blank",
        mode: str = MODEL_INPUT,
        plate: Tensor | None = None,
        known: Tensor | None = None,
    ) -> io.NodeOutput:
        chosen(mode, [MODEL_INPUT, NOISE_MASK], "mode")
        positive, negative = _both(positive, negative)
        driving, mask = _video_and_mask(driving, mask, positive)
        if not selected(mask).any():
            raise InputError(
                f"mask is empty in all of its {len(mask)} frames, so that there is nothing to generate; give one that "
                "is 1 where the character may appear"
            )
        plate = plate_of(driving, plate)
        known = None if known is None else mask_of(driving, known, "driving", "known")
        latents = _encode(vae, environment_frames(driving, mask, fill, plate, known))
        cells = latent_mask(mask, vae.downscale_ratio)
        if mode == NOISE_MASK:
            return io.NodeOutput(positive, negative, {"samples": latents, "noise_mask": cells})
        values = {ENVIRONMENT: latents, MASK: cells}
        return io.NodeOutput(*_on_both(positive, negative, vae, values), {"samples": torch.zeros_like(latents)})


class InhabitObjects(io.ComfyNode):
    """The objects the character holds or touches."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        inputs, outputs = positive_and_negative()
        return schema(
            node_id="InhabitObjects",
            display_name="Inhabit Objects",
            category=CATEGORY,
            search_aliases=["hold", "prop", "interaction"],
            description="The objects that the character holds or touches. An empty mask switches the mechanism off.",
            inputs=[
                *inputs,
                io.Vae.Input("vae", tooltip="The same VAE as for the reference."),
                io.Image.Input("driving", tooltip="The driving video's frames; width and height multiples of 8."),
                io.Mask.Input("mask", tooltip="1 on the objects. One a frame, or one for all."),
            ],
            outputs=outputs,
        )

    @classmethod
    def execute(cls, positive, negative, vae, driving: Tensor, mask: Tensor) -> io.NodeOutput:
        positive, negative = _both(positive, negative)
        driving, mask = _video_and_mask(driving, mask, positive)
        if not selected(mask).any():
            return io.NodeOutput(positive, negative)
        values = {OBJECTS: object_latents(functools.partial(_encode, vae), driving, mask)}
        return io.NodeOutput(*_on_both(positive, negative, vae, values))


def _both(positive, negative) -> tuple[list, list]:
    return checked_conditioning(positive, "positive"), checked_conditioning(negative, "negative")


def _on_both(positive: list, negative: list, vae, values: dict) -> tuple:
    """Return both with what this VAE encoded. Raises InputError where another kind encoded what they have."""
    own = vae.downscale_ratio
    for _, given in [*positive, *negative]:
        cell = given.get(CELL, own)
        if cell != own:
            raise InputError(
                f"vae makes a latent of {own}x{own} pixels, that of the conditions before it one of {cell}x{cell}; "
                "use the same VAE for all"
            )
    values = {**values, CELL: own}
    return tuple(node_helpers.conditioning_set_values(side, values) for side in (positive, negative))


def _video_and_mask(driving: Tensor, mask: Tensor, positive: list) -> tuple[Tensor, Tensor]:
    """Return both at equal length and size, and equal to what `positive` has; one mask serves all frames."""
    driving = checked_image(driving, "driving")
    check_size("driving", *driving.shape[1:3], MULTIPLE)
    mask = mask_of(driving, mask, "driving", "mask")
    check_agrees("driving", driving, positive)
    return driving, mask


def _encode(vae, images: Tensor) -> Tensor:
    """IMAGE (F, H, W, 3) → latents (F, 4, h, w) in the VAE's own scale."""
    channels, axes = getattr(vae, "latent_channels", None), getattr(vae, "latent_dim", None)
    if (channels, axes) != (4, 2):
        what = f"a {type(vae).__name__}" if channels is None else f"one of {channels} channels over {axes} axes"
        raise InputError(f"vae is {what}; connect the VAE of Inhabit Model Loader, or one of Stable Diffusion 1.5")
    return vae.encode(images)


def _context(clip_vision_output, width: int | None) -> Tensor:
    """Return cross-attention tokens (1, 1, D): CLIP's projected image embedding, or zeros where none is given."""
    if clip_vision_output is None:
        return torch.zeros(1, 1, width or CONTEXT_WIDTH)
    embedding = clip_vision_output.image_embeds
    if embedding.shape[0] != 1:
        raise InputError(f"clip_vision_output has {embedding.shape[0]} pictures; give the one of image")
    if width is not None and embedding.shape[-1] != width:
        raise InputError(
            f"clip_vision_output is {embedding.shape[-1]} wide, the model takes {width}; use CLIP ViT-L/14"
        )
    return embedding.reshape(1, 1, -1)
