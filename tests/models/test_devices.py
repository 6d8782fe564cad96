"""Loading and denoising on every device at hand, in every type, compiled or not; float32 on a CPU is the yardstick."""

import shutil
from pathlib import Path

import pytest
import torch
from inhabit.models import AnimationModel
from inhabit.models.config import ReferenceConfig
from inhabit.weights import load, save

from .conftest import TINY_UNET, randomise, tiny_config

SHARE_OF_RANGE = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}  # a few roundings of each type


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = randomise(AnimationModel(tiny_config(reference=ReferenceConfig(patch_attention=True, pooled_grid=(2, 2)))))
    path = tmp_path_factory.mktemp("devices") / "model.safetensors"
    save(path, model)
    return path, model


def prediction(model: AnimationModel, device: str, dtype: torch.dtype) -> torch.Tensor:
    """One guided step with every mechanism, on the CPU as float32."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    latents, context = draw(2, 3, 4, 8, 8), draw(2, 1, 24)
    motion = model.pose(draw(1, 3, 3, 64, 64).abs(), draw(1, 3, 1, 64, 64).abs())
    with torch.no_grad():
        result = model.denoise(
            latents,
            torch.tensor([700], device=device),
            context,
            reference=model.reference(draw(1, 4, 8, 8), context[1:]),
            environment=draw(1, 3, 4, 8, 8),
            mask=torch.ones_like(draw(1, 3, 1, 8, 8)),
            pose=torch.cat([torch.zeros_like(motion), motion]),
            objects=model.objects(draw(1, 3, 4, 8, 8)),
            unconditional=1,
        )
    assert result.device.type == device and result.dtype == dtype
    return result.float().cpu()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_device_and_type_gives_the_same_step(saved, device, dtype):
    path, model = saved
    loaded = load(path, device, dtype)
    assert {(p.device.type, p.dtype) for p in (*loaded.parameters(), *loaded.buffers())} == {(device, dtype)}
    expected = prediction(model, "cpu", torch.float32)
    tolerance = SHARE_OF_RANGE[dtype] * float(expected.abs().max())
    torch.testing.assert_close(prediction(loaded, device, dtype), expected, atol=tolerance, rtol=0)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_denoiser_gives_the_same_step(device, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))  # not what a killed run left half-written
    unet = TINY_UNET.model_copy(update={"block_out_channels": (32,), "attention": (True,), "layers_per_block": 1})
    config = tiny_config(environment=False, objects=None).model_copy(update={"unet": unet})
    model = randomise(AnimationModel(config))
    save(tmp_path / "model.safetensors", model)
    loaded = load(tmp_path / "model.safetensors", device)
    loaded.denoiser.compile()
    latents, context, picture = torch.randn(1, 3, 4, 8, 8), torch.randn(1, 1, 24), torch.randn(1, 4, 8, 8)

    def step(model: AnimationModel, *given: torch.Tensor) -> torch.Tensor:
        latents, context, picture = given
        with torch.no_grad():
            reference = model.reference(picture, context)
            return model.denoise(latents, torch.tensor([700]).to(latents.device), context, reference=reference).cpu()

    given = (latents, context, picture)
    torch.testing.assert_close(step(loaded, *(x.to(device) for x in given)), step(model, *given), atol=1e-4, rtol=0)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="mappings are listed on Linux alone")
def test_weights_of_the_wanted_type_stay_in_the_file(saved):
    """Mapped, not copied, and the ReferenceNet in a mapping of its own, so that it can be let go."""
    path, _ = saved
    model = load(path)

    def mapping(tensor: torch.Tensor) -> str | None:
        for line in Path("/proc/self/maps").read_text().splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if first <= tensor.data_ptr() < last:
                return line if line.endswith(str(path)) else None
        return None

    places = {name: mapping(tensor) for name, tensor in model.named_parameters() if name.endswith("conv_in.weight")}
    assert None not in places.values()
    assert places["denoiser.conv_in.weight"] != places["reference.conv_in.weight"]
    assert mapping(load(path, dtype=torch.bfloat16).denoiser.conv_in.weight) is None


def test_eight_bits_hold_matrices_alone(saved):
    path, model = saved
    loaded = load(path, dtype=torch.float8_e4m3fn)
    for name, tensor in loaded.state_dict().items():
        small = tensor.dim() == 1 or name.endswith(".pe")
        assert tensor.dtype == (torch.float32 if small else torch.float8_e4m3fn), name
        expected = model.state_dict()[name]
        torch.testing.assert_close(tensor.float(), expected, rtol=0 if small else 0.07, atol=0 if small else 2e-3)
