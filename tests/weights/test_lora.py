"""LoRA files as peft, diffusers and kohya's scripts write them: what `read_lora` makes of them changes the weights as
peft's own merge does."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.weights.lora import layer_of, merge_lora, read_lora
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from ..models.conftest import randomise, tiny_config
from . import published

TARGETS = ["to_q", "to_out.0", "conv1", "time_emb_proj"]  # linear layers and 3x3 convolutions
PLAIN = {"r": 4, "lora_alpha": 6}
SETTINGS = {
    "plain": PLAIN,
    "stabilised": {**PLAIN, "use_rslora": True},
    "patterns": {
        **PLAIN,
        "rank_pattern": {"to_q": 2},
        "alpha_pattern": {"down_blocks.0.resnets.1.conv1": 5, "to_q": 3},
    },
}


def adapted(network: torch.nn.Module, **settings):
    """Return peft's model around the network, every matrix of the adapter random."""
    settings = LoraConfig(**{**PLAIN, **settings}, target_modules=TARGETS)
    model = get_peft_model(randomise(network), settings)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=torch.manual_seed(len(name))) * 0.1
    return model


def differences(model) -> dict[str, torch.Tensor]:
    """Return what peft's own merge adds to every weight that it changes."""
    merged = copy.deepcopy(model).merge_and_unload().state_dict()
    before = copy.deepcopy(model).unload().state_dict()
    changes = {name: merged[name] - before[name] for name in merged}
    return {name: change for name, change in changes.items() if change.any()}


def check(path: Path, model) -> dict[str, torch.Tensor]:
    """Assert that the file changes what peft's merge changes; return what was read."""
    lora, expected = read_lora(path), differences(model)
    layers = {layer_of(name) for name in lora}
    assert layers == {"diffusion_model." + name.removesuffix(".weight") for name in expected} and len(layers) > 20
    for layer in layers:
        down, up = lora[f"{layer}.lora_down.weight"], lora[f"{layer}.lora_up.weight"]
        scale = float(lora.get(f"{layer}.alpha", len(down))) / len(down)
        change = expected[layer.removeprefix("diffusion_model.") + ".weight"]
        found = scale * torch.einsum("or,r...->o...", up.flatten(1), down)
        torch.testing.assert_close(found, change, atol=1e-6, rtol=1e-4)
    return lora


@pytest.fixture(scope="module")
def denoiser() -> torch.nn.Module:
    network = AnimationModel(tiny_config()).denoiser
    network.config = {}  # peft looks for a language model's settings there
    return network


@pytest.mark.parametrize("kind", SETTINGS)
def test_files_of_peft(denoiser, kind: str, tmp_path: Path):
    model = adapted(copy.deepcopy(denoiser), **SETTINGS[kind])
    model.save_pretrained(tmp_path)
    assert (tmp_path / "adapter_config.json").is_file()
    check(tmp_path / "adapter_model.safetensors", model)


@pytest.mark.parametrize("kind", SETTINGS)
def test_files_of_diffusers(kind: str, tmp_path: Path):
    unet = published.spatial(published.TINY)
    settings = LoraConfig(**SETTINGS[kind], target_modules=TARGETS)
    model = adapted(copy.deepcopy(unet), **SETTINGS[kind])
    unet.load_state_dict(copy.deepcopy(model).unload().state_dict())
    unet.add_adapter(settings)
    loaded = unet.load_state_dict(
        {name.removeprefix("base_model.model."): tensor for name, tensor in model.state_dict().items()}
    )
    assert not loaded.missing_keys
    unet.save_lora_adapter(tmp_path / "alone")
    StableDiffusionPipeline.save_lora_weights(
        tmp_path / "pipeline",
        unet_lora_layers=get_peft_model_state_dict(unet),
        unet_lora_adapter_metadata=settings.to_dict(),
    )
    files = [tmp_path / folder / "pytorch_lora_weights.safetensors" for folder in ("alone", "pipeline")]
    first, second = (check(file, model) for file in files)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def written(folder: Path, layers: dict[str, tuple], pattern: str, ends: tuple[str, str], **more) -> dict:
    """Read again a file whose layers are named as `pattern` says and end with `ends`."""
    tensors = {}
    for layer, matrices in layers.items():
        for end, matrix in zip(ends, matrices, strict=True):
            tensors[pattern.format(layer) + end] = matrix.contiguous()
    path = folder / "form.safetensors"
    save_file({**tensors, **more}, path)
    return read_lora(path)


