"""Host: core's samplers and schedulers over a MODEL of ours."""

from __future__ import annotations

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..errors import InputError
from .host import KEY, HostedModel, model_config
from .host_schedule import SAMPLING, trailing_sigmas
from .host_windows import WindowHandler, keep_seed, plan_memory_for_one_window

TRAILING = "trailing"
SAMPLERS = list(comfy.samplers.SAMPLER_NAMES)
SCHEDULERS = [TRAILING, *comfy.samplers.SCHEDULER_NAMES]


def with_windows(patcher: comfy.model_patcher.ModelPatcher, length: int, overlap: int, random_offset: bool):
    """Return a copy of a MODEL that samples in context windows. Raises InputError for numbers that do not fit."""
    patcher = patcher.clone()
    if isinstance(patcher.model, HostedModel):
        _check_length(patcher, length)
    else:
        patcher.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, keep_seed)
        patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, plan_memory_for_one_window)
    patcher.model_options["context_handler"] = WindowHandler(length, overlap, random_offset)
    return patcher


def _check_length(patcher: comfy.model_patcher.ModelPatcher, length: int) -> None:
    longest = model_config(patcher).unet.motion_modules.max_frames
    if length > longest:
        raise InputError(f"a window of {length} frames; the model takes at most {longest} at once: give a shorter one")


def sigmas_for(patcher: comfy.model_patcher.ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the sigmas (steps + 1,), of the MODEL's trailing timesteps or core's `scheduler`."""
    if scheduler == TRAILING:
        return trailing_sigmas(patcher, steps)
    return comfy.samplers.calculate_sigmas(patcher.get_model_object(SAMPLING), scheduler, steps)


def sample(patcher, positive, negative, latent: dict, seed: int, cfg: float, sampler: str, steps: Tensor) -> dict:
    """Return the LATENT that core's sampler `sampler` makes over the sigmas `steps`, with previews and progress."""
    start = comfy.sample.fix_empty_latent_channels(patcher, latent["samples"])
    noise = comfy.sample.prepare_noise(start, seed, latent.get("batch_index"))
    samples = comfy.sample.sample_custom(
        patcher,
        noise,
        cfg,
        comfy.samplers.sampler_object(sampler),
        steps,
        positive,
        negative,
        start,
        noise_mask=latent.get("noise_mask"),
        callback=latent_preview.prepare_callback(patcher, len(steps) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    return {**latent, "samples": samples}
