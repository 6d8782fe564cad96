"""Published layouts, recognised by content and renamed, at full size and against diffusers' own key names."""

import pytest
import torch
from inhabit.errors import InputError
from inhabit.weights.files import Weights
from inhabit.weights.layouts import recognise

from . import published
from .published import SD15


@pytest.fixture(scope="module")
def motion_keys():
    """`UNetMotionModel` of AnimateDiff's three versions."""
    versions = {"v1": (24, False), "v2": (32, True), "v3": (32, False)}
    return {
        name: published.keys(published.temporal, SD15, motion_max_seq_length=length, use_motion_mid_block=middle)
        for name, (length, middle) in versions.items()
    }


@pytest.fixture(scope="module")
def spatial_keys():
    return published.keys(published.spatial, SD15)


def recognised(tensors: dict, **rest):
    return recognise(Weights("a file", tensors, **rest))


def shapes(tensors: dict) -> dict:
    return {name: tensor.shape for name, tensor in tensors.items()}


def prefixed(prefix: str, tensors: dict) -> dict:
    return {f"{prefix}{name}": shape for name, shape in shapes(tensors).items()}


def test_animate_anyones_networks(spatial_keys):
    for tensors, layout, prefix in (
        (published.without_head(spatial_keys), "ReferenceNet", "reference."),
        (spatial_keys, "UNet", "denoiser."),
        (published.pose_guider((16, 32, 96, 256), 320), "pose guider", "pose.skeleton."),
    ):
        part = recognised(tensors)
        assert part.layout == layout and not part.ignored
        assert shapes(part.tensors) == prefixed(prefix, tensors)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_animatediffs_motion_modules_get_diffusers_names(motion_keys, version, prefix):
    whole = motion_keys[version]
    expected = {name: tensor for name, tensor in whole.items() if ".motion_modules." in name}
    part = recognised(published.animatediff(whole, prefix), others=("epoch", "global_step"))
    assert (part.layout, part.roles) == ("motion modules", ("motion modules",))
    assert shapes(part.tensors) == prefixed("denoiser.", expected)
    tables, others = part.ignored.values()
    assert len(tables) == len(expected) / 27 and all(name.endswith("1.pos_encoder.pe") for name in tables)
    assert others == ("epoch", "global_step")


def test_diffusers_own_names_are_taken_as_they_are(motion_keys):
    motion = {name: tensor for name, tensor in motion_keys["v2"].items() if ".motion_modules." in name}
    assert shapes(recognised(motion).tensors) == prefixed("denoiser.", motion)


def test_a_denoiser_with_motion_modules_inside_gives_both(motion_keys):
    whole = motion_keys["v2"]
    part = recognised(published.without_motion(whole) | published.animatediff(whole))
    assert part.roles == ("denoiser", "motion modules") and shapes(part.tensors) == prefixed("denoiser.", whole)
    assert len(part.tensors) == 1253


@pytest.mark.parametrize(("size", "layers"), [(SD15, 2), (published.TINY, 1), (published.TWO_LEVELS, 3)])
def test_stable_diffusions_checkpoint_gets_diffusers_names(size, layers):
    """Every tensor is told from the others by its content."""
    unet = published.keys(published.spatial, size, layers_per_block=layers)
    unet = {name: torch.tensor(float(i)).expand(t.shape) for i, (name, t) in enumerate(unet.items())}
    beside = {"first_stage_model.encoder.conv_in.weight": torch.zeros(1), "alphas_cumprod": torch.zeros(1)}
    beside |= {f"model_ema.{i}": torch.zeros(1) for i in range(101)}
    part = recognised(published.original(unet, len(size["block_out_channels"]), layers) | beside)
    assert (part.layout, part.roles) == ("Stable Diffusion checkpoint", ("denoiser",))
    assert shapes(part.tensors) == prefixed("denoiser.", unet)
    assert all(tensor.flatten()[0] == unet[name[9:]].flatten()[0] for name, tensor in part.tensors.items())
    assert set(part.ignored["not of the UNet"]) == beside.keys()


def test_unknown_keys_stay_and_no_tensor_is_copied(motion_keys):
    tensors = published.animatediff(motion_keys["v1"]) | {"down_blocks.0.motion_modules.0.colour": torch.zeros(1)}
    part = recognised(tensors)
    assert "denoiser.down_blocks.0.motion_modules.0.colour" in part.tensors
    name = "down_blocks.1.motion_modules.0.temporal_transformer.proj_in.weight"
    assert part.tensors["denoiser.down_blocks.1.motion_modules.0.proj_in.weight"] is tensors[name]


def _vector(size: int) -> torch.Tensor:
    return torch.zeros(size, size)


CROSS, ENTRY = "transformer_blocks.0.attn2.to_k.weight", "proj_in.weight"
WRONG = {
    "LoRA": ({"lora_unet_mid_block.lora_up.weight": _vector(2)}, "is a LoRA"),
    "LoRA of peft": ({"unet.conv.lora_A.weight": _vector(2)}, "is a LoRA"),
    "motion LoRA": ({"module.down_blocks.0.motion_modules.0.to_q_lora.down.weight": _vector(2)}, "is a LoRA"),
    "SDXL": ({"conditioner.embedders.0.x": _vector(2), f"{published.ORIGINAL}out.0.bias": _vector(2)}, "XL .*1.5"),
    "SDXL's UNet": ({f"{published.ORIGINAL}label_emb.0.0.weight": _vector(2)}, "Stable Diffusion XL"),
    "SDXL in diffusers' names": ({f"down_blocks.1.attentions.0.{CROSS}": torch.zeros(1).expand(640, 2048)}, "XL"),
    "SD 2": ({f"{published.ORIGINAL}input_blocks.1.1.{CROSS}": torch.zeros(1).expand(320, 1024)}, "Diffusion 2 .*1.5"),
    "SD 2 by its projections": (
        {f"down_blocks.0.attentions.0.{CROSS}": _vector(8), f"down_blocks.0.attentions.0.{ENTRY}": _vector(8)},
        "Diffusion 2",
    ),
    "Champ's guidance": (
        {"conv_in.weight": _vector(2), "blocks.0.weight": _vector(2), "attentions.0.norm.weight": _vector(2)},
        "guidance encoder of Champ.* give Animate Anyone's",
    ),
    "our own": ({"denoiser.conv_in.weight": _vector(2), "reference.conv_in.weight": _vector(2)}, "Inhabit checkpoint"),
    "a VAE": (
        {"decoder.conv_in.weight": _vector(2)},
        r"no network .* \(its first keys: decoder.conv_in.weight\): give",
    ),
    "nothing": ({}, "none"),
    "half a checkpoint": ({f"{published.ORIGINAL}output_blocks.0.1.conv.weight": _vector(2)}, "conv.bias.* is missing"),
}


@pytest.mark.parametrize(("tensors", "message"), WRONG.values(), ids=WRONG)
def test_other_kinds_are_named(tensors, message):
    with pytest.raises(InputError, match=message) as error:
        recognised(tensors)
    assert "\n" not in str(error.value) and str(error.value).startswith("a file ")


def test_two_different_position_tables_are_refused(motion_keys):
    tensors = published.animatediff(motion_keys["v1"])
    name = next(name for name in tensors if name.endswith("attention_blocks.1.pos_encoder.pe"))
    with pytest.raises(InputError, match=f"position tables that differ .*{name}.* give"):
        recognised(tensors | {name: tensors[name] + 1})
