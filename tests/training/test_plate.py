"""Clean plates in training: what a clip's place is, what is known of it, and that the stage learns from it."""

import dataclasses

import numpy as np
import pytest
import torch
from inhabit.models import LatentCodec, PatchAutoencoder
from inhabit.models.config import TYPICAL_SHARPNESS
from inhabit.pipeline.conditions import environment_frames, latent_mask
from inhabit.training import Trainer, augmentation, load_recipe
from inhabit.training.data import RenderedScenes, StepBatches, to_device
from inhabit.training.recipe import PlateRecipe
from inhabit.training.stages import make_stage

PLATE = "model.overrides.plate=true"
OFF = ("animation", "environment", "objects", "depth", "blur")
NONE, WHOLE = PlateRecipe(none=1), PlateRecipe(none=0, partial=0, wrong=0)


@pytest.fixture(scope="module")
def clip() -> augmentation.Clip:
    recipe = load_recipe("tiny").data
    return RenderedScenes(recipe).clip(np.random.default_rng(4), 3, consecutive=True)


def test_a_rendered_clip_knows_its_place(clip):
    free = (clip.character == 0) & (clip.object == 0)
    assert clip.place.shape == clip.driving.shape
    same = np.abs(clip.place.astype(int) - clip.driving).max(axis=-1) <= 2
    assert same[free].mean() > 0.9 > 0.5 > same[clip.character > 127].mean()  # shadows lie outside the character


def test_flips_turn_the_place_along(clip):
    turned = augmentation.flip(clip)
    np.testing.assert_array_equal(turned.place, clip.place[:, :, ::-1])


def test_what_is_known_is_as_the_recipe_says(clip):
    def drawn(recipe: PlateRecipe, seed: int = 0):
        return augmentation.seen_place(np.random.default_rng(seed), clip, recipe)

    place, known = drawn(NONE)
    assert not known.any() and not place.any()
    place, known = drawn(WHOLE)
    assert (known == 255).all() and (place == clip.place).all()
    nowhere = augmentation.seen_place(np.random.default_rng(0), dataclasses.replace(clip, place=None), WHOLE)[1]
    assert not nowhere.any()
    shares = [
        drawn(PlateRecipe(none=0, partial=1, wrong=0), seed)[1][clip.character > 127].mean() / 255 for seed in range(20)
    ]
    assert 0.0 <= min(shares) < 0.05 and max(shares) > 0.3
    off = [
        np.abs(drawn(PlateRecipe(none=0, partial=0, wrong=1), seed)[0].astype(int) - clip.place).mean()
        for seed in range(8)
    ]
    assert max(off) > 1


def test_batches_hold_it_only_for_models_that_read_it(tiny):
    recipe = tiny("stages.0.plate={none: 0, partial: 0, wrong: 0}")
    without, with_it = (StepBatches(recipe, 0, TYPICAL_SHARPNESS, plate)[0] for plate in (False, True))
    assert without.plate_BFHWC is None and without.known_BFHW is None
    assert torch.equal(without.target_BFHWC, with_it.target_BFHWC) and (with_it.known_BFHW == 255).all()
    assert with_it.plate_BFHWC.shape == with_it.driving_BFHWC.shape


def test_the_stage_shows_the_place_where_it_is_known(tmp_path):
    recipe = load_recipe("tiny", [PLATE, "stages.0.plate={none: 0, partial: 1, wrong: 0}"])
    trainer = Trainer(recipe, tmp_path / "out", device="cpu")
    model = trainer.model
    codec = LatentCodec(PatchAutoencoder(model.config.autoencoder), scale=1.0, downscale=model.config.latent.downscale)
    stage = make_stage(recipe, recipe.stages[0], model, codec)
    batch = to_device(trainer.data[0], torch.device("cpu"))
    _, conditions = stage.conditions(batch, dict.fromkeys(OFF, False))
    plate, known = batch["plate_BFHWC"], batch["known_BFHW"]
    shown = environment_frames(batch["driving_BFHWC"], batch["mask_BFHW"], plate=plate, known=known)
    assert torch.equal(conditions["environment"], stage.encode(shown))
    assert torch.equal(conditions["mask"], latent_mask(batch["mask_BFHW"], codec.downscale, known))
    assert trainer.run(progress=False) and trainer.step == recipe.steps
