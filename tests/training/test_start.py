import pytest
import torch
from inhabit import weights
from inhabit.errors import InputError
from inhabit.models import PRESETS, AnimationModel, PatchAutoencoder
from inhabit.training import load_recipe
from inhabit.training.start import model_config, networks
from inhabit.weights import load, save

from .conftest import SMALL_CODEC


def test_overrides_of_the_model(tiny):
    assert model_config(load_recipe("tiny")).unet.block_out_channels == (16, 32)
    for wrong, named in (
        ("model.overrides.unet.hats=4", "unet.hats"),
        ("model.preset=sd99", "sd99"),
        ("model.overrides.unet.heads=many", "heads"),
        ("model.overrides.pose.blur=[8]", "pose.blur has 1 widths, pose.channels 3"),
    ):
        with pytest.raises(InputError, match=named) as error:
            model_config(load_recipe("tiny", [wrong]))
        assert "\n" not in str(error.value)


def test_training_starts_from_the_given_weights(tiny, checkpoint):
    model, codec = networks(tiny(), torch.device("cpu"))
    expected = load(checkpoint).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in codec.vae.parameters())


def test_overrides_add_networks_to_the_given_weights_and_change_none(tiny, tmp_path):
    config = model_config(load_recipe("tiny", [SMALL_CODEC, "model.overrides.pose.blur=null"]))
    given = tmp_path / "given.safetensors"
    save(given, AnimationModel(config), PatchAutoencoder(config.autoencoder))
    expected = load(given).state_dict()
    model = networks(tiny(f"init={given}", "model.overrides.pose.blur=[8, 8, 8]"), torch.device("cpu"))[0]
    added = model.state_dict().keys() - expected.keys()
    assert added and all(name.startswith("pose.blur.") for name in added)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items() if name not in added)
    with pytest.raises(InputError, match="model.overrides do not fit init .*pose.*has shape.*leave out") as error:
        networks(tiny(f"init={given}", "model.overrides.pose.channels=[8, 8, 8]"), torch.device("cpu"))
    assert "\n" not in str(error.value)


def test_fresh_weights_follow_the_seed(checkpoint):
    recipes = [load_recipe("tiny", [SMALL_CODEC, f"codec={checkpoint}", f"seed={seed}"]) for seed in (1, 1, 2)]
    first, again, other = (networks(recipe, torch.device("cpu"))[0].state_dict() for recipe in recipes)
    name = "denoiser.conv_in.weight"
    assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])


def test_a_model_without_codec_cannot_train():
    with pytest.raises(InputError, match="codec=puppets"):
        networks(load_recipe("tiny", ["codec=null"]), torch.device("cpu"))


@pytest.mark.parametrize("name", ["data.width", "data.height", "stages.0.pictures.crop"])
def test_sides_that_the_model_does_not_divide_are_refused(tiny, name):
    stage = "stages=[{name: a, kind: autoencoder, steps: 1, clips: 1, frames: 1}]"
    with pytest.raises(InputError, match="100, which 8 does not divide; give 96"):
        networks(tiny(stage, f"{name}=100"), torch.device("cpu"))


def test_puppets_is_the_bundled_codec_and_another_one_is_refused(tmp_path, monkeypatch, checkpoint):
    config = model_config(load_recipe("tiny"))
    save(tmp_path / "bundled.safetensors", AnimationModel(config), PatchAutoencoder(config.autoencoder))
    monkeypatch.setattr(weights.checkpoint, "BUNDLED", tmp_path / "bundled.safetensors")
    codec = networks(load_recipe("tiny"), torch.device("cpu"))[1]
    assert codec.vae.config == PRESETS["puppets"].autoencoder
    other_scale = "model.overrides.latent.scale=3.5"
    for wrong, named in ((f"codec={checkpoint}", "has autoencoder"), (other_scale, "has scale 2.0.*3.5")):
        with pytest.raises(InputError, match=named) as error:
            networks(load_recipe("tiny", [wrong]), torch.device("cpu"))
        assert "\n" not in str(error.value)
