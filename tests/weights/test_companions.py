"""Full-size companions, against the libraries they come from."""

import re

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from inhabit.errors import InputError
from inhabit.media import to_float, write_pose
from inhabit.models import PRESETS
from inhabit.models.config import LatentConfig
from inhabit.pipeline.inputs import InputFiles, load_inputs
from inhabit.scenes import render_scene
from inhabit.weights import companions as external
from inhabit.weights.companions import clip_pixels, image_context, load_vae
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

LATENT = LatentConfig(channels=4, downscale=8, scale=0.18215)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
    ).eval()
    folder = tmp_path_factory.mktemp("vae")
    vae.save_pretrained(folder)
    return folder, vae


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, projection_dim=12)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=224, patch_size=56)).eval()
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return folder, model


def test_vae_encodes_and_decodes_as_diffusers_does(vae):
    folder, expected = vae
    codec = load_vae(folder, LATENT)
    images = torch.rand(3, 16, 24, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        latents = expected.encode(images.movedim(-1, 1) * 2 - 1).latent_dist.mean * 0.18215
        pictures = (expected.decode(latents / 0.18215).sample / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    torch.testing.assert_close(codec.encode(images), latents)
    torch.testing.assert_close(codec.decode(latents), pictures)


@pytest.mark.parametrize("names", ["today's", "the first ones", "Stable Diffusion's"])
def test_vae_from_one_file(vae, tmp_path, monkeypatch, names):
    folder, expected = vae
    monkeypatch.setattr(external, "SD15_VAE", {k: v for k, v in expected.config.items() if not k.startswith("_")})
    tensors = expected.state_dict()
    if names == "the first ones":
        pairs = ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn."))
        for new, old in pairs:
            tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
        assert "encoder.mid_block.attentions.0.proj_attn.weight" in tensors
    if names == "Stable Diffusion's":
        tensors = dict(original(*item) for item in tensors.items())
        assert "decoder.up.3.upsample.conv.weight" in tensors and tensors["encoder.mid.attn_1.q.weight"].ndim == 4
    save_file(tensors, tmp_path / "vae.safetensors")
    loaded = load_vae(tmp_path / "vae.safetensors", LATENT).vae.vae.state_dict()
    assert loaded.keys() == expected.state_dict().keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.state_dict().items())


FORMS = {
    "compiled": ("{}", "_orig_mod.", "a.safetensors"),
    "in parallel": ("{}", "module.", "a.safetensors"),
    "part of a pipeline": ("{}", "vae.", "a.safetensors"),
    "under another ending": ("{}", "", "a.ckpt"),
    "pickled": ("pickle", "", "vae-ft-mse-840000-ema-pruned.ckpt"),
    "pickled under a wrong ending": ("pickle", "", "a.safetensors"),
}


@pytest.mark.parametrize("form", FORMS)
def test_vae_in_the_forms_people_have(vae, tmp_path, monkeypatch, form):
    folder, expected = vae
    monkeypatch.setattr(external, "SD15_VAE", {k: v for k, v in expected.config.items() if not k.startswith("_")})
    how, prefix, name = FORMS[form]
    tensors = {f"{prefix}{key}": tensor for key, tensor in expected.state_dict().items()}
    if how == "pickle":
        torch.save({"state_dict": tensors}, tmp_path / name)
    else:
        save_file(tensors, tmp_path / name)
    loaded = load_vae(tmp_path / name, LATENT).vae.vae.state_dict()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in expected.state_dict().items())


def test_vae_inside_a_whole_checkpoint_a_pipelines_folder_or_parts(vae, tmp_path, monkeypatch):
    folder, expected = vae
    monkeypatch.setattr(external, "SD15_VAE", {k: v for k, v in expected.config.items() if not k.startswith("_")})
    whole = {f"first_stage_model.{n}": t for n, t in (original(*item) for item in expected.state_dict().items())}
    save_file(whole | {"model.diffusion_model.out.2.bias": torch.zeros(4)}, tmp_path / "sd.safetensors")
    expected.save_pretrained(tmp_path / "pipeline" / "vae", max_shard_size="20KB")
    [index] = (tmp_path / "pipeline" / "vae").glob("*.index.json")
    for path in (tmp_path / "sd.safetensors", tmp_path / "pipeline", index):
        loaded = load_vae(path, LATENT).vae.vae.state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in expected.state_dict().items())


