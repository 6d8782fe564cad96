"""The forms in which people have weights: read where they can be, else named for what they are."""

import gzip
import io
import json

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.weights import load, read_config, save
from inhabit.weights.conversion import convert
from inhabit.weights.files import read_safetensors, read_weights
from inhabit.weights.layouts import recognise, recognise_all
from inhabit.weights.lora import read_lora
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from ..models.conftest import randomise, tiny_config
from . import published

SMALL = dict(block_out_channels=(32, 64), cross_attention_dim=24)


@pytest.fixture(scope="module")
def unet():
    """A small Stable Diffusion UNet of diffusers."""
    return randomise(published.spatial(SMALL, layers_per_block=1)).half()


@pytest.fixture(scope="module")
def original(unet):
    """Its tensors by CompVis' names, without a prefix."""
    named = published.original(unet.state_dict(), levels=2, layers=1)
    return {name.removeprefix(published.ORIGINAL): tensor for name, tensor in named.items()}


def saved(path, tensors: dict, **header):
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=header or None)
    return path


def is_the_denoiser(path, unet, **close) -> bool:
    """Whether a file gives exactly the UNet's tensors as a denoiser."""
    part = recognise(read_weights(path))
    expected = {f"denoiser.{name}": tensor for name, tensor in unet.state_dict().items()}
    assert part.roles == ("denoiser",) and part.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(part.tensors[name].float(), tensor.float(), **close or dict(rtol=0, atol=0))
    return True


