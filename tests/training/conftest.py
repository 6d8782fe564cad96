import pytest
import torch
from inhabit.models import AnimationModel, PatchAutoencoder
from inhabit.models.config import TYPICAL_SHARPNESS
from inhabit.training import Recipe, load_recipe
from inhabit.training.data import StepBatches
from inhabit.training.start import model_config
from inhabit.weights import save

SMALL_CODEC = "model.overrides.autoencoder={encoder_channels: 16, decoder_channels: 16, blocks: 1}"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A tiny model with its autoencoder; zero-initialised weights are drawn, so that every path carries gradients."""
    torch.manual_seed(0)
    config = model_config(load_recipe("tiny", [SMALL_CODEC]))
    model = AnimationModel(config)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save(path, model, PatchAutoencoder(config.autoencoder))
    return path


@pytest.fixture
def tiny(checkpoint):
    """Function: bundled tiny recipe with further overrides."""
    return lambda *overrides: load_recipe("tiny", [f"init={checkpoint}", "codec=null", *overrides])


def steps_of(recipe: Recipe, rank: int = 0) -> StepBatches:
    """The batches of a recipe, at the scale of sharpness that models have unless they say otherwise."""
    return StepBatches(recipe, rank, TYPICAL_SHARPNESS)
