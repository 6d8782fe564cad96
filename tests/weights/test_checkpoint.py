"""The checkpoint file: exact round trip, header, and one clear message for every unusable file."""

import json

import pytest
import torch
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from inhabit.errors import InputError
from inhabit.models import AnimationModel, ModelConfig, PatchAutoencoder
from inhabit.models.config import AutoencoderConfig, LatentConfig, PoseGuiderConfig
from inhabit.weights import load, load_codec, read_config, save
from inhabit.weights.checkpoint import read_as_stored
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..models.conftest import randomise, tiny_config


@pytest.fixture
def saved(tmp_path):
    config = tiny_config().model_copy(
        update={
            "latent": LatentConfig(downscale=4, scale=0.7),
            "pose": PoseGuiderConfig(channels=(8, 16, 16), heads=4),
            "autoencoder": AutoencoderConfig(encoder_channels=16, decoder_channels=16, blocks=1),
        }
    )
    model, vae = randomise(AnimationModel(config)), randomise(PatchAutoencoder(config.autoencoder))
    path = tmp_path / "model.safetensors"
    save(path, model, vae, metadata={"modelspec.author": "tester"})
    return path, model, vae


def test_round_trip_is_exact(saved):
    path, model, vae = saved
    loaded, codec = load(path), load_codec(path)
    assert loaded.config == model.config and codec.scale == 0.7 and codec.downscale == 4
    for expected, got in ((model, loaded), (vae, codec.vae)):
        assert expected.state_dict().keys() == got.state_dict().keys()
        for name, tensor in expected.state_dict().items():
            assert torch.equal(tensor, got.state_dict()[name]), name
    assert not list(path.parent.glob(".inhabit.*"))
    (path.parent / "plain").touch()
    assert path.stat().st_mode == (path.parent / "plain").stat().st_mode


def test_header_is_modelspec_and_the_whole_configuration(saved):
    with safe_open(saved[0], "pt") as file:
        header, keys = file.metadata(), list(file.keys())
    assert header["modelspec.author"] == "tester" and header["modelspec.architecture"] == "inhabit/tiny"
    assert json.loads(header["inhabit.config"])["unet"]["block_out_channels"] == [32, 64, 64]
    assert {key.split(".")[0] for key in keys} == {"denoiser", "reference", "pose", "objects", "vae"}


def test_the_schedules_gamma_is_in_the_header_and_files_from_before_it_have_none(saved, tmp_path):
    shifted, before = tmp_path / "shifted.safetensors", tmp_path / "before.safetensors"
    config = saved[1].config
    schedule = config.schedule.model_copy(update={"gamma": 0.25})
    save(shifted, AnimationModel(config.model_copy(update={"schedule": schedule})))
    assert read_config(shifted).schedule.gamma == 0.25
    written = json.loads(config.model_dump_json())
    del written["schedule"]["gamma"]
    save_file(load_file(saved[0]), before, {"inhabit.config": json.dumps(written)})
    assert read_config(before) == config and config.schedule.gamma is None


def test_half_precision_storage_loads_in_any_type(saved, tmp_path):
    path = tmp_path / "half.safetensors"
    save(path, saved[1], saved[2], dtype=torch.float16)
    assert path.stat().st_size < 0.6 * saved[0].stat().st_size
    loaded = load(path, dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}


def test_position_tables_that_are_the_formula_are_left_out_and_come_back(saved, tmp_path):
    tables = {name: tensor for name, tensor in saved[1].state_dict().items() if name.endswith("pos_embed.pe")}
    assert tables and not tables.keys() & load_file(saved[0]).keys()
    own, half = tmp_path / "own.safetensors", tmp_path / "half.safetensors"
    save(half, saved[1], dtype=torch.float16)
    learned = next(iter(tables))
    tables[learned].mul_(0.5)  # the model's own tensor
    save(own, saved[1])
    assert [name for name in tables if name in load_file(own)] == [learned]
    loaded = load(own).state_dict()
    assert all(torch.equal(loaded[name], table) for name, table in tables.items())
    reference = diffusers_table(tables[learned].shape[2], tables[learned].shape[1])
    tables[learned].mul_(2)
    loaded = load(half).state_dict()
    assert all(torch.equal(loaded[name], table) for name, table in tables.items()), "float32 as before, not rounded"
    assert torch.equal(tables[learned], reference)
    kept = read_as_stored(half, lambda name: name == learned.replace("pos_embed.pe", "norm1.weight"))
    assert kept[learned].dtype == torch.float16 and torch.equal(kept[learned], reference.half())


