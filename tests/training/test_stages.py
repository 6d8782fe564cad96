import pytest
import torch
from inhabit.errors import InputError
from inhabit.training import Trainer, load_recipe
from inhabit.training.data import to_device
from inhabit.training.losses import add_noise, diffusion_target
from inhabit.training.recipe import DropoutRecipe, StageRecipe
from inhabit.training.stages import NOISE, choose_parameters, draw_timesteps, dropped, generator

from .conftest import steps_of

NAMES = ["denoiser.conv_in.weight", "denoiser.up_blocks.0.motion_modules.0.x", "reference.conv_in.weight",
         "pose.skeleton.conv_in.weight", "pose.temporal.weight", "objects.stages.0.weight"]  # fmt: skip


def _chosen(kind, *train):
    stage = StageRecipe(name="s", kind=kind, steps=1, train=train)
    return set(choose_parameters([(name, name) for name in NAMES], stage))


def test_parts_by_name():
    temporal = {NAMES[1], NAMES[4]}
    assert _chosen("spatial") == set(NAMES) - temporal
    assert _chosen("temporal") == temporal
    assert _chosen("spatial", "reference", "pose") == {NAMES[2], NAMES[3]}
    assert _chosen("temporal", "temporal", "objects") == temporal | {NAMES[5]}
    with pytest.raises(InputError, match="refrence.*reference"):
        _chosen("spatial", "refrence")


@pytest.mark.parametrize(
    ("stage", "train", "moves"),
    [
        (0, "[]", lambda name: not ("motion_modules" in name or name.startswith("pose.temporal"))),
        (1, "[]", lambda name: "motion_modules" in name or name.startswith("pose.temporal")),
        (0, "[reference]", lambda name: name.startswith("reference.")),
    ],
)
def test_exactly_the_named_parameters_change(tiny, tmp_path, stage, train, moves):
    kind = ("spatial", "temporal")[stage]
    only = f"stages=[{{name: s, kind: {kind}, steps: 1, warmup: 0, clips: 7, frames: 2, train: {train}}}]"
    trainer = Trainer(tiny(only), tmp_path, device="cpu")
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train_step(steps_of(trainer.recipe)[0])
    changed = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    expected = {name for name in before if moves(name)}
    # the appearance encoder's last layers come after the last feature that it hands over: nothing reaches them
    silent = {name for name in expected - changed if name.startswith("reference.up_blocks")}
    assert changed <= expected and expected - changed == silent
    assert len(silent) < 40 and len(changed) > 3


def test_spatial_stage_treats_every_frame_alone(tiny, tmp_path):
    """The batched loss equals one picture at a time, each with its own timestep and its clip's reference."""
    recipe = tiny("stages.0.loss.character=2")
    trainer = Trainer(recipe, tmp_path, device="cpu")
    stage, model = trainer.module, trainer.model
    batch = to_device(steps_of(recipe)[0], torch.device("cpu"))
    batch["object_BFHW"] *= 0
    with torch.no_grad():
        loss = stage(batch, 0)["loss"]
        clean = trainer.codec.encode(batch["target_BFHWC"].flatten(0, 1))
        rng = generator(recipe.seed, 0, 0, NOISE)
        noise = torch.randn(4, 1, *clean.shape[1:], generator=rng)
        timesteps = draw_timesteps(4, 1000, recipe.stages[0].timesteps, rng)
        driving = torch.where(batch["mask_BFHW"][..., None] == 1, 0.5, batch["driving_BFHWC"])
        environment = trainer.codec.encode(driving.flatten(0, 1))
        mask = torch.nn.functional.max_pool2d(batch["mask_BFHW"].flatten(0, 1), 4)
        references = trainer.codec.encode(batch["reference_BHWC"])
        total = weight_sum = 0.0
        for i in range(4):
            b, f = divmod(i, 2)
            keys_values = model.project_reference(model.reference(references[b : b + 1].clone()))
            skeleton = batch["skeleton_BFHWC"][b : b + 1, f : f + 1].permute(0, 1, 4, 2, 3)
            blur = batch["blur_BFHWC"][b : b + 1, f : f + 1].permute(0, 1, 4, 2, 3)
            motion = model.pose(skeleton, batch["depth_BFHW"][b : b + 1, f : f + 1, None], blur, temporal=False)
            t = timesteps[i : i + 1]
            latents = clean[i][None, None].clone()
            predicted = model.denoise(
                add_noise(latents, noise[i : i + 1], stage.alphas, t), t, reference=keys_values, pose=motion,
                environment=environment[i][None, None].clone(), mask=mask[i][None, None, None], temporal=False,
            )  # fmt: skip
            error = (predicted - diffusion_target(latents, noise[i : i + 1], stage.alphas, t, "v")) ** 2
            weight = 1 + torch.nn.functional.avg_pool2d(batch["character_BFHW"][b, f][None], 4)
            total += (error[0, 0] * weight).sum() / error.shape[2]
            weight_sum += weight.sum()
    torch.testing.assert_close(loss, total / weight_sum, atol=1e-4, rtol=1e-4)