def test_a_vae_of_no_numbers_and_other_networks_are_named(vae, tmp_path):
    tensors = {name: tensor.clone() for name, tensor in vae[1].state_dict().items()}
    tensors["decoder.conv_out.bias"][2] = float("nan")
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(InputError, match="nan.safetensors holds 1 NaN or infinite values in decoder.conv_out.bias"):
        load_vae(tmp_path / "nan.safetensors", LATENT)
    save_file({"text_model.encoder.layers.0.mlp.fc1.bias": torch.zeros(2)}, tmp_path / "text.safetensors")
    with pytest.raises(InputError, match="is not a Stable Diffusion 1.5 VAE but a text encoder: give another file"):
        load_vae(tmp_path / "text.safetensors", LATENT)


def original(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    """A tensor as CompVis' `ldm.modules.diffusionmodules.model` names it; its attention is made of 1×1 convolutions."""
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{3 - int(found[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{3 - int(found[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    if "attentions" in name:
        if name.endswith("weight") and tensor.ndim == 2:
            tensor = tensor[:, :, None, None].clone()
        name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
        name = re.sub(r"to_([qkv])", r"\1", name).replace("to_out.0", "proj_out")
    return name, tensor


def test_vae_of_another_shape_is_refused(vae, tmp_path):
    with pytest.raises(InputError, match="4 channels at 1/8, the model needs 4 at 1/4: give"):
        load_vae(vae[0], LatentConfig(channels=4, downscale=4))
    with pytest.raises(InputError, match="not a diffusers VAE folder"):
        load_vae(tmp_path, LATENT)


def test_image_context_is_the_embedding_that_animate_anyones_pipelines_make(clip):
    """Their line: `CLIPImageProcessor().preprocess(ref_image.resize((224, 224)))`, on a PIL picture of any shape."""
    folder, expected = clip
    random = np.random.default_rng(2)
    smooth = Image.fromarray(random.integers(0, 256, (9, 5, 3), np.uint8)).resize((150, 420), Image.Resampling.BICUBIC)
    pixels = CLIPImageProcessor().preprocess(smooth.resize((224, 224)), return_tensors="pt").pixel_values
    picture = to_float(np.array(smooth))[None]
    ours = clip_pixels(picture)
    one_level = 1 / 255 / 0.26
    assert (ours - pixels).abs().max() < 1.01 * one_level and (ours - pixels).abs().mean() < 0.2 * one_level
    cropped = CLIPImageProcessor().preprocess(smooth, return_tensors="pt").pixel_values
    assert (ours - cropped).abs().mean() > 0.1, "the middle alone is another picture"
    with torch.inference_mode():
        wanted = expected(pixels).image_embeds
    context = image_context(folder, picture, width=12)
    assert context.shape == (1, 1, 12)
    torch.testing.assert_close(context[0], wanted, atol=0.01, rtol=0.01)


def test_the_command_line_embeds_the_picture_of_the_file_not_the_shrunk_one(tmp_path):
    """As the graph does, where CLIP Vision Encode is wired to Load Image: both must see the same picture."""
    fine = np.random.default_rng(5).integers(0, 256, (320, 256, 3), np.uint8)
    Image.fromarray(fine).save(tmp_path / "reference.png")
    scene = render_scene(900001, "walk", 2, 96, 96)
    write_pose(tmp_path / "pose.json", scene.pose)
    files = InputFiles(reference=tmp_path / "reference.png", pose=tmp_path / "pose.json", size=(96, 96))
    inputs = load_inputs(files, PRESETS["puppets"])
    assert inputs.reference.shape[1] * inputs.reference.shape[2] <= 96 * 96
    assert torch.equal(inputs.picture[0], torch.from_numpy(fine) / 255)
    assert (clip_pixels(inputs.picture) - clip_pixels(inputs.reference)).abs().mean() > 0.1


def test_clip_of_another_kind_is_refused(clip, tmp_path):
    reference = torch.zeros(1, 8, 8, 3)
    with pytest.raises(InputError, match="embeds in 12 numbers, the model reads 768: give"):
        image_context(clip[0], reference, width=768)
    with pytest.raises(InputError, match="not a CLIP vision folder"):
        image_context(tmp_path, reference, width=12)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="a.safetensors is not a CLIP ViT-L/14"):
        image_context(tmp_path / "a.safetensors", reference, width=768)
