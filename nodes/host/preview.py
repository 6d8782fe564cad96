"""What a sampling run shows on its node: a progress bar that counts windows and clips, and the video so far.

Core's own preview shows the first frame only. Here all denoised frames go into one small animated picture, sent to
the browser that queued the workflow, where `web/preview.js` shows it. Without such a browser nothing is computed.
"""

from __future__ import annotations

import base64
import io
import sys
import time
from collections.abc import Callable

import comfy.latent_formats
import comfy.utils
import torch
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from PIL import Image
from torch import Tensor

from .kept import remember_plain

EVENT = "inhabit.preview"
FOLLOWER = "inhabit_follower"  # its key in transformer_options
FPS = 24  # a LATENT does not tell its video's
MOST_FRAMES, LONGEST_SIDE = 64, 256
SECONDS_BETWEEN, SHARE = 0.3, 0.05  # pictures come no faster, and take no more of the time


class Follower:
    """Core's callback of a sampling run, or of all runs of a video that is sampled clip by clip."""

    def __init__(self, latents: comfy.latent_formats.LatentFormat, callback: Callable | None, steps: int) -> None:
        """`callback` is called first, as core would; `steps` are those of all clips."""
        self._latents, self._callback, self._steps = latents, callback, steps
        self._finished: Tensor | None = None
        self.first_step, self._last_step, self._done = 0, steps, 0
        self._shown = self._due = 0.0
        self._bar: comfy.utils.ProgressBar | None = None

    def next_clip(self, finished: Tensor, first_step: int, last_step: int) -> None:
        """Go on with a clip behind the frames `finished` (F, C, h, w), in the VAE's scale; its steps, of all."""
        self._finished, self.first_step, self._last_step = finished, first_step, last_step

    def __call__(self, step: int, clean: Tensor, noisy: Tensor, total: int) -> None:
        """After step `step`: `clean` and `noisy` are (F, C, h, w), in the model's scale.

        Samplers that choose their own steps count to what they like: here to the clip's last at most, and not back.
        """
        step = min(self.first_step + step + 1, self._last_step)
        self._shown = self._done = max(self._done, step)
        if self._callback is not None:
            self._callback(self._done - 1, clean, noisy, self._steps)
        start, client = time.monotonic(), listener()
        if client is None or (start < self._due and self._done != self._steps):
            return
        _send(client, _picked(self._finished, clean, self._latents), len(clean) + _length(self._finished))
        end = time.monotonic()
        self._due = end + max(SECONDS_BETWEEN, (end - start) / SHARE)

    def part(self, share: float) -> None:
        """Move the node's bar to a share (0…1) of the step under way; a sampler's second pass moves it no further."""
        value = self._done + share
        if value > self._shown:
            self._bar = self._bar or comfy.utils.ProgressBar(self._steps)
            self._shown = value
            self._bar.update_absolute(round(value, 3))


def begins(options: dict) -> bool:
    """Whether a run's `transformer_options` are those of a video's beginning, not of a further clip: to tell once."""
    return FOLLOWER not in options or options[FOLLOWER].first_step == 0


def follow(executor, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, *args, **kwargs):
    """OUTER_SAMPLE wrapper: shows the run; after an interrupt a GUIDER that core caches forgets what the run made."""
    guider = executor.class_obj
    if not isinstance(callback, Follower):
        callback = Follower(guider.model_patcher.model.latent_format, callback, len(sigmas) - 1)
    guider.model_options["transformer_options"][FOLLOWER] = callback  # options of this run alone
    remember_plain(noise, guider.model_options["transformer_options"])  # here the noise is as the node made it
    try:
        return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, *args, **kwargs)
    except BaseException:
        guider.conds = {}
        raise


def listener() -> str | None:
    """Return the connected browser or program that queued the workflow; None where there is none."""
    module = sys.modules.get("server")  # ComfyUI imports it before any pack; other programs have none
    server = getattr(getattr(module, "PromptServer", None), "instance", None)
    client = getattr(server, "client_id", None)
    return client if client is not None and client in server.sockets else None


def pictures(latents: Tensor, factors: list[list[float]]) -> Tensor:
    """Return latents (F, C, h, w), in the model's scale, as pictures (F, H, W, 3), uint8 on the CPU, on their longest
    side at most `LONGEST_SIDE`; `factors` (C, 3) make red, green and blue, -1…1."""
    latents, scale = latents.float(), LONGEST_SIDE / max(latents.shape[-2:])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in latents.shape[-2:]]
        latents = torch.nn.functional.interpolate(latents, size=size, mode="area")
    colours = latents.movedim(1, -1) @ torch.tensor(factors).to(latents)
    return ((colours + 1) * 127.5).nan_to_num().clamp(0, 255).to("cpu", torch.uint8)


def animation(frames: Tensor, seconds: float) -> bytes:
    """Return frames (F, H, W, 3), uint8, as an animated WebP that takes so many seconds and begins again."""
    ends = [round(1000 * seconds * (number + 1) / len(frames)) for number in range(len(frames))]
    durations = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    first, *others = (Image.fromarray(frame.numpy()) for frame in frames)
    file = io.BytesIO()
    fast = {"method": 0, "kmin": 0, "kmax": 0}
    first.save(file, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, **fast)
    return file.getvalue()


def _picked(finished: Tensor | None, clean: Tensor, latents: comfy.latent_formats.LatentFormat) -> Tensor:
    """Return the pictures of at most `MOST_FRAMES` frames of both, evenly."""
    before = _length(finished)
    frames = before + len(clean)
    picked = torch.linspace(0, frames - 1, min(frames, MOST_FRAMES)).round().long()
    parts = [clean[(picked[picked >= before] - before).to(clean.device)]]
    if (picked < before).any():
        parts.insert(0, latents.process_in(finished[picked[picked < before]]).to(clean))
    return pictures(torch.cat(parts), latents.latent_rgb_factors)


def _length(frames: Tensor | None) -> int:
    return 0 if frames is None else len(frames)


def _send(client: str, frames: Tensor, of: int) -> None:
    """Send pictures that stand for `of` frames to the `listener`."""
    context = get_executing_context()
    if context is None:
        return
    prompt = get_progress_state().dynprompt
    data = {
        "node": context.node_id,
        "display_node": prompt.get_display_node_id(context.node_id),
        "type": prompt.get_node(context.node_id)["class_type"],
        "prompt_id": context.prompt_id,
        "frames": of,
        "webp": base64.b64encode(animation(frames, of / FPS)).decode("ascii"),
    }
    sys.modules["server"].PromptServer.instance.send_sync(EVENT, data, client)
