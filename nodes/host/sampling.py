"""Core's samplers and schedulers over a MODEL of ours."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...errors import InputError
from ..inputs import checked_conditioning, checked_latent
from .checks import check_conditions, check_latent
from .model import KEY, HostedModel, model_config
from .schedule import SAMPLING, trailing_sigmas
from .windows import WindowHandler, keep_seed, plan_memory_for_one_window

TRAILING = "trailing"
SAMPLERS = list(comfy.samplers.SAMPLER_NAMES)
SCHEDULERS = [TRAILING, *comfy.samplers.SCHEDULER_NAMES]


def with_windows(patcher: comfy.model_patcher.ModelPatcher, length: int, overlap: int, random_offset: bool):
    """Return a copy of a MODEL that samples in context windows. Raises InputError for numbers that do not fit."""
    if not isinstance(patcher, comfy.model_patcher.ModelPatcher):
        raise InputError(f"the model is a {type(patcher).__name__}; connect a MODEL")
    patcher = patcher.clone()
    if isinstance(patcher.model, HostedModel):
        check_length(patcher, length)
    else:
        patcher.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, keep_seed)
        patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, plan_memory_for_one_window)
    patcher.model_options["context_handler"] = WindowHandler(length, overlap, random_offset)
    return patcher


def sigmas_for(patcher: comfy.model_patcher.ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the sigmas (steps + 1,), of the MODEL's trailing timesteps or core's `scheduler`."""
    if scheduler == TRAILING:
        return trailing_sigmas(patcher, steps)
    return comfy.samplers.calculate_sigmas(patcher.get_model_object(SAMPLING), scheduler, steps)


def own_steps(patcher, steps: int) -> int:
    """Return `steps`, for 0 the model's own number. Raises InputError for 0 with a model that has none."""
    if steps != 0:
        return steps
    if not isinstance(getattr(patcher, "model", None), HostedModel):
        raise InputError("steps is 0, the model's own number, which only Inhabit's models have; give 1 to 1000")
    return model_config(patcher).sampling.steps


def check_length(patcher: comfy.model_patcher.ModelPatcher, length: int) -> None:
    """Raise InputError for a window or clip longer than a MODEL of ours takes."""
    longest = model_config(patcher).unet.motion_modules.max_frames
    if length > longest:
        raise InputError(f"a window of {length} frames; the model takes at most {longest} at once: give a shorter one")


def check_inputs(patcher: comfy.model_patcher.ModelPatcher, positive, negative, latent: dict) -> None:
    """Raise InputError, before anything is loaded or computed, for what a MODEL of ours cannot sample."""
    config = model_config(patcher)
    start = comfy.sample.fix_empty_latent_channels(patcher, checked_latent(latent, "latent"))
    check_latent(config, start)
    for name, conditioning in (("positive", positive), ("negative", negative)):
        for _, values in checked_conditioning(conditioning, name):
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