PREFIXES = ["", "_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "unet.", "unet._orig_mod.", "model."]
PREFIXES += ["model.diffusion_model.", "diffusion_model.", "module.unet.", "ema_model.", "net.unet."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("names", ["diffusers", "CompVis"])
def test_whatever_wraps_a_network(unet, original, tmp_path, prefix, names):
    tensors = unet.state_dict() if names == "diffusers" else original
    beside = {"vae.encoder.conv_in.bias": torch.zeros(2)} if prefix.replace("_orig_mod.", "") else {}
    path = saved(tmp_path / "a.safetensors", {f"{prefix}{name}": t for name, t in tensors.items()} | beside)
    assert is_the_denoiser(path, unet)
    ignored = recognise(read_weights(path)).ignored
    assert ignored == ({"not of the UNet": tuple(beside)} if beside else {})


def test_parts_that_were_compiled_alone(unet, tmp_path):
    names = {name: name.replace("down_blocks.0.", "down_blocks.0._orig_mod.") for name in unet.state_dict()}
    path = saved(tmp_path / "a.safetensors", {names[name]: t for name, t in unet.state_dict().items()})
    assert is_the_denoiser(path, unet)


def test_moving_averages_alone_without_dots_in_their_names(tmp_path):
    """At ten and more blocks the numbers run together: input_blocks.10.0 and input_blocks.1.0 must not."""
    network = randomise(published.spatial(published.TINY)).half()
    whole = published.original(network.state_dict(), levels=4)
    averaged = {f"model_ema.{name.removeprefix('model.').replace('.', '')}": t for name, t in whole.items()}
    assert "model_ema.diffusion_modelinput_blocks100in_layers0weight" in averaged
    averaged |= {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(3)}
    path = saved(tmp_path / "ema.safetensors", averaged)
    assert is_the_denoiser(path, network)
    doubled = {name: 2 * tensor for name, tensor in whole.items()}
    part = recognise(read_weights(saved(tmp_path / "other.safetensors", averaged | doubled)))
    entry = network.state_dict()["conv_in.weight"]
    assert torch.equal(part.tensors["denoiser.conv_in.weight"], 2 * entry), "where both are there, the model's own"


@pytest.mark.parametrize("safe", [True, False])
def test_a_file_in_parts_by_its_index_its_folder_or_one_part(unet, tmp_path, safe):
    unet.save_pretrained(tmp_path, max_shard_size="100KB", safe_serialization=safe)
    [index] = tmp_path.glob("*.index.json")
    parts = sorted(tmp_path.glob("*-of-*"))
    assert len(parts) > 2
    for path in (tmp_path, index, parts[0], parts[-1]):
        assert is_the_denoiser(path, unet)
    parts[1].unlink()
    with pytest.raises(InputError, match=rf"in {len(parts)} parts, and 1 of them .* as {parts[1].name}: put all parts"):
        read_weights(index)
    with pytest.raises(InputError, match=f"as {parts[1].name}: put all parts"):
        read_weights(parts[0])


@pytest.mark.parametrize("ending", ["ckpt", "pt", "pth", "bin", "sft", "safetensors.part"])
def test_the_content_tells_not_the_ending(unet, tmp_path, ending):
    assert is_the_denoiser(saved(tmp_path / f"a.{ending}", unet.state_dict()), unet)
    for new in (True, False):
        torch.save(unet.state_dict(), tmp_path / "b.safetensors", _use_new_zipfile_serialization=new)
        assert is_the_denoiser(tmp_path / "b.safetensors", unet)
        with pytest.raises(InputError, match="is pickled by PyTorch, whatever its name says"):
            load(tmp_path / "b.safetensors")


@pytest.mark.parametrize("entry", ["state_dict", "model", "module", "unet", "ema"])
def test_what_a_trainer_saved_around_the_weights(unet, tmp_path, entry):
    torch.save({entry: unet.state_dict(), "step": 4, "optimizer": {"state": {}}}, tmp_path / "a.pt")
    assert is_the_denoiser(tmp_path / "a.pt", unet)


@pytest.mark.parametrize("names", [("scale_weight", "scale_input"), ("weight_scale", "input_scale")])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_scaled_eight_bits_are_multiplied_out(unet, original, tmp_path, names, prefix):
    tensors, expected = {f"{prefix}scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, {}
    for index, (name, tensor) in enumerate(original.items()):
        if tensor.dim() < 2 or not name.endswith("weight"):
            tensors[prefix + name] = expected[name] = tensor
            continue
        scale = tensor.float().abs().max() / 448
        if index % 3 == 0:  # some one a row, as newer programs write them
            scale = tensor.float().flatten(1).abs().amax(1) / 448
        rows = scale.view(-1, *[1] * (tensor.dim() - 1)) if scale.dim() else scale
        stored = (tensor.float() / rows).to(torch.float8_e4m3fn)
        layer = prefix + name.removesuffix("weight")
        tensors |= {prefix + name: stored, layer + names[0]: scale, layer + names[1]: torch.tensor(1.0)}
        expected[name] = stored.float() * rows
    part = recognise(read_weights(saved(tmp_path / "a.safetensors", tensors)))
    assert not part.ignored and all(tensor.dtype == torch.float16 for tensor in part.tensors.values())
    read = published.original(
        {name.removeprefix("denoiser."): tensor for name, tensor in part.tensors.items()}, levels=2, layers=1
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(read[published.ORIGINAL + name].float(), tensor.float(), rtol=1e-3, atol=1e-6)
    assert is_the_denoiser(tmp_path / "a.safetensors", unet, rtol=0.07, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_plain_eight_bits_are_converted(unet, tmp_path, dtype):
    small = {name: tensor.to(dtype) for name, tensor in unet.state_dict().items()}
    report = convert("sd15", [saved(tmp_path / "a.safetensors", small)], tmp_path / "b.safetensors")
    assert "0 missing" in report.written
    made = load_file(tmp_path / "b.safetensors")
    for name, tensor in small.items():
        ours = made[f"denoiser.{name}"]
        ours = ours[:, : tensor.shape[1]] if ours.dim() > 1 else ours  # without the environment's channels
        assert ours.dtype == torch.float16 and torch.equal(ours, tensor.half())


QUANTISED = {
    "nvfp4": ({"a.weight": torch.zeros(4, 4, dtype=torch.uint8), "a.weight_scale": torch.ones(4, 1)}, "in blocks"),
    "blocks": ({"a.weight": torch.zeros(4, 8, dtype=torch.int8), "a.weight_scale": torch.ones(4, 2)}, "in blocks"),
    "by its own word": ({"a.comfy_quant": torch.tensor(list(b'{"format": "mxfp8"}'), dtype=torch.uint8)}, "as mxfp8"),
    "bitsandbytes": ({"a.weight": torch.zeros(4), "a.weight.absmax": torch.zeros(1)}, "quantised by bitsandbytes"),
}


@pytest.mark.parametrize("kind", QUANTISED)
def test_other_quantisations_are_named(tmp_path, kind):
    tensors, said = QUANTISED[kind]
    with pytest.raises(InputError, match=f"a.safetensors is .*{said}"):
        recognise(read_weights(saved(tmp_path / "a.safetensors", tensors)))


def test_the_networks_of_a_training_in_one_file(tmp_path):
    """As accelerate saves Animate Anyone's: one module around all."""
    reference, denoiser = published.spatial(SMALL, layers_per_block=1), published.spatial(SMALL, layers_per_block=1)
    guider = published.pose_guider(published.GUIDER, 32)
    tensors = {f"reference_unet.{n}": t for n, t in published.without_head(reference.state_dict()).items()}
    tensors |= {f"denoising_unet.{n}": t for n, t in denoiser.state_dict().items()}
    tensors |= {f"pose_guider.{n}": t for n, t in guider.items()}
    parts = recognise_all(read_weights(saved(tmp_path / "model.safetensors", tensors)))
    assert {part.layout: len(part.tensors) for part in parts} == {
        "ReferenceNet": len(published.without_head(reference.state_dict())),
        "UNet": len(denoiser.state_dict()),
        "pose guider": len(guider),
    }


def picture() -> bytes:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(made := io.BytesIO(), "PNG")
    return made.getvalue()


FILES = {
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(600), "is a GGUF file, quantised for other programs: give"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21461\nsize 3438167540\n",
        "is a Git LFS pointer, not the file it points to: fetch",
    ),
    "page": (b"\n<!DOCTYPE html><html><head><title>Sign in</title>", "is a web page, saved in place of the file"),
    "description": (b'{"_class_name": "UNet2DConditionModel"}', "is no weight file: .*JSON, a description without"),
    "packed": (gzip.compress(bytes(900)), "is packed with gzip: unpack"),
    "picture": (picture(), "is a picture: give"),
    "nothing": (b"", "is no weight file: .*it is empty: copy or download it again"),
    "words": (b"404: Not Found", "is no weight file: .*it is text that begins"),
    "noise": (bytes(range(1, 200)), "is no weight file: give"),
}


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
@pytest.mark.parametrize("kind", FILES)
def test_files_without_weights_are_named(tmp_path, kind, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(FILES[kind][0])
    for read in (read_weights, read_safetensors, load, read_lora):
        with pytest.raises(InputError, match=FILES[kind][1]) as error:
            read(path)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
        assert "download it again" not in str(error.value) or kind == "nothing"


def networks() -> dict:
    """What a network is → its own library's tensors, small."""
    text = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    blocks = dict(down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), block_out_channels=(32, 64))
    control = ControlNetModel(**blocks, cross_attention_dim=8, conditioning_embedding_out_channels=(8, 16))
    return {
        "a text encoder": CLIPTextModel(CLIPTextConfig(**text)).state_dict(),
        "a CLIP vision model": CLIPVisionModelWithProjection(CLIPVisionConfig(**vision)).state_dict(),
        "a VAE": vae.state_dict(),
        "a ControlNet": control.state_dict(),
        "a LoRA": {"unet.up_blocks.0.attentions.0.to_q.lora_A.weight": torch.zeros(2, 2)},
        "a Stable Diffusion 2": published.keys(published.spatial, dict(SMALL, cross_attention_dim=1024)),
        "a Stable Diffusion XL": published.keys(published.spatial, dict(SMALL, cross_attention_dim=2048)),
        "an IP-Adapter": {"image_proj.proj.weight": torch.zeros(2, 2), "ip_adapter.1.to_k_ip.weight": torch.zeros(2)},
        "a Flux, SD 3 or Wan model": {"double_blocks.0.img_attn.qkv.weight": torch.zeros(2, 2)},
    }


NETWORKS = networks()


@pytest.mark.parametrize("kind", NETWORKS)
def test_other_networks_are_named(tmp_path, kind):
    path = saved(tmp_path / "a.safetensors", {name: tensor.clone() for name, tensor in NETWORKS[kind].items()})
    with pytest.raises(InputError, match=f"a.safetensors is {kind}.*[,:] ") as refused:
        recognise(read_weights(path))
    with pytest.raises(InputError, match=f"a.safetensors is not an Inhabit checkpoint but {kind}") as unloaded:
        read_config(path)
    told = [refused, unloaded]
    if kind != "a LoRA":
        with pytest.raises(InputError, match=f"a.safetensors is {kind}.*not a LoRA") as no_lora:
            read_lora(path)
        told.append(no_lora)
    assert not any("download" in str(error.value) or "\n" in str(error.value) for error in told)


def test_a_stable_diffusion_checkpoint_is_no_model_yet(original, tmp_path):
    tensors = {published.ORIGINAL + name: tensor for name, tensor in original.items()}
    path = saved(tmp_path / "a.safetensors", tensors | {"first_stage_model.encoder.conv_in.bias": torch.zeros(2)})
    with pytest.raises(InputError, match="but a Stable Diffusion checkpoint .*: make a model .* `inhabit convert"):
        read_config(path)


WRONG = [(float("nan"), torch.float32), (float("inf"), torch.float16), (float("-inf"), torch.bfloat16)]


@pytest.mark.parametrize(("wrong", "dtype"), WRONG)
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path, unet, wrong, dtype):
    model = AnimationModel(tiny_config())
    model.denoiser.conv_out.bias.data[1] = wrong
    save(tmp_path / "a.safetensors", model, dtype=dtype)
    with pytest.raises(InputError, match=r"a.safetensors holds 1 NaN or infinite values in denoiser.conv_out.bias"):
        load(tmp_path / "a.safetensors", dtype=torch.float32)
    tensors = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    tensors["mid_block.resnets.0.conv1.weight"][0, 0, 0, :2] = wrong
    torch.save(tensors, tmp_path / "b.pth")
    for path in (tmp_path / "b.pth", saved(tmp_path / "b.safetensors", tensors)):
        with pytest.raises(InputError, match=f"{path.name} holds 2 NaN .*mid_block.resnets.0.conv1.weight"):
            convert("sd15", [path], tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()
    pair = {"lora_A.weight": torch.ones(2, 4), "lora_B.weight": torch.tensor([[1.0, wrong]] * 4)}
    lora = saved(tmp_path / "lora.safetensors", {f"up_blocks.0.to_q.{name}": t for name, t in pair.items()})
    with pytest.raises(InputError, match="lora.safetensors holds 4 NaN or infinite values in up_blocks.0.to_q.lora_B"):
        read_lora(lora)


def test_nan_in_eight_bits_is_seen(tmp_path):
    stored = torch.tensor([[1.0, float("nan")]]).to(torch.float8_e4m3fn)
    with pytest.raises(InputError, match="1 NaN or infinite values in a.weight"):
        read_weights(saved(tmp_path / "a.safetensors", {"a.weight": stored}))


def test_index_files_name_parts_of_their_own_folder(tmp_path):
    (tmp_path / "a.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../b.safetensors"}}))
    with pytest.raises(InputError, match="parts that are not in its own folder"):
        read_weights(tmp_path / "a.safetensors.index.json")
