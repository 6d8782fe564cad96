"""A LoRA is trained alone: the model keeps its weights, the file is what a LoRA loader adds to them."""

import pytest
import torch
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.training import Trainer
from inhabit.weights import load
from safetensors.torch import load_file

ADAPTER = "adapter={rank: 2, alpha: 6, layers: [to_q, to_out.0, conv_out]}"


def run(recipe, out, until=None, resume=False) -> Trainer:
    trainer = Trainer(recipe, out, device="cpu")
    trainer.run(resume=resume, interrupt=lambda: trainer.step == until, progress=False)
    return trainer


def prediction(model: AnimationModel) -> torch.Tensor:
    latents = torch.randn(1, 2, 4, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.denoise(latents, torch.tensor([400]))


def test_the_file_is_the_difference_that_was_trained(tiny, tmp_path, checkpoint):
    recipe = tiny(ADAPTER, "export=float32")
    trainer = run(recipe, tmp_path)
    trainer.ema.copy_to(trainer.parameters.values())
    plain = load(checkpoint)
    own = {name.replace(".base_layer", ""): value for name, value in trainer.model.state_dict().items()}
    assert all(torch.equal(value, own[name]) for name, value in plain.state_dict().items()), "the model itself stays"
    assert not (tmp_path / "model.safetensors").exists()
    tensors = load_file(tmp_path / "lora.safetensors")
    layers = {name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")}
    assert len(tensors) == 3 * len(layers) and {layer.split(".")[0] for layer in layers} == {"diffusion_model"}
    before = prediction(plain)
    for layer in layers:
        down, up = tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"]
        assert float(tensors[f"{layer}.alpha"]) == 6 and down.shape[0] == up.shape[1] == 2
        weight = plain.denoiser.get_submodule(layer.removeprefix("diffusion_model.")).weight
        weight.data += 6 / 2 * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    after = prediction(plain)
    torch.testing.assert_close(after, prediction(trainer.model.train(False)), atol=1e-4, rtol=0)
    assert (after - before).abs().max() > 1e-3


def test_resume_is_bitwise_equal(tiny, tmp_path):
    straight = run(tiny(ADAPTER), tmp_path / "straight")
    run(tiny(ADAPTER, "save_every=100"), tmp_path / "paused", until=3)
    resumed = run(tiny(ADAPTER, "save_every=100"), tmp_path / "paused", resume=True)
    first, second = straight._state().tensors, resumed._state().tensors
    assert first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())
    files = [load_file(tmp_path / name / "lora.safetensors") for name in ("straight", "paused")]
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def test_adapters_of_nothing_and_trained_networks_beside_them_are_refused(tiny):
    for wrong, told in (
        (["init=null", "codec=puppets"], "an adapter needs init"),
        (["stages=[{name: a, kind: autoencoder, steps: 1}]"], "no autoencoder stage"),
        (["stages.0.train=[motion]"], "stage 'spatial' has train, but"),
    ):
        with pytest.raises(InputError, match=told) as error:
            tiny(ADAPTER, *wrong)
        assert "\n" not in str(error.value)


def test_layers_that_are_not_there_are_named(tiny, tmp_path):
    with pytest.raises(InputError, match="adapter.layers has 'to_x', which the denoiser has not; give e.g. to_q"):
        Trainer(tiny("adapter={layers: [to_q, to_x]}"), tmp_path, device="cpu")
