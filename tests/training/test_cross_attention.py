"""Models with cross-attention, and of Stable Diffusion's shape, are trained with CLIP's embedding and its VAE."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from inhabit.errors import InputError
from inhabit.scenes import render_scene
from inhabit.scenes.files import write_scene
from inhabit.training import Trainer, load_recipe
from inhabit.training.data import to_device
from inhabit.weights import load
from inhabit.weights.companions import image_context
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from .conftest import steps_of

WIDTH = 24
DIM = "model.overrides.unet.cross_attention_dim"
ATTENDING = [f"{DIM}={WIDTH}", "ema=0.5"]
LIKE_SD15 = [
    "model={preset: sd15, overrides: {unet.block_out_channels: [8, 16], unet.attention: [true, true], unet.heads: 2, "
    f"unet.norm_groups: 4, unet.layers_per_block: 1, unet.cross_attention_dim: {WIDTH}, latent.downscale: 8, "
    "unet.motion_modules: {heads: 2, max_frames: 16, norm_groups: 4}, pose.channels: [4, 4, 8, 8], pose.heads: 2}}",
    "data.width=96",
    "stages.0.frames=1",
]
LIKE_V1 = ["model.overrides.environment=false", "model.overrides.objects=null", "model.overrides.pose.depth=false",
           "model.overrides.pose.temporal=false", "model.overrides.reference.mode=full"]  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    torch.manual_seed(0)
    config = CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                              patch_size=56, projection_dim=WIDTH)  # fmt: skip
    folder = tmp_path_factory.mktemp("clip")
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def tiny(*changes):
    return load_recipe("tiny", [*ATTENDING, *changes])


def steps(recipe, out, count) -> Trainer:
    trainer = Trainer(recipe, out, device="cpu")
    for parameter in trainer.model.parameters():  # what starts at zero lets no gradient through
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    for batch, _ in zip(trainer._batches(), range(count), strict=False):
        trainer.train_step(batch)
    return trainer


@pytest.mark.parametrize("flip", [0, 1])
def test_clip_sees_the_reference_as_at_inference(clip, tmp_path, flip):
    """Not as small and squeezed as the frames are: a portrait of another shape, told from its frame-sized copy."""
    picture = (np.random.default_rng(0).random((40, 20, 3)) * 255).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    write_scene(replace(render_scene(3, "walk", 4, 96, 96), reference=picture), tmp_path / "scenes" / "a")
    stage = f"stages=[{{name: a, kind: spatial, steps: 1, clips: 1, frames: 1, augmentation: {{flip: {flip}}}}}]"
    folder = f"data.folder={tmp_path / 'scenes'}"
    trainer = Trainer(tiny(f"clip_vision={clip}", stage, folder, "data.cross_identity=1"), tmp_path, device="cpu")
    tensors = to_device(next(iter(trainer._batches())), torch.device("cpu"))
    off = dict.fromkeys(("animation", "environment", "objects", "depth", "blur"), False)
    context = trainer.module.conditions(tensors, off)[1]["context"]
    shown = torch.from_numpy(picture[:, ::-1].copy() if flip else picture)[None] / 255
    torch.testing.assert_close(context, image_context(clip, shown, WIDTH), atol=1e-5, rtol=1e-4)
    assert (context - image_context(clip, tensors["reference_BHWC"], WIDTH)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["spatial", "temporal"])
def test_the_reference_is_embedded_and_reaches_the_cross_attention(clip, tmp_path, kind):
    stage = f"stages=[{{name: a, kind: {kind}, steps: 1, clips: 2, frames: 2, train: [denoiser, reference]}}]"
    trainer = Trainer(tiny(f"clip_vision={clip}", stage, "weight_decay=0"), tmp_path, device="cpu")
    names = [name for name in trainer.parameters if ".attentions." in name and ".attn2.to_v." in name]
    assert {name.split(".")[0] for name in names} == {"denoiser", "reference"}
    before = {name: trainer.parameters[name].detach().clone() for name in names}
    [batch] = trainer._batches()
    tensors = to_device(batch, torch.device("cpu"))
    off = dict.fromkeys(("animation", "environment", "objects", "depth", "blur"), False)
    context = trainer.module.conditions(tensors, off)[1]["context"]
    assert context.shape == (2, 1, WIDTH) and not torch.equal(context[0], context[1])
    for clip_number, picture in enumerate(tensors["reference_BHWC"]):
        expected = image_context(clip, picture[None], WIDTH)
        torch.testing.assert_close(context[clip_number : clip_number + 1], expected, atol=1e-6, rtol=1e-4)
    assert not trainer.module.conditions(tensors, off | {"animation": True})[1]["context"].any(), "as unconditional"
    trainer.train_step(batch)
    moved = [name for name in names if not torch.equal(trainer.parameters[name], before[name])]
    assert {name.split(".")[0] for name in moved} == {"denoiser", "reference"}
    assert len(moved) >= len(names) - 2, "all but those after the last feature that the reference hands on"


def test_the_loss_falls(clip, tmp_path, monkeypatch):
    """The real trainer over one batch again and again."""
    from inhabit.training import data

    recipe = tiny(f"clip_vision={clip}", "stages=[{name: a, kind: spatial, steps: 40, clips: 1, frames: 1, warmup: 0, "
                  "learning_rate: 0.003}]", "log_every=1", "save_every=100")  # fmt: skip
    one = steps_of(recipe)[0]
    monkeypatch.setattr(data.StepBatches, "__getitem__", lambda self, step: one)
    Trainer(recipe, tmp_path, device="cpu").run(progress=False)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])


def test_clip_is_read_once(clip, tmp_path):
    trainer = Trainer(tiny(f"clip_vision={clip}"), tmp_path, device="cpu")
    moved = clip.rename(tmp_path / "moved")
    try:
        for batch, _ in zip(trainer._batches(), range(2), strict=False):
            trainer.train_step(batch)
    finally:
        moved.rename(clip)
    assert trainer.step == 2


def test_a_training_with_clip_resumes_exactly(clip, tmp_path):
    recipe = tiny(f"clip_vision={clip}", "stages=[{name: a, kind: spatial, steps: 2, clips: 1, frames: 1}]")
    straight = Trainer(recipe, tmp_path / "straight", device="cpu")
    straight.run(progress=False)
    paused = Trainer(recipe, tmp_path / "paused", device="cpu")
    paused.run(interrupt=lambda: paused.step == 1, progress=False)
    resumed = Trainer(recipe, tmp_path / "paused", device="cpu")
    resumed.run(resume=True, progress=False)
    first, second = straight._state().tensors, resumed._state().tensors
    assert first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())
    with safe_open(tmp_path / "paused" / "model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["inhabit.recipe"])["clip_vision"] == clip.name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([], "model puppets reads a CLIP image embedding: give clip_vision, the folder .* or image_context=zeros"),
        (["clip_vision=CLIP", "image_context=zeros"], "leave one of them out"),
        (["clip_vision=CLIP", f"{DIM}=null"], "reads no image embedding: leave it out"),
        (["clip_vision=CLIP", f"{DIM}=20"], "embeds in 24 numbers, the model reads 20"),
        (["clip_vision=/nowhere"], "clip_vision /nowhere does not exist"),
    ],
)
def test_a_recipe_that_does_not_fit_is_told_at_the_start(clip, tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        Trainer(tiny(*(change.replace("CLIP", str(clip)) for change in changes)), tmp_path, device="cpu")
    assert "\n" not in str(error.value)


def test_zeros_are_asked_for_in_so_many_words(tmp_path):
    trainer = steps(tiny("image_context=zeros"), tmp_path, 1)
    assert trainer.step == 1 and trainer.embed is None


@pytest.mark.parametrize("v1", [False, True])
def test_a_model_of_stable_diffusions_shape_trains_with_its_vae(clip, vae, tmp_path, v1):
    recipe = load_recipe("tiny", [*LIKE_SD15, *(LIKE_V1 if v1 else []), f"codec={vae}", f"clip_vision={clip}",
                                  "data.kinds=[object]", "stages.0.steps=1", "stages.1.steps=1"])  # fmt: skip
    trainer = Trainer(recipe, tmp_path, device="cpu")
    assert trainer.run(progress=False) == tmp_path / "model.safetensors"
    assert load(tmp_path / "model.safetensors").config == trainer.model.config
    saved = [tmp_path / "model.safetensors", *tmp_path.glob("checkpoints/*/state.safetensors")]
    assert not any(name.startswith("vae.") for path in saved for name in load_file(path)), "the VAE is not ours to give"
    picture = torch.rand(1, 3, 96, 96, 3, generator=torch.Generator().manual_seed(0))
    reference = AutoencoderKL.from_pretrained(vae)
    with torch.no_grad():
        expected = reference.encode(picture[0].movedim(-1, 1) * 2 - 1).latent_dist.mean * 0.18215
    torch.testing.assert_close(trainer.module.encode(picture)[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["codec=null"], "model sd15 has no autoencoder of its own: give codec, the VAE of Stable Diffusion 1.5"),
        (["codec=/nowhere"], "codec /nowhere does not exist: model sd15 needs Stable Diffusion's VAE there"),
        (["stages=[{name: a, kind: autoencoder, steps: 1}]"], "has no autoencoder of its own to train"),
    ],
)
def test_a_model_without_an_autoencoder_needs_a_vae(tmp_path, changes, told):
    with pytest.raises(InputError, match=told) as error:
        Trainer(load_recipe("tiny", [*LIKE_SD15, "image_context=zeros", *changes]), tmp_path, device="cpu")
    assert "\n" not in str(error.value)
