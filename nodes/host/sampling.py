"""Core's samplers and schedulers over a MODEL of ours."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from torch import Tensor

from .checks import check_conditions, check_latent
from .schedule import SAMPLING, trailing_sigmas
from .settings import model_config

TRAILING = "trailing"
SAMPLERS = list(comfy.samplers.SAMPLER_NAMES)
SCHEDULERS = [TRAILING, *comfy.samplers.SCHEDULER_NAMES]


def sigmas_for(patcher: comfy.model_patcher.ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the sigmas (steps + 1,), of the MODEL's trailing timesteps or core's `scheduler`."""
    if scheduler == TRAILING:
        return trailing_sigmas(patcher, steps)
    return comfy.samplers.calculate_sigmas(patcher.get_model_object(SAMPLING), scheduler, steps)


def check_inputs(patcher: comfy.model_patcher.ModelPatcher, positive, negative, latent: dict) -> None:
    """Raise InputError, before anything is loaded or computed, for what a MODEL of ours cannot sample."""
    config = model_config(patcher)
    start = comfy.sample.fix_empty_latent_channels(patcher, latent["samples"])
    check_latent(config, start)
    for _, values in [*positive, *negative]:
        check_conditions(config, values, start)


@dataclass(frozen=True)
class Sampling:
    """How core's sampler `sampler` goes over the sigmas `steps`."""

    cfg: float
    sampler: str
    steps: Tensor
    seed: int

    @property
    def count(self) -> int:
        """The number of steps."""
        return len(self.steps) - 1

    def run(
        self, patcher, noise: Tensor, positive, negative, start: Tensor, mask: Tensor | None, show, *, bar: bool = True
    ) -> Tensor:
        """Return the latents (F, C, h, w); `show` is core's preview callback, `bar` core's progress bar in the log."""
        return comfy.sample.sample_custom(
            patcher,
            noise,
            self.cfg,
            comfy.samplers.sampler_object(self.sampler),
            self.steps,
            positive,
            negative,
            start,
            noise_mask=mask,
            callback=show,
            disable_pbar=not (bar and comfy.utils.PROGRESS_BAR_ENABLED),
            seed=self.seed,
        )


def sample(patcher, positive, negative, latent: dict, how: Sampling) -> dict:
    """Return the LATENT of a whole video, with previews and progress."""
    start = comfy.sample.fix_empty_latent_channels(patcher, latent["samples"])
    noise = comfy.sample.prepare_noise(start, how.seed, latent.get("batch_index"))
    show = latent_preview.prepare_callback(patcher, how.count)
    return {**latent, "samples": how.run(patcher, noise, positive, negative, start, latent.get("noise_mask"), show)}
