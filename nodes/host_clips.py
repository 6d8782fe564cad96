"""Host: a long video clip by clip, each led by the last finished frames of the one before (AA2 motion frames)."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ..errors import InputError
from ..sampling.windows import windows
from .host import model_config
from .host_conds import PER_FRAME


def sample_clips(
    patcher,
    positive,
    negative,
    latent: dict,
    seed: int,
    cfg: float,
    sampler: str,
    steps: Tensor,
    length: int,
    overlap: int,
) -> dict:
    """Return the LATENT of clips of `length` frames, `overlap` of them finished ones; as `sampling.animate`'s "clips".

    Finished frames enter through core's noise mask, which shows them to the model at every step's own noise, from the
    noise they started from. Raises InputError for a length that the model cannot take.
    """
    longest = model_config(patcher).unet.motion_modules.max_frames
    if length > longest:
        raise InputError(f"a clip of {length} frames; the model takes at most {longest} at once: give a shorter one")
    result = comfy.sample.fix_empty_latent_channels(patcher, latent["samples"]).clone()
    noise = comfy.sample.prepare_noise(result, seed, latent.get("batch_index"))
    clips, done = windows(len(result), length, overlap), 0
    show = latent_preview.prepare_callback(patcher, len(clips) * (len(steps) - 1))
    for number, clip in enumerate(clips):
        comfy.model_management.throw_exception_if_processing_interrupted()
        finished = done - clip[0]
        sampled = comfy.sample.sample_custom(
            patcher,
            noise[clip],
            cfg,
            comfy.samplers.sampler_object(sampler),
            steps,
            _frames_of(positive, clip, len(result)),
            _frames_of(negative, clip, len(result)),
            result[clip],
            noise_mask=_mask(latent.get("noise_mask"), clip, finished, result.shape),
            callback=_counted(show, number, len(clips), len(steps) - 1),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )
        result[clip[finished:]] = sampled[finished:].to(result)
        done = clip[-1] + 1
    return {**latent, "samples": result}


def _frames_of(conditioning: list, clip: list[int], frames: int) -> list:
    """The conditioning with everything that is one a frame cut to the clip."""
    cut = []
    for tokens, values in conditioning:
        own = {key: values[key][clip] for key in PER_FRAME if key in values}
        mask = values.get("mask")
        if isinstance(mask, Tensor) and mask.ndim and mask.shape[0] == frames:
            own["mask"] = mask[clip]
        cut.append([tokens, values | own])
    return cut


def _mask(given: Tensor | None, clip: list[int], finished: int, shape: torch.Size) -> Tensor | None:
    """The user's noise mask of these frames, 0 on the finished ones; None where everything is drawn."""
    if given is None and not finished:
        return None
    if given is None:
        mask = torch.ones(len(clip), 1, *shape[2:])
    else:
        given = given.reshape(-1, 1, *given.shape[-2:])
        mask = (given[clip] if len(given) == shape[0] else given[:1].expand(len(clip), -1, -1, -1)).clone()
    mask[:finished] = 0
    return mask


def _counted(show, number: int, clips: int, steps: int):
    """Core's preview callback, counting on over all clips."""

    def callback(step: int, clean: Tensor, noisy: Tensor, total: int) -> None:
        show(number * steps + step, clean, noisy, clips * steps)

    return callback
