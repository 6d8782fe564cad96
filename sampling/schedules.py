"""Noise schedules: betas, zero terminal SNR, HIA's shifted SNR, and what samplers need of them.

Schedules are computed in float64 and handed on in float32, because α-bar is a product of a thousand factors.
A `ScheduleConfig` (`models/config.py`) names the schedule that a checkpoint was trained with.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from diffusers import DDIMScheduler
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput, rescale_zero_terminal_snr
from torch import Tensor

from ..errors import InputError
from ..models.config import ScheduleConfig

# Smallest α-bar that has a finite sigma (4517): the value ComfyUI uses for zero terminal SNR.
SMALLEST_ALPHA_BAR = 4.9e-8

PREDICTION_TYPES = {"v": "v_prediction", "epsilon": "epsilon"}


def betas(schedule: ScheduleConfig) -> Tensor:
    """Return β_t of the schedule as the model is trained with it, float64 (train_steps,).

    `linear` is linear in β (DDPM, HIA), `scaled_linear` is linear in √β (Stable Diffusion). With
    `zero_terminal_snr` the result is rescaled so that the last step holds no signal (arXiv 2305.08891, algorithm 1).
    Where the schedule has a γ, the signal-to-noise ratio of all that is multiplied with it last (HIA §3.3,
    algorithm 1). # Not in paper: both together; γ times nothing is nothing, so that the last step still holds none.
    """
    start, end, steps = schedule.beta_start, schedule.beta_end, schedule.train_steps
    if schedule.betas == "linear":
        values = torch.linspace(start, end, steps, dtype=torch.float64)
    else:
        values = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    if schedule.zero_terminal_snr:
        values = rescale_zero_terminal_snr(values)
    return values if schedule.gamma is None else shifted_snr_betas(values, schedule.gamma)


def gamma_for(height: int, width: int, trained: float | None = None) -> float:
    """Return the SNR shift γ for a picture of height × width pixels, in (0, 1].

    # Not in paper: HIA gives no γ. A picture of n times as many pixels hides n times less under the same noise, so
    # γ is 512² (what Stable Diffusion's schedule was made for) over the number of pixels, and never above 1.
    `trained` is the γ of the model's own schedule, if it has one: then only what is still missing is returned.
    """
    if height < 1 or width < 1:
        raise InputError(f"a picture of {width} x {height} pixels has no SNR shift; give at least 1 x 1")
    return min(1.0, 512**2 / (height * width) / (trained or 1.0))


def shifted_snr_betas(values: Tensor, gamma: float) -> Tensor:
    """Return the β_t (T,) whose signal-to-noise ratio is γ times that of `values` at every t (HIA algorithm 1).

    A last β of 1 (zero terminal SNR) stays 1. Raises InputError when γ is not in (0, 1].
    """
    alphas_bar = _shift(torch.cumprod(1 - values.double(), dim=0), gamma)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alphas_bar[:-1]])
    return 1 - alphas_bar / before


def alphas_cumprod(schedule: ScheduleConfig, gamma: float | None = None) -> Tensor:
    """Return α-bar_t of the schedule, float64 (train_steps,), in [0, 1).

    `gamma` shifts it further, for sampling alone: the network is told t and given the noise of a later t.
    """
    values = torch.cumprod(1 - betas(schedule), dim=0)
    return values if gamma is None else _shift(values, gamma)


def _shift(alphas_bar: Tensor, gamma: float) -> Tensor:
    _check_gamma(gamma)
    # SNR' = γ·ᾱ/(1-ᾱ) and ᾱ' = SNR'/(1+SNR'), written without the division that zero SNR does not need
    return gamma * alphas_bar / (1 - alphas_bar + gamma * alphas_bar)


class TrailingDDIMScheduler(DDIMScheduler):
    """diffusers' DDIM with exact trailing timesteps, stepping to the *next entry* of that list.

    diffusers steps by `train_steps // steps` whatever the list says: where `steps` does not divide `train_steps` that
    lands beside the next timestep and stops before the last noise is gone (7 steps: 1000 // 7 = 142 ends at t = 0).
    And its list, made with floats, has one entry too many, -1, for 61 and 61 other numbers of steps.
    Deterministic (η = 0), as k-diffusion's Euler is over `sigmas`.
    """

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """Choose the timesteps of a run. Raises InputError for a number outside 1 … train_steps."""
        self.num_inference_steps = num_inference_steps
        self.timesteps = trailing_timesteps(self.config.num_train_timesteps, num_inference_steps).to(device)

    def step(
        self, model_output: Tensor, timestep: int, sample: Tensor, return_dict: bool = True
    ) -> DDIMSchedulerOutput | tuple[Tensor, Tensor]:
        """Go from `timestep` to the next one in `timesteps`; after the last, to the clean sample."""
        alpha_bar = self.alphas_cumprod[timestep].to(sample.device)
        clean, noise = split_prediction(model_output, sample, alpha_bar, self.config.prediction_type)
        alpha_bar_next = self._alpha_bar_after(int(timestep)).to(sample.device)
        previous = alpha_bar_next.sqrt() * clean + (1 - alpha_bar_next).sqrt() * noise
        if not return_dict:
            return previous, clean
        return DDIMSchedulerOutput(prev_sample=previous, pred_original_sample=clean)

    def _alpha_bar_after(self, timestep: int) -> Tensor:
        following = self.timesteps.tolist().index(timestep) + 1
        if following == len(self.timesteps):
            return self.final_alpha_cumprod
        return self.alphas_cumprod[self.timesteps[following]]


def split_prediction(prediction: Tensor, sample: Tensor, alpha_bar: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Split x_t = √ᾱ·x0 + √(1-ᾱ)·ε, given the network's prediction, into (x0, ε).

    `kind` is "epsilon" or "v_prediction" (v = √ᾱ·ε - √(1-ᾱ)·x0, arXiv 2202.00512). Shapes are those of `sample`.
    """
    signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    if kind == "epsilon":
        return (sample - noise * prediction) / signal, prediction
    return signal * sample - noise * prediction, noise * sample + signal * prediction


def make_scheduler(schedule: ScheduleConfig, gamma: float | None = None) -> TrailingDDIMScheduler:
    """Return the scheduler of a checkpoint: DDIM, trailing timesteps, no clipping, ending at the clean sample.

    α-bar is at least 4.9e-8 here, as in `sigmas`: both then take the very same steps.
    `gamma` multiplies the SNR of the schedule that the model was trained with; None leaves it. Raises InputError for
    ε-prediction on a schedule without terminal signal: from pure noise, ε says nothing about x0.
    """
    check_prediction(schedule)
    alphas_bar = alphas_cumprod(schedule, gamma)
    values = betas(schedule) if gamma is None else shifted_snr_betas(betas(schedule), gamma)
    scheduler = TrailingDDIMScheduler(
        num_train_timesteps=schedule.train_steps,
        trained_betas=values.tolist(),
        timestep_spacing="trailing",
        prediction_type=PREDICTION_TYPES[schedule.prediction],
        clip_sample=False,
        set_alpha_to_one=True,
    )
    # diffusers multiplies float32 β; this keeps float64's digits, and the same last value as `sigmas`
    scheduler.alphas_cumprod = alphas_bar.clamp(min=SMALLEST_ALPHA_BAR).float()
    return scheduler


def trailing_timesteps(train_steps: int, steps: int) -> Tensor:
    """Return `steps` timesteps from train_steps - 1 down, int64 (steps,), evenly spaced, "trailing" (arXiv 2305.08891).

    Raises InputError for a number of steps outside 1 … train_steps.
    """
    if not 1 <= steps <= train_steps:
        raise InputError(f"{steps} sampling steps; give 1 to {train_steps}, the number the model was trained with")
    return torch.tensor([round(Fraction(train_steps * (steps - i), steps)) - 1 for i in range(steps)])


def sigmas(schedule: ScheduleConfig, steps: int, gamma: float | None = None) -> Tensor:
    """Return the sigmas of the trailing timesteps for k-diffusion samplers, float32 (steps + 1,), the last one 0.

    sigma = √((1-ᾱ)/ᾱ) with ᾱ of at least 4.9e-8, so that zero terminal SNR has a finite first sigma.
    """
    check_prediction(schedule)
    timesteps = trailing_timesteps(schedule.train_steps, steps)
    chosen = alphas_cumprod(schedule, gamma)[timesteps].clamp(min=SMALLEST_ALPHA_BAR)
    return torch.cat([((1 - chosen) / chosen).sqrt(), torch.zeros(1, dtype=torch.float64)]).float()


def every_sigma(schedule: ScheduleConfig) -> Tensor:
    """Return the sigmas of all timesteps, float32 (train_steps,), rising: for samplers that find timesteps by sigma."""
    unshifted = schedule.model_copy(update={"gamma": None})
    values = sigmas(unshifted, schedule.train_steps)[:-1].flip(0)
    return values if schedule.gamma is None else shifted_sigmas(values, schedule.gamma)


def shifted_sigmas(values: Tensor, gamma: float) -> Tensor:
    """Return rising sigmas (T,), float32, with γ times the signal-to-noise ratio 1/σ² of `values`: σ/√γ.

    HIA algorithm 1. As in `sigmas`, ᾱ stays at least 4.9e-8; what that bounds rises by 1e-4 a timestep, because
    samplers find the timestep by the sigma. Raises InputError when γ is not in (0, 1].
    """
    _check_gamma(gamma)
    from_last = torch.arange(len(values) - 1, -1, -1, dtype=torch.float64)
    largest = (1 / SMALLEST_ALPHA_BAR - 1) ** 0.5 * (1 - 1e-4) ** from_last
    return torch.minimum(values.cpu().double() / gamma**0.5, largest).float()


def _check_gamma(gamma: float) -> None:
    if not 0 < gamma <= 1:
        raise InputError(f"the SNR shift gamma is {gamma}; give a value above 0 and at most 1")


def check_prediction(schedule: ScheduleConfig) -> None:
    """Raise InputError for ε-prediction that would have to start where there is no signal."""
    if schedule.zero_terminal_snr and schedule.prediction == "epsilon":
        raise InputError('prediction "epsilon" with zero_terminal_snr cannot start from pure noise; use prediction "v"')
