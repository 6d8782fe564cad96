"""What weights are of, by the names and shapes of their tensors: for messages about files in the wrong place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Shapes = Mapping[str, Sequence[int]]
LORA = re.compile(r"lora[._]?(up|down|A|B|magnitude)\b|\.(hada_w|lokr_w|oft_|dora_scale)")
MARKS = (  # the first of whose names is anywhere in a file's says what it is
    ("a GPTQ or AWQ model of whole numbers", (".qweight", ".qzeros")),
    ("a model quantised by bitsandbytes", (".quant_map", ".quant_state.", ".SCB", ".absmax")),
    ("a model in NVIDIA's 4 bits", (".weight_scale_2",)),
    ("a ControlNet", ("controlnet_cond_embedding.", "control_model.", "input_hint_block.", "zero_convs.")),
    ("an IP-Adapter", ("image_proj.", "ip_adapter.", "image_proj_model.")),
    ("a guidance encoder of Champ", ("guidance_attention.",)),
    ("a model of Stable Video Diffusion", ("time_stack.", "temporal_res_block.", "time_mixer.")),
    ("a textual inversion embedding", ("emb_params", "string_to_param")),
    (
        "a Flux, SD 3 or Wan model, a transformer and no UNet",
        ("double_blocks.", "joint_blocks.", "x_embedder.", "blocks.0.self_attn.", "single_transformer_blocks."),
    ),
)
TEXT_ENCODER = (
    "text_model.encoder.",
    "token_embedding.",
    "encoder.block.0.layer.0.SelfAttention",
    "transformer.resblocks.",
    "lm_head.",
)
VISION = ("vision_model.encoder.", "visual.transformer.")
VAE = ("encoder.down_blocks.", "decoder.up_blocks.", "encoder.down.0.", "decoder.up.0.", "decoder.upsamples.")
XL = ("conditioner.embedders.1.", "label_emb.", "add_embedding.")
UNET = ("input_blocks.", "down_blocks.", "output_blocks.", "up_blocks.")


def what_it_is(shapes: Shapes) -> str | None:
    """Return what a file of these tensors is, with its article; None where nothing says so."""
    names = [*shapes]
    if any(LORA.search(name) for name in names):
        return "a LoRA"
    for what, marks in MARKS:
        if any(mark in name for name in names for mark in marks):
            return what
    if _any(names, "reference.") and _any(names, "denoiser."):
        return "an Inhabit checkpoint"
    unet = [name for name in names if _any([name], *UNET) and "model_ema." not in name and not _any([name], *VAE)]
    if unet or any(name.startswith("model_ema.diffusion_model") for name in names):
        return _of_unet({name: shapes[name] for name in unet}, names)
    if any("pos_encoder.pe" in name or "motion_modules." in name for name in names):
        return "a file of motion modules"
    for what, marks in (("a text encoder", TEXT_ENCODER), ("a CLIP vision model", VISION), ("a VAE", VAE)):
        if _any(names, *marks):
            return what
    return None


def of_attention(shapes: Shapes) -> str | None:
    """Return "Stable Diffusion XL" or "Stable Diffusion 2" where a UNet's cross-attention is of their sizes."""
    spatial = {name: shape for name, shape in shapes.items() if "motion_modules." not in name}
    widths = {shape[-1] for name, shape in spatial.items() if name.endswith("attn2.to_k.weight")}
    if 2048 in widths or _any([*shapes], *XL):
        return "Stable Diffusion XL"
    linear = any(name.endswith("proj_in.weight") and len(shape) == 2 for name, shape in spatial.items())
    return "Stable Diffusion 2" if 1024 in widths or (widths and linear) else None


def _of_unet(unet: Shapes, names: list[str]) -> str:
    whole = any(name.startswith(("first_stage_model.", "cond_stage_model.", "conditioner.")) for name in names)
    other = "Stable Diffusion XL" if _any(names, *XL) else of_attention(unet)
    if all(".motion_modules." in name for name in unet) and unet:
        return "a file of motion modules"
    return f"a {other or 'Stable Diffusion'} {'checkpoint' if whole else 'UNet'}"


def _any(names: Sequence[str], *marks: str) -> bool:
    """Whether a name has one of the marks, at its beginning or behind a dot."""
    return any(name.startswith(mark) or f".{mark}" in name for name in names for mark in marks)
