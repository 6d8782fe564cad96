"""A long video clip by clip, each led by the last finished frames of the one before (AA2 motion frames)."""

from __future__ import annotations

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch
from torch import Tensor
from tqdm import tqdm

from ...sampling.windows import windows
from .conds import PER_FRAME
from .preview import Follower
from .sampling import Sampling
from .settings import check_length, model_config


def sample_clips(patcher, positive, negative, latent: dict, how: Sampling, length: int, overlap: int) -> dict:
    """Return the LATENT of clips of `length` frames, `overlap` of them finished ones; as `pipeline.animate`'s "clips".

    Finished frames enter through core's noise mask, which shows them to the model at every step's own noise, from the
    noise they started from. Raises InputError for a length that the model cannot take.
    """
    check_length(model_config(patcher), length)
    result = comfy.sample.fix_empty_latent_channels(patcher, latent["samples"]).clone()
    noise = comfy.sample.prepare_noise(result, how.seed, latent.get("batch_index"))
    clips, done = windows(len(result), length, overlap), 0
    steps = len(clips) * how.count
    with tqdm(total=steps, disable=not comfy.utils.PROGRESS_BAR_ENABLED) as bar:
        follower = _follower(patcher, steps, bar)
        for number, clip in enumerate(clips):
            comfy.model_management.throw_exception_if_processing_interrupted()
            finished = done - clip[0]
            follower.next_clip(result[: clip[0]], number * how.count, (number + 1) * how.count)
            sampled = how.run(
                patcher,
                noise[clip],
                _frames_of(positive, clip, len(result)),
                _frames_of(negative, clip, len(result)),
                result[clip],
                _mask(latent.get("noise_mask"), clip, finished, result.shape),
                follower,
                bar=False,
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
        mask = (given[clip] if len(given) == shape[0] else given.expand(len(clip), -1, -1, -1)).clone()
    mask[:finished] = 0
    return mask


def _follower(patcher, steps: int, bar: tqdm) -> Follower:
    """What counts and shows the steps of all clips, with one bar in the log instead of core's bar a clip."""
    show = latent_preview.prepare_callback(patcher, steps)

    def callback(step: int, *pictures) -> None:
        show(step, *pictures)
        bar.update(step + 1 - bar.n)

    return Follower(patcher.model.latent_format, callback, steps)
