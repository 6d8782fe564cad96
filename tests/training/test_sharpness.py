"""How sharp the hands are is measured on one scale, the model's: in training and at inference."""

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.models import PRESETS
from inhabit.perception import measure_hand_blur
from inhabit.pipeline.inputs import MEASURED, InputFiles, load_inputs
from inhabit.scenes import SceneRenderer, render_scene
from inhabit.scenes.files import write_scene
from inhabit.training import Trainer, load_recipe
from inhabit.training.data import StepBatches, to_device

FRAMES = 5


@pytest.mark.parametrize("typical", [3200.0, 900.0])
def test_training_and_inference_paint_the_same_maps_of_a_clip(tiny, tmp_path, typical):
    scene = render_scene(7, "fasthands", FRAMES, 96, 96)
    folder = write_scene(scene, tmp_path / "scenes" / "a")
    stage = (
        f"stages=[{{name: a, kind: temporal, steps: 1, clips: 1, frames: {FRAMES}, "
        "augmentation: {flip: 0, scale: 0, inference_blocks: 1}}]"
    )
    own = [f"model.overrides.pose.typical_sharpness={typical}", "data.cross_identity=0"]
    trainer = Trainer(tiny(stage, f"data.folder={tmp_path / 'scenes'}", *own), tmp_path / "out", device="cpu")
    [batch] = trainer._batches()
    trained = to_device(batch, torch.device("cpu"))["blur_BFHWC"][0]
    files = InputFiles(reference=folder / "reference.png", driving=folder / "driving.mp4", hand_sharpness=MEASURED)
    told = load_inputs(files, trainer.model.config).conditions.blur
    assert trainer.model.config.pose.typical_sharpness == typical
    torch.testing.assert_close(told, trained, atol=1e-6, rtol=0)
    assert (told[..., 2] > 0).any()


def test_a_blurred_clip_is_told_as_blurred():
    medians = []
    for shutter in (0.0, 0.75, 1.0):
        found = []
        for seed in range(10):
            scene = SceneRenderer(seed, ("fasthands", "dance")[seed % 2], 128, 128, 12, shutter)
            frames = [1, 5, 9]
            driving = torch.from_numpy(np.stack([scene.frame(index).image for index in frames])) / 255
            blur = measure_hand_blur([scene.pose(index) for index in frames], 128, 128, driving)
            found.append(blur.sharpness[blur.sharpness > 0])
        medians.append(float(np.median(np.concatenate(found))))
    assert medians[0] > medians[1] + 0.05 and medians[1] > medians[2] + 0.01, medians
    assert medians[0] > 0.5 > medians[1], medians


def test_the_trainer_reads_the_scale_of_its_model(tiny, tmp_path):
    recipe = tiny("model.overrides.pose.typical_sharpness=800")
    [batch, *_] = Trainer(recipe, tmp_path, device="cpu")._batches()
    one = StepBatches(recipe, 0, 800.0)[0].blur_BFHWC
    assert torch.equal(batch.blur_BFHWC, one) and not torch.equal(one, StepBatches(recipe, 0, 3200.0)[0].blur_BFHWC)


def test_a_recipe_that_still_has_the_scale_is_told_where_it_belongs():
    told = "typical_sharpness belongs to the model.*set model.overrides.pose.typical_sharpness=900"
    with pytest.raises(InputError, match=told) as error:
        load_recipe("tiny", ["data.typical_sharpness=900"])
    assert "\n" not in str(error.value)
    assert PRESETS["puppets"].pose.typical_sharpness == 3200
