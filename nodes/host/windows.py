"""Context windows over the frames, inside any sampler of core."""

from __future__ import annotations

import comfy.context_windows
import comfy.model_management
import comfy.model_patcher
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...errors import InputError
from ...sampling.windows import step_windows, window_weights, windows
from .conds import PER_FRAME, SEED
from .control import WindowControls
from .preview import FOLLOWER
from .saving import KEY
from .settings import check_length, own_config


class WindowHandler(comfy.context_windows.ContextHandlerABC):
    """Context windows over the frames of any model: the batch of 4-D latents, the time axis of 5-D ones.

    Core's handler of 0.3.64 never slices the model's conds; this one slices `PER_FRAME`, and of other models whatever
    is as long as the video on that axis, and ControlNets' hints. `random_offset`: HIA's prompt travel.
    """

    def __init__(self, length: int, overlap: int, random_offset: bool = False) -> None:
        super().__init__()
        windows(length, length, overlap)  # raises InputError for numbers that do not fit
        self.context_length, self.context_overlap, self.random_offset = length, overlap, random_offset

    def should_use_context(self, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict) -> bool:
        return x_in.shape[frame_axis(x_in)] > self.context_length

    def get_resized_cond(self, cond_in: list[dict] | None, x_in: Tensor, window: list[int], device=None):
        """Return the conditioning with every per-frame value sliced to the window."""
        axis = frame_axis(x_in)
        return self._resized(cond_in, x_in, window, WindowControls(window, axis, x_in.shape[axis]))

    def _resized(self, conds: list[dict] | None, x_in: Tensor, window: list[int], controls: WindowControls):
        return None if conds is None else [_windowed(cond, window, x_in, controls) for cond in conds]

    def execute(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """Return core's prediction for every conditioning, the weighted mean over the windows."""
        sums = [torch.zeros_like(x_in) for _ in conds]
        axis = frame_axis(x_in)
        every = (slice(None),) * axis
        weight = torch.zeros_like(x_in)
        options = model_options["transformer_options"]
        step = self._windows(x_in.shape[axis], timestep, options)
        for number, window in enumerate(step, 1):
            comfy.model_management.throw_exception_if_processing_interrupted()
            options["inhabit_window"] = window
            controls = WindowControls(window, axis, x_in.shape[axis])
            parts = [self._resized(cond, x_in, window, controls) for cond in conds]
            outputs = calc_cond_batch(
                model, parts, x_in[*every, window], timestep[window] if axis == 0 else timestep, model_options
            )
            weights = window_weights(len(window)).to(x_in).reshape(-1, *[1] * (x_in.ndim - 1 - axis))
            weight[*every, window] += weights
            for total, output in zip(sums, outputs, strict=True):
                total[*every, window] += output * weights
            if FOLLOWER in options:
                options[FOLLOWER].part(number / len(step))
        return [total / weight for total in sums]

    def _windows(self, frames: int, timestep: Tensor, options: dict) -> list[list[int]]:
        if not self.random_offset:
            return windows(frames, self.context_length, self.context_overlap)
        step = int((options["sample_sigmas"] - timestep[0]).abs().argmin())
        return step_windows(frames, self.context_length, self.context_overlap, options.get(SEED, 0), step)


def frame_axis(latents: Tensor | list[int]) -> int:
    """Return the axis of the frames in latents (F, C, h, w) or (B, C, F, h, w), or in their shape."""
    shape = latents.shape if isinstance(latents, Tensor) else latents
    return 0 if len(shape) == 4 else 2


def _windowed(cond: dict, window: list[int], latents: Tensor, controls: WindowControls) -> dict:
    sliced = {key: _of_window(value, window, latents) for key, value in cond.items()}
    if "control" in cond:
        sliced["control"] = controls.of(cond["control"])
    sliced["model_conds"] = {
        key: _cond_of_window(key, value, window, latents) for key, value in cond["model_conds"].items()
    }
    return sliced


def _cond_of_window(key: str, value, window: list[int], latents: Tensor):
    if key in PER_FRAME:
        return value._copy_with(value.cond[window])
    tensor = getattr(value, "cond", None)
    part = _of_window(tensor, window, latents)
    return value if part is tensor else value._copy_with(part)


def _of_window(value, window: list[int], latents: Tensor):
    """Return a tensor's frames of the window, where its axis of frames is as long as the video; else the value."""
    axis = frame_axis(latents)
    shortest = 1 if axis == 0 else latents.ndim  # tokens (B, L, D) have no time axis
    if not isinstance(value, Tensor) or value.ndim < shortest or value.shape[axis] != latents.shape[axis]:
        return value
    return value[*(slice(None),) * axis, window]


def plan_memory_for_one_window(executor, model, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: core plans memory for as many frames as run at once, not for the whole video."""
    handler = (kwargs.get("model_options") or {}).get("context_handler")
    if isinstance(handler, WindowHandler):
        noise_shape, axis = list(noise_shape), frame_axis(noise_shape)
        noise_shape[axis] = min(noise_shape[axis], handler.context_length)
    return executor(model, noise_shape, *args, **kwargs)


def keep_seed(executor, guider, sigmas, extra_args: dict, *args, **kwargs):
    """SAMPLER_SAMPLE wrapper, for models of others: the seed of the window offsets."""
    extra_args["model_options"]["transformer_options"][SEED] = extra_args.get("seed") or 0
    return executor(guider, sigmas, extra_args, *args, **kwargs)


def with_windows(patcher: comfy.model_patcher.ModelPatcher, length: int, overlap: int, random_offset: bool):
    """Return a copy of a MODEL that samples in context windows. Raises InputError for numbers that do not fit."""
    if not isinstance(patcher, comfy.model_patcher.ModelPatcher):
        raise InputError(f"the model is a {type(patcher).__name__}; connect a MODEL")
    patcher = patcher.clone()
    config = own_config(patcher)
    if config is not None:
        check_length(config, length)
    else:
        patcher.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, keep_seed)
        patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, plan_memory_for_one_window)
    patcher.model_options["context_handler"] = WindowHandler(length, overlap, random_offset)
    return patcher
