"""The table of conditions says what the networks really read."""

import pytest
import torch
from inhabit.models import AnimationModel
from inhabit.models.conditions import CONDITIONS, unread

from .conftest import randomise, tiny_config

BATCH = {
    "skeleton": (1, 2, 3, 64, 64),
    "depth": (1, 2, 1, 64, 64),
    "blur": (1, 2, 3, 64, 64),
    "environment": (1, 2, 4, 8, 8),
    "mask": (1, 2, 1, 8, 8),
    "objects": (1, 2, 4, 8, 8),
}


def test_every_condition_of_a_frame_is_here():
    assert {each.name for each in CONDITIONS if each.per_frame} == set(BATCH)
    assert len({each.name for each in CONDITIONS}) == len(CONDITIONS)


@pytest.mark.parametrize("name", BATCH)
def test_a_model_that_reads_all_answers_to_each(name: str):
    config = tiny_config()
    config = config.model_copy(update={"pose": config.pose.model_copy(update={"blur": (8, 8, 8, 16)})})
    model, generator = randomise(AnimationModel(config)), torch.manual_seed(3)
    given = {key: torch.rand(shape, generator=generator) for key, shape in BATCH.items()}
    latents, context = torch.randn(1, 2, 4, 8, 8, generator=generator), torch.zeros(1, 1, 24)
    with torch.no_grad():
        changed = given | {name: 1 - given[name]}
        one, other = (
            model.denoise(latents, torch.tensor([500]), context, **model.features(each)) for each in (given, changed)
        )
    assert not unread(config, BATCH) and (one - other).abs().max() > 1e-4


def test_what_a_first_version_has_no_network_for():
    first = tiny_config(environment=False, objects=None)
    first = first.model_copy(update={"pose": first.pose.model_copy(update={"depth": False})})
    assert [each.name for each in unread(first, BATCH)] == ["depth", "blur", "environment", "mask", "objects"]
    assert unread(first, ["skeleton"]) == []
