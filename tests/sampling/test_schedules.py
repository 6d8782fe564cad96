"""Schedules against diffusers' own classes, closed forms in float64, and a k-diffusion Euler sampler."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from inhabit.errors import InputError
from inhabit.models.config import ScheduleConfig
from inhabit.sampling.schedules import (
    alphas_cumprod,
    betas,
    every_sigma,
    gamma_for,
    make_scheduler,
    shifted_sigmas,
    shifted_snr_betas,
    sigmas,
    trailing_timesteps,
)

from ..pipeline.conftest import alpha_bar

CONFIGS = [
    ScheduleConfig(betas=kind, zero_terminal_snr=zero, prediction=prediction)
    for kind in ("linear", "scaled_linear")
    for zero, prediction in ((True, "v"), (False, "v"), (False, "epsilon"))
]


def diffusers_scheduler(schedule: ScheduleConfig) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
        beta_schedule=schedule.betas,
        clip_sample=False,
        timestep_spacing="trailing",
        rescale_betas_zero_snr=schedule.zero_terminal_snr,
        prediction_type={"v": "v_prediction", "epsilon": "epsilon"}[schedule.prediction],
    )


@pytest.mark.parametrize("schedule", CONFIGS)
def test_alphas_equal_diffusers_and_the_formula(schedule):
    ours = alphas_cumprod(schedule)
    torch.testing.assert_close(ours, alpha_bar(schedule), rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(ours.float(), diffusers_scheduler(schedule).alphas_cumprod, rtol=1e-3, atol=1e-6)
    assert (ours[-1] == 0) == schedule.zero_terminal_snr
    assert (ours.diff() < 0).all()


@pytest.mark.parametrize("schedule", CONFIGS)
@pytest.mark.parametrize("gamma", [1.0, 0.5, 0.03])
def test_shifted_snr_is_gamma_times_the_snr(schedule, gamma):
    before, after = alphas_cumprod(schedule), alphas_cumprod(schedule, gamma)
    snr_before, snr_after = (x[:-1] / (1 - x[:-1]) for x in (before, after))
    torch.testing.assert_close(snr_after, gamma * snr_before, rtol=1e-9, atol=0)
    torch.testing.assert_close(after[-1] / (1 - after[-1]), gamma * before[-1] / (1 - before[-1]), rtol=1e-9, atol=0)
    shifted = shifted_snr_betas(betas(schedule), gamma)  # HIA algorithm 1's last line, and back
    torch.testing.assert_close(torch.cumprod(1 - shifted, 0), after, rtol=1e-9, atol=1e-15)
    assert ((shifted > 0) & (shifted <= 1)).all()


@pytest.mark.parametrize("gamma", [0.0, -0.1, 1.5, float("nan")])
def test_gamma_outside_its_range_is_refused(gamma):
    with pytest.raises(InputError, match=r"gamma is .*at most 1"):
        alphas_cumprod(CONFIGS[0], gamma)


def test_gamma_by_resolution():
    assert gamma_for(512, 512) == gamma_for(128, 128) == 1.0
    assert gamma_for(1024, 1024) == 0.25
    assert gamma_for(768, 512) == pytest.approx(2 / 3)
    assert gamma_for(1024, 1024, 0.5) == 0.5, "half of it is in the model's own schedule"
    assert gamma_for(1024, 1024, 0.2) == gamma_for(512, 512, 0.5) == 1.0


def algorithm_1(gamma: float, steps: int = 1000) -> list[float]:
    """HIA's algorithm 1, line by line on Python's float64: β of the linear scheduler, SNR, γ·SNR, β again."""
    beta = [0.00085 * (1 - t / (steps - 1)) + 0.012 * t / (steps - 1) for t in range(steps)]
    product, snr = 1.0, []
    for value in beta:
        product *= 1 - value
        snr.append(gamma * product / (1 - product))
    kept = [value / (1 + value) for value in snr]
    return [1 - now / before for now, before in zip(kept, [1.0, *kept[:-1]], strict=True)]


@pytest.mark.parametrize("gamma", [0.25, 0.7])
def test_the_schedule_of_a_model_with_gamma_is_hias_algorithm_1(gamma):
    schedule = ScheduleConfig(zero_terminal_snr=False, prediction="epsilon", gamma=gamma)
    expected = torch.tensor(algorithm_1(gamma), dtype=torch.float64)
    torch.testing.assert_close(betas(schedule), expected, rtol=1e-9, atol=1e-14)
    alphas_bar = torch.cumprod(1 - expected, 0)
    torch.testing.assert_close(alphas_cumprod(schedule), alphas_bar, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(make_scheduler(schedule).alphas_cumprod, alphas_bar.float(), rtol=1e-6, atol=0)
    exact = ((1 - alphas_bar) / alphas_bar).sqrt()
    torch.testing.assert_close(sigmas(schedule, 4)[:-1].double(), exact[[999, 749, 499, 249]], rtol=1e-6, atol=0)
    torch.testing.assert_close(every_sigma(schedule).double(), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("schedule", CONFIGS)
def test_the_users_gamma_comes_on_top_of_the_models(schedule):
    trained = schedule.model_copy(update={"gamma": 0.6})
    torch.testing.assert_close(alphas_cumprod(trained, 0.5), alphas_cumprod(schedule, 0.3), rtol=1e-9, atol=0)
    together, alone = make_scheduler(trained, 0.5), make_scheduler(schedule, 0.3)
    torch.testing.assert_close(together.alphas_cumprod, alone.alphas_cumprod, rtol=1e-6, atol=0)
    torch.testing.assert_close(sigmas(trained, 7, 0.5), sigmas(schedule, 7, 0.3), rtol=1e-6, atol=0)
    assert torch.equal(alphas_cumprod(schedule.model_copy(update={"gamma": 1.0})), alphas_cumprod(schedule, 1.0))


@pytest.mark.parametrize("gamma", [1e-3, 0.5])
@pytest.mark.parametrize("schedule", CONFIGS)
def test_every_sigma_tells_its_timestep(schedule, gamma):
    """Samplers find the timestep by the sigma, so that no two may be equal, whatever γ a model is trained with."""
    values = every_sigma(schedule.model_copy(update={"gamma": gamma}))
    assert len(values) == 1000 and (values.log().diff() > 0).all() and torch.isfinite(values).all()


@pytest.mark.parametrize("gamma", [0, -0.5, 1.01, float("nan")])
def test_a_model_is_not_made_with_a_gamma_outside_its_range(gamma):
    with pytest.raises(ValueError, match="gamma"):
        ScheduleConfig(gamma=gamma)


@pytest.mark.parametrize("schedule", CONFIGS)
@pytest.mark.parametrize("steps", [1, 4, 10, 25])
def test_step_equals_diffusers_where_the_steps_divide(schedule, steps):
    ours, theirs = make_scheduler(schedule), diffusers_scheduler(schedule)
    theirs.alphas_cumprod = ours.alphas_cumprod  # their float32 product is 1e-4 off where little signal is left
    ours.set_timesteps(steps)
    theirs.set_timesteps(steps)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()
    for timestep in ours.timesteps:
        sample, prediction = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(int(timestep)))
        mine = ours.step(prediction, timestep, sample)
        other = theirs.step(prediction, timestep, sample)
        torch.testing.assert_close(mine.prev_sample, other.prev_sample, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(mine.pred_original_sample, other.pred_original_sample, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", CONFIGS)
@pytest.mark.parametrize("steps", [3, 7, 30, 61])
def test_steps_that_do_not_divide_follow_the_closed_form_to_the_end(schedule, steps):
    scheduler = make_scheduler(schedule)
    scheduler.set_timesteps(steps)
    alphas = alpha_bar(schedule).clamp(min=4.9e-8)  # as ComfyUI has it, so that both draw the same picture
    clean, noise = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    following = [*scheduler.timesteps.tolist()[1:], None]
    for timestep, after in zip(scheduler.timesteps.tolist(), following, strict=True):
        a = alphas[timestep]
        sample = a.sqrt() * clean + (1 - a).sqrt() * noise
        exact = noise if schedule.prediction == "epsilon" else a.sqrt() * noise - (1 - a).sqrt() * clean
        b = torch.tensor(1.0) if after is None else alphas[after]
        expected = b.sqrt() * clean + (1 - b).sqrt() * noise
        result = scheduler.step(exact.float(), timestep, sample.float()).prev_sample
        torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 7, 25, 61, 999, 1000])
def test_trailing_timesteps_are_what_the_paper_of_zero_snr_asks(steps):
    timesteps = trailing_timesteps(1000, steps)
    assert len(timesteps) == steps and timesteps[0] == 999 and (timesteps.diff() < 0).all()
    assert abs(int(timesteps[-1]) + 1 - 1000 / steps) <= 0.5


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(InputError, match=f"{steps} sampling steps"):
        sigmas(CONFIGS[0], steps)
    with pytest.raises(InputError, match=f"{steps} sampling steps"):
        make_scheduler(CONFIGS[0]).set_timesteps(steps)


@pytest.mark.parametrize("schedule", CONFIGS)
@pytest.mark.parametrize("gamma", [None, 0.4])
def test_euler_over_the_sigmas_is_the_scheduler(schedule, gamma):
    """k-diffusion's Euler, written here with ComfyUI's EPS and V_PREDICTION scalings, lands where DDIM does."""
    steps, values = 9, sigmas(schedule, 9, gamma).double()
    assert values[-1] == 0 and torch.isfinite(values).all() and (values.diff() < 0).all()
    scheduler = make_scheduler(schedule, gamma)
    scheduler.set_timesteps(steps)
    start = torch.randn(64, generator=torch.Generator().manual_seed(5))

    def network(x: torch.Tensor, timestep: int) -> torch.Tensor:
        return torch.tanh(x * 0.7 + timestep / 1000) + 0.3

    by_scheduler = start
    euler = start.double() * (1 + values[0] ** 2).sqrt()
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
        by_scheduler = scheduler.step(network(by_scheduler, timestep), timestep, by_scheduler).prev_sample
        sigma = values[index]
        output = network(euler / (sigma**2 + 1).sqrt(), timestep)
        if schedule.prediction == "epsilon":
            denoised = euler - sigma * output
        else:
            denoised = euler / (sigma**2 + 1) - output * sigma / (sigma**2 + 1).sqrt()
        euler = euler + (euler - denoised) / sigma * (values[index + 1] - sigma)
    torch.testing.assert_close(by_scheduler.double(), euler, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("schedule", CONFIGS)
@pytest.mark.parametrize("gamma", [1.0, 0.3, 0.01])
def test_shifted_sigmas_are_those_of_the_shifted_schedule_and_tell_their_timesteps(schedule, gamma):
    every = schedule.train_steps
    shifted = shifted_sigmas(sigmas(schedule, every)[:-1].flip(0), gamma)
    torch.testing.assert_close(shifted, sigmas(schedule, every, gamma)[:-1].flip(0), rtol=2e-3, atol=0)
    assert (shifted.log().diff() > 0).all()


def test_epsilon_from_pure_noise_is_refused():
    with pytest.raises(InputError, match="zero_terminal_snr"):
        make_scheduler(ScheduleConfig(zero_terminal_snr=True, prediction="epsilon"))
