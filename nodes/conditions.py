"""Condition nodes: what the denoiser is told, as keys on CONDITIONING. `HostedModel.extra_conds` reads them."""

from __future__ import annotations

import functools
from typing import get_args

import node_helpers
import torch
from comfy_api.latest import io
from torch import Tensor

from ..errors import InputError
from ..sampling.conditions import Fill, check_size, environment_frames, latent_mask, object_latents, selected
from ..sampling.inputs import SMALLEST_REFERENCE
from . import host, host_conds
from .inputs import checked_depth, checked_image, checked_mask, chosen, same_frames
from .kinds import positive_and_negative, schema

CATEGORY = "Inhabit/conditions"
MODEL_INPUT, NOISE_MASK = "model input", "noise mask"
CONTEXT_WIDTH = 768  # of Stable Diffusion 1.5's cross-attention, where no model says otherwise


class InhabitReference(io.ComfyNode):
    """The character to animate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitReference",
            display_name="Inhabit Reference",
            category=CATEGORY,
            search_aliases=["character", "identity", "appearance", "animate anyone"],
            description="The character that shall perform. The negative conditioning is without it.",
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of Inhabit Model Loader, or Stable Diffusion 1.5's."),
                io.Image.Input(
                    "image", tooltip="One picture of the character; width and height multiples of 8. Any background."
                ),
                io.Model.Input("model", optional=True, tooltip="Connect it to have the inputs checked against it."),
                io.ClipVisionOutput.Input(
                    "clip_vision_output",
                    optional=True,
                    tooltip="CLIP Vision Encode of the same picture, for models with cross-attention (sd15 size).",
                ),
            ],
            outputs=[io.Conditioning.Output("positive"), io.Conditioning.Output("negative")],
        )

    @classmethod
    def execute(cls, vae, image: Tensor, model=None, clip_vision_output=None) -> io.NodeOutput:
        image = checked_image(image, "the reference")
        if image.shape[0] != 1:
            raise InputError(f"the reference has {image.shape[0]} images; give one (Image From Batch picks it)")
        if min(image.shape[1:3]) < SMALLEST_REFERENCE:
            size = f"{image.shape[2]}x{image.shape[1]}"
            raise InputError(f"the reference is {size} pixels; give at least {SMALLEST_REFERENCE} a side")
        _check_sides(image, "the reference")
        width = None if model is None else host.model_config(model).unet.cross_attention_dim
        context = _context(clip_vision_output, width)
        reference = {host_conds.REFERENCE: _encode(vae, image)}
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
            search_aliases=["pose", "skeleton", "openpose", "dwpose", "driving"],
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
                    tooltip="Blur map of Inhabit Motion Blur, for models that were trained with it; others, as "
                    "inhabit-puppets, leave it out and say so in the log.",
                ),
            ],
            outputs=outputs,
        )

    @classmethod
    def execute(
        cls, positive, negative, skeleton: Tensor, depth: Tensor | None = None, blur: Tensor | None = None
    ) -> io.NodeOutput:
        skeleton = checked_image(skeleton, "the skeleton")
        values = {host_conds.SKELETON: skeleton.movedim(-1, 1)}
        if depth is not None:
            depth = checked_depth(depth, "the depth")
            same_frames(skeleton, depth, "the skeleton", "the depth")
            values[host_conds.DEPTH] = depth.unsqueeze(1)
        if blur is not None:
            blur = checked_image(blur, "the blur map")
            same_frames(skeleton, blur, "the skeleton", "the blur map")
            values[host_conds.BLUR] = blur.movedim(-1, 1)
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
            search_aliases=["background", "scene", "inpaint"],
            description="The driving video without its character, and an empty latent of its length and size.",
            inputs=[
                *inputs,
                io.Vae.Input("vae", tooltip="The same VAE as for the reference."),
                io.Image.Input("driving", tooltip="The driving video's frames; width and height multiples of 8."),
                io.Mask.Input(
                    "mask",
                    tooltip="1 where the new character may appear (Shape-Agnostic Mask). One a frame, or one for all.",
                ),
                io.Combo.Input(
                    "fill",
                    options=list(get_args(Fill)),
                    default="blank",
                    optional=True,
                    tooltip="What fills the masked region: grey, as our models know it, mean colour, or surroundings.",
                ),
                io.Combo.Input(
                    "mode",
                    options=[MODEL_INPUT, NOISE_MASK],
                    default=MODEL_INPUT,
                    optional=True,
                    tooltip="model input: the model is shown the scene, and draws it. noise mask: the latent itself "
                    "keeps the scene outside the mask, with any model, also other packs'.",
                ),
            ],
            outputs=[
                *outputs,
                io.Latent.Output("latent", tooltip="One a frame, for the sampler: empty, or scene and noise mask."),
            ],
        )

    @classmethod
    def execute(
        cls, positive, negative, vae, driving: Tensor, mask: Tensor, fill: str = "blank", mode: str = MODEL_INPUT
    ) -> io.NodeOutput:
        chosen(mode, [MODEL_INPUT, NOISE_MASK], "mode")
        driving, mask = _video_and_mask(driving, mask, "the mask")
        latents = _encode(vae, environment_frames(driving, mask, fill))
        cells = latent_mask(mask, vae.downscale_ratio)
        if mode == NOISE_MASK:
            return io.NodeOutput(positive, negative, {"samples": latents, "noise_mask": cells})
        values = {host_conds.ENVIRONMENT: latents, host_conds.MASK: cells}
        return io.NodeOutput(*_on_both(positive, negative, values), {"samples": torch.zeros_like(latents)})


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
        driving, mask = _video_and_mask(driving, mask, "the object mask")
        if not selected(mask).any():
            return io.NodeOutput(positive, negative)
        values = {host_conds.OBJECTS: object_latents(functools.partial(_encode, vae), driving, mask)}
        return io.NodeOutput(*_on_both(positive, negative, values))


def _on_both(positive, negative, values: dict) -> tuple:
    return tuple(node_helpers.conditioning_set_values(side, values) for side in (positive, negative))


def _video_and_mask(driving: Tensor, mask: Tensor, mask_name: str) -> tuple[Tensor, Tensor]:
    """Return both at equal length and size; one mask serves all frames."""
    driving, mask = checked_image(driving, "the driving video"), checked_mask(mask, mask_name)
    _check_sides(driving, "the driving video")
    if mask.shape[0] == 1:
        mask = mask.expand(driving.shape[0], -1, -1)
    same_frames(driving, mask, "the driving video", mask_name)
    return driving, mask


def _check_sides(image: Tensor, name: str) -> None:
    check_size(name, *image.shape[1:3], 8)


def _encode(vae, images: Tensor) -> Tensor:
    """IMAGE (F, H, W, 3) → latents (F, 4, h, w) in the VAE's own scale."""
    if vae.latent_dim != 2 or vae.latent_channels != 4:
        raise InputError(
            f"the VAE has {vae.latent_channels} channels over {vae.latent_dim} axes; "
            "connect the VAE of Inhabit Model Loader, or one of Stable Diffusion 1.5"
        )
    return vae.encode(images)


def _context(clip_vision_output, width: int | None) -> Tensor:
    """Return cross-attention tokens (1, L, D): CLIP's projected image embedding, or zeros where none is given."""
    if clip_vision_output is None:
        return torch.zeros(1, 1, width or CONTEXT_WIDTH)
    embedding = clip_vision_output.image_embeds.reshape(1, -1, clip_vision_output.image_embeds.shape[-1])
    if width is not None and embedding.shape[-1] != width:
        raise InputError(
            f"the CLIP vision output is {embedding.shape[-1]} wide, the model takes {width}; use CLIP ViT-L/14"
        )
    return embedding
