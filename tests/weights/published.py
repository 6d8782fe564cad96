"""Weights in the layouts that others publish, made from diffusers' own classes by the inverse of the renaming."""

import re

import torch
from diffusers import UNet2DConditionModel, UNetMotionModel

SD15 = dict(block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768)
TINY = dict(block_out_channels=(32, 64, 64, 64), cross_attention_dim=24)
TWO_LEVELS = dict(block_out_channels=(32, 64), cross_attention_dim=24)
GUIDER = (8, 16, 16, 32)  # widths of a tiny pose guider
ORIGINAL = "model.diffusion_model."


def spatial(size: dict, **changes) -> UNet2DConditionModel:
    """Stable Diffusion's UNet of this size: attention on all levels but the last."""
    levels = len(size["block_out_channels"])
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        **size,
        **changes,
    )


def temporal(size: dict, **changes) -> UNetMotionModel:
    """The same with motion modules; `motion_max_seq_length` and `use_motion_mid_block` make AnimateDiff's versions."""
    levels = len(size["block_out_channels"])
    return UNetMotionModel(
        down_block_types=("CrossAttnDownBlockMotion",) * (levels - 1) + ("DownBlockMotion",),
        up_block_types=("UpBlockMotion",) + ("CrossAttnUpBlockMotion",) * (levels - 1),
        **size,
        **changes,
    )


def keys(build, *arguments, **changes) -> dict[str, torch.Tensor]:
    """The state dict of a full-size network without its memory: every tensor is one number, expanded."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build(*arguments, **changes).state_dict().items()}
    return {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}


def without_head(tensors: dict) -> dict:
    """A UNet as Animate Anyone saves its ReferenceNet."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(("conv_norm_out.", "conv_out."))}


def without_motion(tensors: dict) -> dict:
    return {name: tensor for name, tensor in tensors.items() if ".motion_modules." not in name}


def animatediff(tensors: dict, prefix: str = "") -> dict:
    """The motion modules of a `UNetMotionModel` as AnimateDiff and Animate Anyone name them, two tables in each."""
    found = {}
    for name, tensor in tensors.items():
        if ".motion_modules." not in name:
            continue
        place, rest = re.fullmatch(r"(.*\.motion_modules\.\d+)\.(.*)", name).groups()
        block, _, layer = rest.rpartition("transformer_blocks.0.")
        for new, old in (("attn1.", "attention_blocks.0."), ("attn2.", "attention_blocks.1.")):
            layer = layer.replace(new, old)
        for new, old in (("norm1.", "norms.0."), ("norm2.", "norms.1."), ("norm3.", "ff_norm.")):
            layer = layer.replace(new, old)
        layers = [layer]
        if layer == "pos_embed.pe":
            layers = [f"attention_blocks.{i}.pos_encoder.pe" for i in (0, 1)]
        block = "transformer_blocks.0." if block or "transformer_blocks" in rest else ""
        found |= {f"{prefix}{place}.temporal_transformer.{block}{layer}": tensor for layer in layers}
    return found


def original(tensors: dict, levels: int, layers: int = 2) -> dict:
    """A `UNet2DConditionModel`'s tensors by CompVis' names (`ldm.modules.diffusionmodules.openaimodel.UNetModel`)."""
    return {f"{ORIGINAL}{_original_name(name, levels, layers)}": tensor for name, tensor in tensors.items()}


def _original_name(name: str, levels: int, layers: int) -> str:
    for ours, theirs in {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    found = re.fullmatch(r"(\w+?)_blocks?\.(?:(\d+)\.)?(resnets|attentions|\w+samplers)\.(\d+)\.(.*)", name)
    side, level, kind, index = found[1], int(found[2] or 0), found[3], int(found[4])
    if side == "mid":
        place = f"middle_block.{2 * index if kind == 'resnets' else 1}"
    elif kind == "downsamplers":
        return f"input_blocks.{(level + 1) * (layers + 1)}.0.op.{found[5].removeprefix('conv.')}"
    elif kind == "upsamplers":  # behind the attention, which the lowest level has not
        return f"output_blocks.{level * (layers + 1) + layers}.{1 if level == 0 else 2}.{found[5]}"
    else:
        number = 1 + level * (layers + 1) + index if side == "down" else level * (layers + 1) + index
        place = f"{'input' if side == 'down' else 'output'}_blocks.{number}.{0 if kind == 'resnets' else 1}"
    return f"{place}.{_original_resnet(found[5]) if kind == 'resnets' else found[5]}"


def _original_resnet(layer: str) -> str:
    module, _, kind = layer.rpartition(".")
    names = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1"}
    names |= {"norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
    return f"{names[module]}.{kind}"


def pose_guider(channels: tuple[int, ...], width: int, make=torch.zeros) -> dict[str, torch.Tensor]:
    """Animate Anyone's pose guider, written out: 3×3 convolutions, two a step, and a last one to the UNet's width."""
    widths = [(3, channels[0])]
    for here, following in zip(channels, channels[1:], strict=False):
        widths += [(here, here), (here, following)]
    names = ["conv_in", *(f"blocks.{i}" for i in range(len(widths) - 1)), "conv_out"]
    found = {}
    for name, (before, after) in zip(names, [*widths, (channels[-1], width)], strict=True):
        found |= {f"{name}.weight": make(after, before, 3, 3), f"{name}.bias": make(after)}
    return found