def diffusers_table(channels: int, length: int) -> torch.Tensor:
    return SinusoidalPositionalEmbedding(channels, max_seq_length=length).pe


def test_headers_that_know_of_a_branch_only_whether_it_is_there():
    for written, read in ((False, None), (True, (8, 16, 16))):
        values = {"name": "old", "latent": {"downscale": 4}, "motion": {"channels": [8, 16, 16], "blur": written}}
        assert ModelConfig.model_validate_json(json.dumps(values)).pose.blur == read


def test_keys_prefixed_by_comfyui_model_save_are_accepted(saved, tmp_path):
    tensors = {f"model.diffusion_model.{k}": v for k, v in load_file(saved[0]).items() if not k.startswith("vae.")}
    with safe_open(saved[0], "pt") as file:
        save_file(tensors, tmp_path / "resaved.safetensors", metadata=file.metadata())
    loaded = load(tmp_path / "resaved.safetensors")
    assert torch.equal(loaded.denoiser.conv_in.weight, saved[1].denoiser.conv_in.weight)


def _broken_file(kind: str, good, folder):
    path = folder / f"{kind}.safetensors"
    tensors = load_file(good)
    with safe_open(good, "pt") as file:
        header = file.metadata()
    if kind == "missing":
        return path
    if kind == "truncated":
        path.write_bytes(good.read_bytes()[:-1000])
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "other":
        save_file({"lora_unet_x.lora_up.weight": torch.zeros(2, 2)}, path)
    elif kind == "incomplete":
        del tensors["pose.skeleton.conv_in.weight"]
        save_file(tensors, path, metadata=header)
    elif kind == "shape":
        save_file(tensors | {"denoiser.conv_in.bias": torch.zeros(3)}, path, metadata=header)
    elif kind == "config":
        config = json.loads(header["inhabit.config"]) | {"colour": "blue"}
        save_file(tensors, path, metadata=header | {"inhabit.config": json.dumps(config)})
    return path


@pytest.mark.parametrize(
    "kind, message",
    [
        ("missing", "does not exist"),
        ("truncated", r"not a complete .safetensors file"),
        ("text", "is no weight file"),
        ("other", "not an Inhabit checkpoint.*lora_unet_x"),
        ("incomplete", "1 keys missing.*pose.skeleton.conv_in.weight"),
        ("shape", r"denoiser.conv_in.bias has shape \(3,\), expected \(32,\)"),
        ("config", "colour"),
    ],
)
def test_unusable_files_are_refused_in_one_line(kind, message, saved, tmp_path):
    path = _broken_file(kind, saved[0], tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_failed_save_leaves_the_old_file(saved, monkeypatch):
    before = saved[0].read_bytes()
    monkeypatch.setattr("inhabit.atomic.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save(saved[0], saved[1])
    assert saved[0].read_bytes() == before and [p.name for p in saved[0].parent.iterdir()] == ["model.safetensors"]


def test_config_is_read_without_the_weights(saved):
    assert read_config(saved[0]) == saved[1].config


def test_former_names_of_settings_are_read_and_both_at_once_refused():
    old = {
        "name": "old",
        "motion": {"channels": [8, 8, 8, 8]},
        "reference": {"lookup": True, "appearance_grid": [4, 2]},
    }
    config = ModelConfig.model_validate_json(json.dumps(old))
    assert config.pose.channels == (8, 8, 8, 8) and config.reference.patch_attention
    assert config.reference.pooled_grid == (4, 2)
    with pytest.raises(ValueError, match="motion\n.*Extra inputs"):
        ModelConfig.model_validate(config.model_dump() | {"motion": {"heads": 4}})