def test_a_model_with_gamma_is_trained_with_its_noise_and_the_file_says_so(tiny, tmp_path):
    trainer = Trainer(tiny("model.overrides.schedule={gamma: 0.25}"), tmp_path, device="cpu")
    plain = Trainer(tiny(), tmp_path / "plain", device="cpu")
    assert trainer.model.config.schedule.gamma == 0.25 and plain.model.config.schedule.gamma is None
    snr, usual = (t.module.alphas.double() / (1 - t.module.alphas.double()) for t in (trainer, plain))
    torch.testing.assert_close(snr, usual / 4, rtol=1e-3, atol=1e-6)


def test_the_noise_of_training_is_algorithm_1s(tiny, tmp_path):
    """HIA §3.3, written out as it is printed; α-bar is the product of 1 − β."""
    schedule = ["gamma=0.5", "zero_terminal_snr=false", "prediction=epsilon"]
    recipe = tiny(*(f"model.overrides.schedule.{value}" for value in schedule))
    steps, gamma, kept, snr = 1000, 0.5, 1.0, []
    for t in range(1, steps + 1):
        kept *= 1 - (0.00085 * (1 - (t - 1) / (steps - 1)) + 0.012 * (t - 1) / (steps - 1))
        snr.append(gamma * kept / (1 - kept))
    shifted = [value / (1 + value) for value in snr]
    alphas = [1 - (1 - now / before) for before, now in zip([1.0, *shifted], shifted, strict=False)]
    expected = torch.tensor(alphas, dtype=torch.float64).cumprod(0)
    trained = Trainer(recipe, tmp_path, device="cpu").module.alphas.double()
    torch.testing.assert_close(trained, expected, atol=1e-6, rtol=1e-5)


def test_dropped_conditions_follow_their_probabilities_and_reach_the_model(tiny, tmp_path):
    stage = StageRecipe(name="s", kind="spatial", steps=1, dropout=DropoutRecipe(animation=0.3, objects=1.0))
    draws = [dropped(stage, seed=0, step=step) for step in range(500)]
    assert abs(sum(draw["animation"] for draw in draws) / 500 - 0.3) < 0.07
    assert all(draw["objects"] and not draw["environment"] for draw in draws)
    assert dropped(stage, 0, 7) == dropped(stage, 0, 7)
    recipe = tiny()
    trainer = Trainer(recipe, tmp_path, device="cpu")
    batch = to_device(steps_of(recipe)[0], torch.device("cpu"))
    batch["object_BFHW"][:, :, :20, :20] = 1
    off = dict.fromkeys(("animation", "environment", "objects", "depth", "blur"), False)
    everything = trainer.module.conditions(batch, off)[1]
    assert set(everything) == {"reference", "pose", "environment", "mask", "objects"}
    for name, gone in (("animation", {"reference", "pose"}), ("environment", {"environment", "mask"}),
                       ("objects", {"objects"})):  # fmt: skip
        assert set(everything) - set(trainer.module.conditions(batch, {**off, name: True})[1]) == gone
    for name in ("depth", "blur"):
        without = trainer.module.conditions(batch, {**off, name: True})[1]["pose"]
        assert not torch.equal(without, everything["pose"]), name


def test_a_patch_loss_needs_patch_attention(tiny, tmp_path):
    patches = "stages.spatial.loss.patches=1"
    able = Trainer(tiny(patches), tmp_path, device="cpu")
    assert able.train_step(steps_of(able.recipe)[0])["patches"] > 0
    unable = load_recipe("tiny", [patches, "model.overrides.reference.patch_attention=false"])
    with pytest.raises(InputError, match=r"stages\.spatial\.loss\.patches is 1.*reference\.patch_attention=true"):
        Trainer(unable, tmp_path, device="cpu")
