"""The animate loop, with a model whose answer is known and with a tiny real one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.models.config import ScheduleConfig
from inhabit.pipeline import DrivingConditions, environment_frames, initial_noise
from inhabit.sampling import make_scheduler

from .conftest import TINY, KnownAnswer, alpha_bar, animated, drive
from .live_tensors import LiveTensors


def expected_frames(codec, conditions: DrivingConditions, strength: float = 0.0) -> torch.Tensor:
    """What KnownAnswer's x0 decodes to."""
    clean = codec.encode(environment_frames(conditions.driving, conditions.mask))
    skeleton = conditions.skeleton.permute(0, 3, 1, 2).mean(dim=1, keepdim=True)
    return codec.decode(clean + strength * torch.nn.functional.avg_pool2d(skeleton, 4))


def settings(**changed) -> dict:
    return {"steps": 4, "guidance": 1.0, "seed": 11, "window": 8, "overlap": 2, "progress": False} | changed


SCHEDULES = [
    ScheduleConfig(),
    ScheduleConfig(betas="scaled_linear", zero_terminal_snr=False, prediction="epsilon"),
    ScheduleConfig(zero_terminal_snr=False, prediction="v"),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("long_video", ["windows", "clips"])
@pytest.mark.parametrize("frames", [3, 8, 21])
def test_a_perfect_predictor_gives_its_x0(codec, reference_image, schedule, long_video, frames):
    conditions = drive(frames)
    model = KnownAnswer(TINY.model_copy(update={"schedule": schedule}), strength=0.5)
    result = animated(model, codec, reference_image, conditions, **settings(long_video=long_video, steps=7))
    assert result.shape == conditions.driving.shape and result.dtype == torch.float32
    torch.testing.assert_close(result, expected_frames(codec, conditions, 0.5), rtol=0, atol=2e-3)


def test_guidance_extrapolates_from_without_motion(codec, reference_image):
    """With x0 linear in the motion's weight, guidance ω is the answer for ω times the motion."""
    conditions = drive(8)
    result = animated(KnownAnswer(strength=0.2), codec, reference_image, conditions, **settings(guidance=2.5))
    torch.testing.assert_close(result, expected_frames(codec, conditions, 0.5), rtol=0, atol=2e-3)


@pytest.mark.parametrize(("guidance", "passes"), [(1.0, 1), (3.0, 2)])
def test_passes_a_step(codec, reference_image, guidance, passes):
    model = KnownAnswer()
    animated(model, codec, reference_image, drive(8), **settings(guidance=guidance))
    assert model.count("conditional") == 4
    assert model.count("unconditional") == 4 * (passes - 1)


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_the_reference_is_read_once_a_run(codec, reference_image, long_video):
    model = KnownAnswer()
    animated(model, codec, reference_image, drive(40), **settings(long_video=long_video))
    assert model.count("reference") == model.count("project") == 1


def test_features_of_a_single_window_are_computed_once(codec, reference_image):
    model = KnownAnswer()
    animated(model, codec, reference_image, drive(8, objects=True), **settings())
    assert (model.count("motion"), model.count("objects"), model.count("conditional")) == (1, 1, 4)


def test_no_objects_means_no_object_guider(codec, reference_image):
    model = KnownAnswer()
    conditions = replace(drive(8), object_mask=torch.zeros(8, 16, 16))
    animated(model, codec, reference_image, conditions, **settings())
    assert model.count("objects") == 0


def test_a_frame_by_frame_model_knows_nothing_of_windows(tiny_model, codec, reference_image):
    """The real networks without their temporal layers: many shifted windows give what one window gives."""
    conditions = drive(20, objects=True)
    alone = settings(guidance=2.0, steps=3, without={"temporal"})
    whole = animated(tiny_model, codec, reference_image, conditions, **(alone | {"window": 20, "overlap": 0}))
    parts = animated(tiny_model, codec, reference_image, conditions, **(alone | {"window": 7, "overlap": 3}))
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mechanism", ["reference", "motion", "environment", "objects", "temporal"])
def test_each_mechanism_can_be_switched_off_and_matters(tiny_model, codec, reference_image, mechanism):
    conditions = drive(5, objects=True)
    full = animated(tiny_model, codec, reference_image, conditions, **settings(steps=2))
    less = animated(tiny_model, codec, reference_image, conditions, **settings(steps=2, without={mechanism}))
    assert (full - less).abs().max() > 1e-4


def test_a_run_is_repeatable_and_the_seed_matters(tiny_model, codec, reference_image):
    conditions = drive(12)
    first, again, other = (
        animated(tiny_model, codec, reference_image, conditions, **settings(steps=2, seed=seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_noise_is_comfyuis():
    """comfy.sample.prepare_noise: torch.manual_seed(seed), then randn of the latent batch on the CPU."""
    expected = torch.randn((6, 4, 3, 5), generator=torch.manual_seed(123), device="cpu")
    assert torch.equal(initial_noise((6, 4, 3, 5), 123), expected)


def test_clips_show_the_next_clip_the_finished_frames(codec, reference_image):
    """AA2 motion frames: the window starts with the last clip's x0, re-noised to the current step."""
    conditions, model = drive(20), KnownAnswer(keep=True)
    animated(model, codec, reference_image, conditions, **settings(long_video="clips", overlap=3))
    clean = codec.encode(environment_frames(conditions.driving, conditions.mask))
    noise, alphas = initial_noise(clean.shape, 11), alpha_bar(TINY.schedule)
    predictions = [call for call in model.calls if call[0] == "conditional"]
    clips = ((0, 0), (5, 3), (10, 3), (12, 6))  # first frame, finished frames; the last clip is moved back
    assert len(predictions) == len(model.seen) == 4 * len(clips)
    for index, (latents, call) in enumerate(zip(model.seen, predictions, strict=True)):
        start, finished = clips[index // 4]
        a, frames = alphas[call[2]], slice(start, start + finished)
        expected = (a.sqrt() * clean[frames] + (1 - a).sqrt() * noise[frames]).double()
        torch.testing.assert_close(latents[:finished].double(), expected, rtol=0, atol=2e-3)


def test_nothing_but_latents_grows_with_the_video(codec, reference_image):
    """64 and 640 frames: the same largest batch everywhere, and a peak that differs by frames and latents alone."""
    peaks, batches = {}, {}
    size, window = 32, 16
    for frames in (64, 640):
        model = KnownAnswer()
        conditions = drive(frames, size, objects=True)
        with LiveTensors() as live:
            result = animated(
                model, codec, reference_image, conditions, **settings(steps=2, guidance=2.0, window=window)
            )
        peaks[frames], batches[frames] = live.peak, {call[1] for call in model.calls if call[0] != "reference"}
        assert result.shape[0] == frames
    assert max(batches[64]) == max(batches[640]) == window
    frame, latent = size * size * 3 * 4, (size // 4) ** 2 * 4 * 4
    growth = (peaks[640] - peaks[64]) / (640 - 64)
    assert frame <= growth <= frame + 6 * latent  # the result, and environment, objects, mask, noise, state


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_the_callback_sees_every_step_and_can_interrupt(codec, reference_image, long_video):
    seen = []
    options = settings(long_video=long_video)
    animated(KnownAnswer(), codec, reference_image, drive(20), **options, callback=lambda *call: seen.append(call))
    total = seen[-1][1]
    assert [call[0] for call in seen] == list(range(1, total + 1))

    class Interrupted(Exception):
        pass

    def interrupt(step: int, total: int, latents: torch.Tensor) -> None:
        raise Interrupted

    model = KnownAnswer()
    with pytest.raises(Interrupted):
        animated(model, codec, reference_image, drive(8), **options, callback=interrupt)
    assert model.count("conditional") == 1


def test_half_precision_keeps_the_schedule_in_float32(tiny_model, codec, reference_image):
    conditions = drive(6)
    exact = animated(tiny_model, codec, reference_image, conditions, **settings(steps=3))
    half = animated(tiny_model.to(torch.bfloat16), codec, reference_image, conditions, **settings(steps=3))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, rtol=0, atol=0.05)


def test_defaults_come_from_the_model(codec, reference_image):
    config = TINY.model_copy(
        update={"sampling": TINY.sampling.model_copy(update={"steps": 3, "guidance": 2.0, "window": 5, "overlap": 2})}
    )
    model = KnownAnswer(config)
    animated(model, codec, reference_image, drive(5), progress=False)
    assert (model.count("conditional"), model.count("unconditional")) == (3, 3)
    animated(model, codec, reference_image, drive(5), window=2, progress=False)  # the overlap gives way to the window


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"window": 33}, "window of 33 frames; the model takes 1 to 32"),
        ({"window": 0}, "window of 0"),
        ({"overlap": 8}, "overlap of 8 frames for windows of 8"),
        ({"steps": 0}, "0 sampling steps"),
        ({"seed": -1}, "seed is -1"),
        ({"long_video": "loop"}, 'long_video is "loop"'),
        ({"gamma": 2.0}, "gamma is 2.0"),
        ({"without": {"noise"}}, "noise"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(codec, reference_image, changed, message):
    with pytest.raises(InputError, match=message) as caught:
        animated(KnownAnswer(), codec, reference_image, drive(8), **settings(**changed))
    assert "\n" not in str(caught.value)


def test_sizes_that_do_not_fit_are_refused(codec, reference_image):
    with pytest.raises(InputError, match="driving video is 20 x 20 pixels.* 8 divides"):
        animated(KnownAnswer(), codec, reference_image, drive(8, 20), **settings())
    with pytest.raises(InputError, match="reference is 1 x 1 pixels"):
        animated(KnownAnswer(), codec, torch.zeros(1, 1, 1, 3), drive(8), **settings())
    with pytest.raises(InputError, match=r"reference has shape \(2, "):
        animated(KnownAnswer(), codec, torch.zeros(2, 16, 16, 3), drive(8), **settings())


def test_shifted_snr_reaches_the_steps(codec, reference_image):
    """With γ the perfect predictor of the unshifted schedule is wrong in a known way: one step, by hand."""
    conditions, schedule = drive(4), ScheduleConfig(zero_terminal_snr=False)
    model = KnownAnswer(TINY.model_copy(update={"schedule": schedule}))
    last = []
    animated(
        model,
        codec,
        reference_image,
        conditions,
        **settings(steps=1, gamma=0.25),
        callback=lambda *call: last.append(call[2]),
    )
    clean = codec.encode(environment_frames(conditions.driving, conditions.mask)).double()
    noise = initial_noise(clean.shape, 11).double()
    a = alpha_bar(schedule)[-1]
    velocity = a.sqrt() * (noise - a.sqrt() * clean) / (1 - a).sqrt() - (1 - a).sqrt() * clean
    snr = 0.25 * a / (1 - a)
    shifted = snr / (1 + snr)
    torch.testing.assert_close(
        last[0].double(), shifted.sqrt() * noise - (1 - shifted).sqrt() * velocity, atol=1e-4, rtol=0
    )
    assert float(make_scheduler(schedule, 0.25).alphas_cumprod[-1]) == pytest.approx(float(shifted), rel=1e-5)


def recorded(model: torch.nn.Module) -> list[tuple]:
    """The list that every later call of `model.denoise` is noted in: (latents, context, keywords)."""
    seen, denoise = [], model.denoise

    def record(latents, timesteps, context=None, **given):
        seen.append((latents, context, given))
        return denoise(latents, timesteps, context, **given)

    model.denoise = record
    return seen


@pytest.mark.parametrize("without", [("reference", "motion"), ("reference",)])
def test_the_unconditional_clip_sees_an_empty_context_and_no_reference(codec, reference_image, without):
    config = TINY.model_copy(update={"sampling": TINY.sampling.model_copy(update={"unconditional_without": without})})
    model = KnownAnswer(config)
    seen = recorded(model)
    conditions, context = drive(8, objects=True), torch.ones(1, 2, 3)
    animated(model, codec, reference_image, conditions, **settings(steps=1, guidance=2.0), context=context)
    ((latents, both_contexts, given),) = seen
    assert torch.equal(latents[0], latents[1]) and given["unconditional"] == 1
    assert torch.equal(both_contexts, torch.stack([torch.zeros(2, 3), torch.ones(2, 3)]))
    assert {"reference", "environment", "mask", "objects"} <= given.keys()
    motion = model.pose(conditions.skeleton.movedim(-1, 1).unsqueeze(0))
    expected = torch.cat([torch.zeros_like(motion), motion]) if "motion" in without else motion
    torch.testing.assert_close(given["pose"], expected)


def test_one_batch_of_both_passes_is_the_two_passes(tiny_model, codec, reference_image):
    """The real networks: guidance from the batch against the formula over two separate calls."""
    conditions = drive(5, objects=True)
    seen = recorded(tiny_model)
    animated(tiny_model, codec, reference_image, conditions, **settings(steps=1, guidance=3.0, window=5))
    latents, context, given = seen.pop()
    with torch.no_grad():
        both = tiny_model.denoise(latents, torch.tensor([999]), context, **given)
        scene = {name: given[name] for name in ("environment", "mask", "objects")}
        alone = tiny_model.denoise(latents[:1], torch.tensor([999]), **scene)
        told = tiny_model.denoise(
            latents[1:], torch.tensor([999]), **scene, reference=given["reference"], pose=given["pose"][1:]
        )
    torch.testing.assert_close(both, torch.cat([alone, told]), rtol=0, atol=1e-5)
    assert (alone - told).abs().max() > 1e-2


@pytest.mark.parametrize("without", [(), ("reference",), ("motion",), ("reference", "motion")])
def test_the_unconditional_pass_goes_without_just_what_the_model_learned_to_miss(codec, reference_image, without):
    """Real networks with cross-attention; the two passes one after the other, by hand, and one step to the end."""
    torch.manual_seed(4)
    unet = TINY.unet.model_copy(update={"cross_attention_dim": 6})
    sampling = TINY.sampling.model_copy(update={"unconditional_without": without})
    model = AnimationModel(TINY.model_copy(update={"unet": unet, "sampling": sampling})).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    conditions, context, last = drive(5), torch.randn(1, 2, 6), []
    given = settings(steps=1, guidance=3.0, window=5) | {"context": context}
    animated(model, codec, reference_image, conditions, **given, callback=lambda *call: last.append(call[2]))
    pixels = [plane.movedim(-1, 1)[None] for plane in (conditions.skeleton, conditions.depth[..., None])]
    noise = initial_noise((5, 4, 4, 4), 11)
    with torch.no_grad():
        motion, reference = model.pose(*pixels), model.reference(codec.encode(reference_image), context)
        cells = torch.nn.functional.max_pool2d(conditions.mask[:, None], 4)
        scene = codec.encode(environment_frames(conditions.driving, conditions.mask))
        scene = {"environment": scene[None].clone(), "mask": cells[None]}

        def passed(appearance: bool, performance: bool) -> torch.Tensor:
            return model.denoise(
                noise[None], torch.tensor([999]), context if appearance else torch.zeros_like(context), **scene,
                reference=reference if appearance else None, pose=motion if performance else None,
            )[0]  # fmt: skip

        told = passed(True, True)
        untold = passed("reference" not in without, "motion" not in without)
        expected = 4.9e-8**0.5 * noise - (1 - 4.9e-8) ** 0.5 * (untold + 3 * (told - untold))
        differs = [(passed(*kind) - told).abs().max() > 1e-3 for kind in ((False, True), (True, False))]
    torch.testing.assert_close(last[0], expected, rtol=0, atol=2e-5)
    assert all(differs)


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_under_what_is_kept_there_is_no_reference_noise(codec, reference_image, long_video):
    """The scene a noise mask keeps and finished frames are clean latents under standard normal noise of the step."""
    schedule = ScheduleConfig(zero_terminal_snr=False)
    conditions, alphas = drive(14), alpha_bar(schedule).float()
    clean = codec.encode(environment_frames(conditions.driving, conditions.mask))
    noise = initial_noise(clean.shape, 11)
    outside = torch.nn.functional.max_pool2d(conditions.mask.unsqueeze(1), 4).expand_as(clean) == 0
    for environment in (True, False):
        kept = outside.clone() if not environment else torch.zeros_like(outside)
        kept[6:8] |= long_video == "clips"  # the overlap of 2, finished where the last clip, of frames 6 to 13, starts
        config = TINY.model_copy(update={"environment": environment, "schedule": schedule})
        model = KnownAnswer(config, keep=True)
        model.scene = torch.zeros(1, 1, 4, 4, 4)  # what it draws inside the mask where it is shown no environment
        answer = clean if environment else clean * outside
        given = settings(long_video=long_video, prompt_travel=False, reference_noise=True)
        animated(model, codec, reference_image, conditions, **given)
        a, shown = alphas[[call[2] for call in model.calls if call[0] == "conditional"][-1]], model.seen[-1]
        noisy = a.sqrt() * answer + (1 - a).sqrt() * noise
        torch.testing.assert_close(shown[kept[6:]], noisy[6:][kept[6:]], rtol=0, atol=2e-3)
        assert kept[6:].any() or (environment and long_video == "windows")
        first, reference = model.seen[0], codec.encode(reference_image)
        start = alphas[-1].sqrt() * reference + (1 - alphas[-1]).sqrt() * noise[:8]
        drawn = ~outside[:8] | environment
        torch.testing.assert_close(first[drawn], start[drawn], rtol=0, atol=1e-5)


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_without_an_environment_input_the_scene_is_kept_by_a_noise_mask(codec, reference_image, long_video, caplog):
    """Inpainting: outside the mask the result is the driving video's latents, and each step sees them at its noise."""
    conditions = drive(20, objects=True)
    model = KnownAnswer(TINY.model_copy(update={"environment": False, "objects": None}), keep=True)
    model.scene = torch.zeros(1, 1, 4, 4, 4)
    seen = recorded(model)
    caplog.set_level("INFO")
    result = animated(model, codec, reference_image, conditions, **settings(long_video=long_video))
    assert all(given.keys().isdisjoint({"environment", "mask", "objects"}) for _, _, given in seen)
    clean = codec.encode(environment_frames(conditions.driving, conditions.mask))
    cells = torch.nn.functional.max_pool2d(conditions.mask.unsqueeze(1), 4)
    torch.testing.assert_close(result, codec.decode(clean * (1 - cells)), rtol=0, atol=2e-3)
    noise, alphas = initial_noise(clean.shape, 11), alpha_bar(TINY.schedule).float()
    steps = [call[2] for call in model.calls if call[0] == "conditional"]
    a, frames = alphas[steps[-1]], slice(12, 20)
    kept = cells[frames] == 0
    noisy = (a.sqrt() * clean + (1 - a).sqrt() * noise)[frames]
    kept = kept.expand_as(noisy)
    assert steps[-1] < 500 and torch.allclose(model.seen[-1][kept], noisy[kept], atol=1e-4)
    assert "no environment input" in caplog.text and "no object guider" in caplog.text


@pytest.mark.parametrize("travel", [True, False])
def test_windows_travel_or_stay_in_place(codec, reference_image, travel):
    conditions, model = drive(20), KnownAnswer()
    first_pixels, starts, motion = conditions.skeleton[:, 0, 0, 0].tolist(), set(), model.pose

    def note_where_it_starts(skeleton, *rest, **named):
        starts.add(first_pixels.index(skeleton[0, 0, 0, 0, 0].item()))
        return motion(skeleton, *rest, **named)

    model.pose = note_where_it_starts
    animated(model, codec, reference_image, conditions, **settings(steps=3), prompt_travel=travel)
    assert (starts == {0, 6, 12}) != travel


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_ends_the_run(codec, reference_image, wrong):
    model = KnownAnswer()
    model.denoise = lambda latents, *_, **__: torch.full_like(latents, wrong)
    with pytest.raises(InputError, match=r"answer at step 999 is no number .* in torch.float32.*--dtype"):
        animated(model, codec, reference_image, drive(8), **settings())


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_what_the_callback_was_given_does_not_change_later(codec, reference_image, long_video):
    kept = []

    def keep(step, steps, latents):
        kept.append((latents, latents.clone()))

    animated(KnownAnswer(), codec, reference_image, drive(20), **settings(long_video=long_video), callback=keep)
    assert all(torch.equal(latents, before) for latents, before in kept)
