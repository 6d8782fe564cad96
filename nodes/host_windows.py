"""Host: context windows over the frames, inside any sampler of core."""

from __future__ import annotations

import comfy.context_windows
import comfy.model_management
import torch
from torch import Tensor

from ..sampling.windows import step_windows, window_weights, windows
from .host_conds import PER_FRAME
from .host_run import RUN


class WindowHandler(comfy.context_windows.ContextHandlerABC):
    """Context windows over the frames. Core's handler of 0.3.64 never slices the model's conds; this one slices
    `PER_FRAME` and per-frame masks. `random_offset`: HIA's prompt travel."""

    dim = 0

    def __init__(self, length: int, overlap: int, random_offset: bool = False) -> None:
        super().__init__()
        windows(length, length, overlap)  # raises InputError for numbers that do not fit
        self.context_length, self.context_overlap, self.random_offset = length, overlap, random_offset

    def should_use_context(self, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict) -> bool:
        return x_in.shape[0] > self.context_length

    def get_resized_cond(self, cond_in: list[dict] | None, x_in: Tensor, window: list[int], device=None):
        """Return the conditioning with every per-frame value sliced to the window."""
        return None if cond_in is None else [_windowed(cond, window, x_in.shape[0]) for cond in cond_in]

    def execute(self, calc_cond_batch, model, conds, x_in: Tensor, timestep: Tensor, model_options: dict):
        """Return core's prediction for every conditioning, the weighted mean over the windows."""
        sums = [torch.zeros_like(x_in) for _ in conds]
        weight = x_in.new_zeros(x_in.shape[0], 1, 1, 1)
        for window in self._windows(x_in.shape[0], timestep, model_options["transformer_options"]):
            comfy.model_management.throw_exception_if_processing_interrupted()
            model_options["transformer_options"]["inhabit_window"] = window
            parts = [self.get_resized_cond(cond, x_in, window) for cond in conds]
            outputs = calc_cond_batch(model, parts, x_in[window], timestep[window], model_options)
            weights = window_weights(len(window)).to(x_in).reshape(-1, 1, 1, 1)
            weight[window] += weights
            for total, output in zip(sums, outputs, strict=True):
                total[window] += output * weights
        return [total / weight for total in sums]

    def _windows(self, frames: int, timestep: Tensor, options: dict) -> list[list[int]]:
        if not self.random_offset:
            return windows(frames, self.context_length, self.context_overlap)
        step = int((options["sample_sigmas"] - timestep[0]).abs().argmin())
        seed = options[RUN].seed if RUN in options else 0
        return step_windows(frames, self.context_length, self.context_overlap, seed, step)


def _windowed(cond: dict, window: list[int], frames: int) -> dict:
    sliced = dict(cond)
    sliced["model_conds"] = {
        key: value._copy_with(value.cond[window]) if key in PER_FRAME else value
        for key, value in cond["model_conds"].items()
    }
    mask = cond.get("mask")
    if isinstance(mask, Tensor) and mask.ndim and mask.shape[0] == frames:
        sliced["mask"] = mask[window]
    return sliced


def plan_memory_for_one_window(executor, model, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: core plans memory for as many frames as run at once, not for the whole video."""
    handler = (kwargs.get("model_options") or {}).get("context_handler")
    if isinstance(handler, WindowHandler):
        noise_shape = [min(noise_shape[0], handler.context_length), *noise_shape[1:]]
    return executor(model, noise_shape, *args, **kwargs)