@pytest.mark.parametrize(
    ("pattern", "ends"),
    [
        ("{}", (".lora_A.weight", ".lora_B.weight")),
        ("{}", (".lora_A.default.weight", ".lora_B.default.weight")),
        ("unet.{}", (".lora_A.weight", ".lora_B.weight")),
        ("unet.{}", (".lora.down.weight", ".lora.up.weight")),
        ("base_model.model.{}", (".lora_A.weight", ".lora_B.weight")),
        ("base_model.model.unet.{}", (".lora_A.weight", ".lora_B.weight")),
        ("diffusion_model.{}", (".lora_A.weight", ".lora_B.weight")),
        ("model.diffusion_model.{}", (".lora_down.weight", ".lora_up.weight")),
        ("denoiser.{}", (".lora_A", ".lora_B")),
        ("unet.{}", (".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight")),
    ],
)
def test_every_naming_is_read_alike(pattern: str, ends: tuple[str, str], tmp_path: Path):
    layers = {name: (torch.randn(2, 8), torch.randn(8, 2)) for name in ("mid.attn1.to_q", "mid.attn1.to_out.0")}
    found = written(tmp_path, layers, pattern, ends)
    expected = written(tmp_path, layers, "diffusion_model.{}", (".lora_down.weight", ".lora_up.weight"))
    assert (
        found.keys()
        == expected.keys()
        == {f"diffusion_model.{layer}.lora_{way}.weight" for layer in layers for way in ("down", "up")}
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected), "no settings anywhere: scale 1"


def test_attention_processors_of_old_diffusers_name_the_layer_behind_them(tmp_path: Path):
    down, up = torch.randn(2, 8), torch.randn(8, 2)
    tensors = {
        f"unet.mid.attn1.processor.{name}_lora.{way}.weight": matrix.clone()
        for name in ("to_k", "to_out")
        for way, matrix in (("down", down), ("up", up))
    }
    save_file(tensors, tmp_path / "old.safetensors")
    assert {layer_of(name) for name in read_lora(tmp_path / "old.safetensors")} == {
        "diffusion_model.mid.attn1.to_k",
        "diffusion_model.mid.attn1.to_out.0",
    }


def test_names_of_kohya_and_of_text_encoders_stay(tmp_path: Path):
    tensors = {
        "lora_unet_mid_attn1_to_q.lora_down.weight": torch.ones(2, 8),
        "lora_unet_mid_attn1_to_q.lora_up.weight": torch.ones(8, 2),
        "lora_unet_mid_attn1_to_q.alpha": torch.tensor(1.0),
        "text_encoder.layers.0.lora_A.weight": torch.ones(2, 8),
    }
    save_file(tensors, tmp_path / "kohya.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(PLAIN))  # the file's own alpha counts
    found = read_lora(tmp_path / "kohya.safetensors")
    assert found.keys() == tensors.keys() and found["lora_unet_mid_attn1_to_q.alpha"] == 1


HEADER = {"lora_adapter_metadata": json.dumps({"text_encoder.r": 9, "unet.r": 2, "unet.lora_alpha": 8})}


def test_the_header_counts_before_the_file_beside(tmp_path: Path):
    tensors = {"unet.a.lora_A.weight": torch.ones(2, 8), "unet.a.lora_B.weight": torch.ones(8, 2)}
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 20}))
    for header, alpha in ((HEADER, 8), (None, 20)):
        save_file(tensors, tmp_path / "pair.safetensors", metadata=header)
        assert read_lora(tmp_path / "pair.safetensors")["diffusion_model.a.alpha"] == alpha


@pytest.mark.parametrize(
    ("tensors", "beside", "said"),
    [
        ({"a.lora_A.weight": (2, 8)}, None, "only one matrix of the pair of diffusion_model.a"),
        ({"a.lora_A.weight": (2, 8), "a.lora_B.weight": (8, 2)}, '{"r": 4, "lora_alpha": 4}', "has rank 2 at a"),
        ({"a.lora_A.weight": (2, 8), "a.lora_B.weight": (8, 2)}, '{"r": 2}', "alpha None"),
        ({"a.lora_A.weight": (2, 8), "a.lora_B.weight": (8, 2)}, "{", "adapter_config.json is not JSON"),
        ({"a.lora_A.weight": (2, 8), "a.lora_B.weight": (8, 2)}, "[2]", "holds list"),
        ({"a.lora_magnitude_vector.weight": (8,)}, None, "train it without use_dora"),
    ],
)
def test_what_cannot_be_applied_is_refused_in_one_line(tensors: dict, beside: str | None, said: str, tmp_path: Path):
    save_file({name: torch.ones(shape) for name, shape in tensors.items()}, tmp_path / "bad.safetensors")
    if beside:
        (tmp_path / "adapter_config.json").write_text(beside)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        read_lora(tmp_path / "bad.safetensors")
    assert "\n" not in str(error.value)


