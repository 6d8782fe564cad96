"""The denoiser's second mask channel: where a clean plate shows nothing."""

import pytest
import torch
from inhabit.models import AnimationModel
from pydantic import ValidationError

from .conftest import randomise, tiny_config


def given(masks: int) -> dict[str, torch.Tensor]:
    generator = torch.manual_seed(1)
    mask = (torch.rand(1, 2, masks, 8, 8, generator=generator) > 0.5).float()
    return {"environment": torch.rand(1, 2, 4, 8, 8, generator=generator), "mask": mask}


def answer(model: AnimationModel, **conditions) -> torch.Tensor:
    latents = torch.randn(1, 2, 4, 8, 8, generator=torch.manual_seed(2))
    with torch.no_grad():
        return model.denoise(latents, torch.tensor([500]), torch.zeros(1, 1, 24), **conditions)


def test_without_a_plate_nothing_is_known_in_the_whole_mask():
    model, conditions = randomise(AnimationModel(tiny_config(plate=True))), given(1)
    both = conditions | {"mask": conditions["mask"].repeat(1, 1, 2, 1, 1)}
    assert torch.equal(answer(model, **conditions), answer(model, **both))
    known = both | {"mask": torch.cat([conditions["mask"], torch.zeros_like(conditions["mask"])], dim=2)}
    assert not torch.allclose(answer(model, **both), answer(model, **known), atol=1e-3)


def test_a_model_without_a_plate_reads_the_first_channel_alone():
    model, conditions = randomise(AnimationModel(tiny_config())), given(2)
    first = conditions | {"mask": conditions["mask"][:, :, :1]}
    assert torch.equal(answer(model, **conditions), answer(model, **first))


def test_its_weights_start_at_zero_and_it_is_another_channel():
    one, two = (AnimationModel(tiny_config(plate=plate)).denoiser.conv_in.weight for plate in (False, True))
    assert two.shape[1] == one.shape[1] + 1 == 4 + 4 + 1 + 1 and not two[:, 4:].any()
    assert answer(AnimationModel(tiny_config(plate=True))).shape == (1, 2, 4, 8, 8)


def test_a_plate_fills_an_environment():
    with pytest.raises(ValidationError, match="plate is true, but environment, which it fills, is false"):
        tiny_config(plate=True, environment=False)
