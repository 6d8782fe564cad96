"""What nodes for other models cannot do with ours. It is said, since core would silently do nothing, or worse."""

from __future__ import annotations

import logging

import comfy.context_windows

from ...errors import InputError
from .preview import begins

logger = logging.getLogger(__name__)

NETWORKS = {  # keys of CONDITIONING whose networks act on Stable Diffusion's layers
    "control": "a ControlNet or T2I adapter; leave it out, and connect skeletons or depth to Inhabit Motion",
    "gligen": "GLIGEN; leave it out, and say what is where by masks",
}


def check_conditioning(values: dict) -> None:
    """Raise InputError for what a node of another model added to CONDITIONING, which our networks have no place for."""
    for key, what in NETWORKS.items():
        if values.get(key) is not None:
            raise InputError(f"the conditioning has {what}: Inhabit's models do not take it")


def check_windows(executor, patcher, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: see that core's own context windows, where those are set, can be right with our models.

    Raises InputError for windows that do not cut the conditions (ComfyUI 0.3.64's), for an axis that is not the frames'
    and for more frames at once than the model takes.
    """
    handler = (kwargs.get("model_options") or {}).get("context_handler")
    if isinstance(handler, comfy.context_windows.IndexListContextHandler):
        _check_core_windows(handler, noise_shape[0], patcher.model.settings.config.unet.motion_modules.max_frames)
    return executor(patcher, noise_shape, *args, **kwargs)


def _check_core_windows(handler, frames: int, longest: int) -> None:
    if handler.dim != 0:
        raise InputError(f"context windows have dim {handler.dim}; frames are the latent batch here: give dim 0")
    if handler.context_length < frames and not hasattr(comfy.context_windows, "slice_cond"):
        raise InputError(
            "the context windows of this ComfyUI do not cut conditions to the window: "
            "use Inhabit Context Windows instead, or a newer ComfyUI"
        )
    before = int(getattr(handler, "causal_window_fix", False))
    if min(handler.context_length + before, frames) > longest:
        more = " and the frame before them (causal_window_fix)" if before else ""
        raise InputError(
            f"context windows of {handler.context_length} frames{more}; the model takes at most {longest} at once: "
            "give a shorter context_length"
        )


def check_patches(executor, patcher, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: see that other nodes' patches of the MODEL can do what they promise.

    Raises InputError for a merge with one of other widths: core scales our weights by the ratio and adds nothing.
    """
    weights = patcher.model_state_dict()
    for name, patches in patcher.patches.items():
        for _, patch, *_ in patches:
            if isinstance(patch, list) and patch[0][0].shape != weights[name].shape:
                raise InputError(
                    f"the model is merged with one of other widths ({name}: {tuple(weights[name].shape)} and "
                    f"{tuple(patch[0][0].shape)}); merge models of the same preset"
                )
    options = patcher.model_options.get("transformer_options", {})
    found = sorted({name for kind in ("patches", "patches_replace") for name in options.get(kind, {})})
    run = (kwargs.get("model_options") or {}).get("transformer_options", {})
    if found and begins(run):
        logger.warning("other nodes' patches of attention and blocks (%s) do nothing on this model", ", ".join(found))
    return executor(patcher, noise_shape, *args, **kwargs)