def test_patterns_that_name_what_wraps_a_layer(denoiser, tmp_path: Path):
    whole = torch.nn.Module()
    whole.denoiser, whole.config = copy.deepcopy(denoiser), {}
    layer = "down_blocks.0.resnets.1.conv1"
    model = adapted(whole, alpha_pattern={f"denoiser.{layer}": 5}, rank_pattern={f"denoiser.{layer}": 2})
    model.save_pretrained(tmp_path)
    lora = read_lora(tmp_path / "adapter_model.safetensors")
    own = f"diffusion_model.{layer}"
    assert lora.pop(f"{own}.alpha") == 5 and len(lora[f"{own}.lora_down.weight"]) == 2
    assert {float(tensor) for name, tensor in lora.items() if name.endswith(".alpha")} == {6}


def test_an_alpha_goes_with_its_pair(tmp_path: Path):
    old = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out"
    pair = {f"{old}_lora.down.weight": torch.ones(2, 4), f"{old}_lora.up.weight": torch.ones(4, 2)}
    save_file(pair | {f"{old}.alpha": torch.tensor(3.0)}, tmp_path / "old.safetensors")
    assert {layer_of(name) for name in read_lora(tmp_path / "old.safetensors")} == {
        "diffusion_model.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
    }


def test_patterns_of_another_form_are_refused(tmp_path: Path):
    save_file(
        {"to_q.lora_A.weight": torch.ones(2, 4), "to_q.lora_B.weight": torch.ones(4, 2)}, tmp_path / "a.safetensors"
    )
    settings = {"r": 2, "lora_alpha": 2, "rank_pattern": ["to_q"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"rank_pattern \['to_q'\], not a value a layer"):
        read_lora(tmp_path / "a.safetensors")


def test_a_dora_of_peft_is_refused(denoiser, tmp_path: Path):
    adapted(copy.deepcopy(denoiser), use_dora=True).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="DoRA"):
        read_lora(tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_merging_adds_what_peft_merges(tmp_path: Path, strength: float):
    """The denoiser's and the ReferenceNet's layers, linear ones and convolutions, times the strength."""
    model = AnimationModel(tiny_config())
    model.config = {}  # peft looks for a language model's settings there
    wrapped = adapted(model)
    wrapped.save_pretrained(tmp_path)
    expected, plain = differences(wrapped), copy.deepcopy(wrapped).unload()
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    merge_lora(plain, tmp_path / "adapter_model.safetensors", strength)
    assert len(expected) > 40 and any(name.startswith("reference.") for name in expected)
    for name, tensor in plain.state_dict().items():
        change = strength * expected[name] if name in expected else torch.zeros_like(tensor)
        torch.testing.assert_close(tensor - before[name], change, atol=2e-6, rtol=1e-4)


def test_names_of_earlier_versions_and_of_kohya_are_merged(tmp_path: Path):
    model = randomise(AnimationModel(tiny_config()))
    query = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    names = {"motion.skeleton.conv_in": model.pose.skeleton.conv_in.weight}
    names[f"lora_unet_{query.replace('.', '_')}"] = model.denoiser.get_submodule(query).weight
    before = {name: weight.detach().clone() for name, weight in names.items()}
    pairs = {}
    for name, weight in names.items():
        up, down = torch.randn(len(weight), 2), torch.randn(2, *weight.shape[1:])
        pairs |= {f"{name}.lora_up.weight": up.reshape(*up.shape, *[1] * (weight.dim() - 2))}
        pairs |= {f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(6.0)}
    save_file(pairs, tmp_path / "lora.safetensors")
    merge_lora(model, tmp_path / "lora.safetensors", 0.5)
    for name, weight in names.items():
        change = torch.einsum(
            "or,r...->o...", pairs[f"{name}.lora_up.weight"].flatten(1), pairs[f"{name}.lora_down.weight"]
        )
        torch.testing.assert_close(weight, before[name] + 0.5 * 6 / 2 * change, atol=1e-5, rtol=1e-4)


def test_a_lora_that_cannot_be_merged_is_refused(tmp_path: Path, caplog):
    model = randomise(AnimationModel(tiny_config()))
    name = "conv_in"
    fits = {f"{name}.lora_up.weight": torch.ones(32, 1, 1, 1), f"{name}.lora_down.weight": torch.ones(1, 9, 3, 3)}
    strange = {key.replace(name, "elsewhere"): value.clone() for key, value in fits.items()}
    for tensors, told in (
        ({f"{name}.diff": torch.ones(2)}, r"conv_in.diff, which is no pair"),
        (strange, "fits no layer"),
    ):
        save_file(tensors, tmp_path / "lora.safetensors")
        with pytest.raises(InputError, match=told):
            merge_lora(model, tmp_path / "lora.safetensors", 1.0)
    save_file(fits | strange, tmp_path / "lora.safetensors")
    merge_lora(model, tmp_path / "lora.safetensors", 1.0)
    assert "1 of 2 layers fit nowhere" in caplog.text
