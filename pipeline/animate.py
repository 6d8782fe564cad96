"""The animate loop: a reference picture and driving conditions in, frames out, memory planned for one window.

What exists for the whole video at once are its latents (F, 4, h, w), on the CPU, three or four times over, and what
`animate` returns: frames. The device sees one window of frames at a time, whether a video has 64 frames or 640.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import InputError
from ..models.autoencoder import LatentCodec
from ..models.conditions import Mechanism
from ..models.config import ModelConfig
from ..models.model import AnimationModel
from ..models.reference import ProjectedReference
from ..sampling.guidance import guide, needs_unconditional
from ..sampling.reference_noise import diffuse_reference
from ..sampling.schedules import TrailingDDIMScheduler, gamma_for, make_scheduler
from ..sampling.windows import WindowAverage, step_windows, windows
from .conditions import DrivingConditions, check_size, log_unread, motion_inputs, selected
from .encoded import EncodedConditions, encode_conditions
from .streams import chunks

LongVideo = Literal["windows", "clips"]
Switch = Mechanism | Literal["temporal"]
SWITCHES = (*get_args(Mechanism), "temporal")
Callback = Callable[[int, int, Tensor], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to sample; every None is the model's own default (`config.sampling`).

    steps       denoising steps, 1 … train_steps.
    guidance    ω of HIA eq. 4; 1 makes one pass a step instead of two.
    seed        0 … 2^64 - 1, of the initial noise and of the window offsets.
    window      frames denoised together, at most `max_frames` of the motion modules.
    overlap     frames that neighbouring windows share; in "clips", the motion frames taken over from the last clip.
    long_video  "windows" (HIA) or "clips" (AA2 motion frames).
    prompt_travel  shift all windows by a random offset at every step (HIA); False leaves them in place.
    gamma       factor on the signal-to-noise ratio of the schedule that the model was trained with, which has HIA's γ
                in it where the model has one (`config.schedule.gamma`). The network is told t and given the noise of
                a later t: a user's option, no paper's method. None samples the schedule as trained; "auto" goes by
                the video's size (`gamma_for`).
    reference_noise  start from the reference, diffused to the last timestep (HIA), instead of noise alone; with zero
                terminal SNR nearly the same.
    """

    steps: int | None = None
    guidance: float | None = None
    seed: int = 0
    window: int | None = None
    overlap: int | None = None
    long_video: LongVideo = "windows"
    prompt_travel: bool = True
    gamma: float | Literal["auto"] | None = None
    reference_noise: bool = False

    def filled(self, config: ModelConfig, size: tuple[int, int]) -> Self:
        """These with the model's defaults in place of None, for a video of `size` (height, width).

        Raises InputError for values that cannot work.
        """
        defaults = config.sampling
        names = ("steps", "guidance", "window", "overlap")
        values = {name: getattr(defaults, name) for name in names if getattr(self, name) is None}
        if self.window is not None and self.overlap is None:
            values["overlap"] = min(defaults.overlap, self.window - 1)
        if self.gamma == "auto":
            values["gamma"] = gamma_for(*size, config.schedule.gamma)
        filled = replace(self, **values)
        filled._check(config)
        return filled

    def _check(self, config: ModelConfig) -> None:
        longest = config.unet.motion_modules.max_frames
        if not math.isfinite(self.guidance):
            raise InputError(f"guidance is {self.guidance}: give a number, 1 is off")
        if not 1 <= self.window <= longest:
            raise InputError(f"a window of {self.window} frames; the model takes 1 to {longest} at once")
        if not 0 <= self.overlap < self.window:
            raise InputError(
                f"an overlap of {self.overlap} frames for windows of {self.window}; give 0 to {self.window - 1}"
            )
        if self.long_video not in get_args(LongVideo):
            raise InputError(f'long_video is "{self.long_video}"; give "windows" or "clips"')
        if not 0 <= self.seed < 2**64:
            raise InputError(f"the seed is {self.seed}; give a whole number from 0 to 2^64 - 1")


@torch.inference_mode()
def animate(
    model: AnimationModel,
    codec: LatentCodec,
    reference_image: Tensor,
    conditions: DrivingConditions,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    **run,
) -> Tensor:
    """Animate the reference character by the driving conditions and return the raw frames (F, H, W, 3) 0…1, CPU.

    Arguments and errors are those of `sample_latents`.
    """
    settings = settings.filled(model.config, conditions.size)
    latents = sample_latents(model, codec, reference_image, conditions, settings, **run)
    return _decode(codec, latents, settings.window, conditions.size)


@torch.inference_mode()
def sample_latents(
    model: AnimationModel,
    codec: LatentCodec,
    reference_image: Tensor,
    conditions: DrivingConditions,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    *,
    context: Tensor | None = None,
    without: Collection[Switch] = (),
    release_reference: bool = False,
    progress: bool = True,
    callback: Callback | None = None,
    kept: KeptParts | None = None,
) -> Tensor:
    """Everything that `animate` does before it decodes: return the finished latents (F, C, h, w), float32, CPU.

    model            on the device and in the dtype to compute in; the noise schedule itself runs in float32.
    reference_image  (1, H, W, 3) 0…1.
    context          (1, L, D) tokens of a vision encoder for the cross-attention of models that have it.
    without          mechanisms to switch off, as an ablation or for a model that has not learned them yet.
    release_reference  take the ReferenceNet out of the model as soon as it has read the picture: a third of the memory.
    callback         called after every step with (step, steps in all, latents (F or window, C, h, w)); whatever it
                     raises ends the run, which is how a host interrupts it.
    kept             what is done of a run that was cut off, and where finished parts go: a step of all windows, or a
                     clip. A run that goes on gives the same latents as one that never stopped.

    Raises InputError for sizes or settings that cannot work, and where the model's answer is no number.
    """
    settings = settings.filled(model.config, conditions.size)
    check_size("the driving video", *conditions.size, model.config.size_multiple)
    scheduler = make_scheduler(model.config.schedule, settings.gamma)
    scheduler.set_timesteps(settings.steps)
    encoded = encode_conditions(codec, conditions, settings.window)
    log_unread(model.config, conditions)
    reference = None if "reference" in without else project_reference(model, codec, reference_image, context)
    if release_reference:
        model.reference = None
    denoiser = WindowDenoiser(model, conditions, encoded, reference, settings.guidance, context, without)
    start = noise = initial_noise(encoded.environment.shape, settings.seed)
    if settings.reference_noise and "reference" not in without:
        start = diffuse_reference(codec.encode(reference_image).cpu(), noise, scheduler.alphas_cumprod[-1])
    sample = _sample_windows if settings.long_video == "windows" else _sample_clips
    by_noise_mask = not model.config.environment and "environment" not in without
    keep = KeptScene(encoded, noise, scheduler) if by_noise_mask else None
    return sample(denoiser, scheduler, (start, noise), settings, keep, progress, callback, kept or KeptParts())


def initial_noise(shape: tuple[int, ...] | torch.Size, seed: int) -> Tensor:
    """Return the starting noise (F, C, h, w), drawn on the CPU as ComfyUI's `prepare_noise` draws it."""
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


@dataclass(frozen=True)
class KeptScene:
    """Environment for weights that never learned an environment input: a noise mask, as in inpainting.

    Outside the formulated mask the latents are the driving video's at every step's own noise, so that the model sees
    the scene it must fit into, and clean in the end. # Not in paper: Animate Anyone 2 trains an environment input.
    """

    encoded: EncodedConditions
    noise: Tensor  # (F, C, h, w), the run's standard normal noise: no reference is under what is kept
    scheduler: TrailingDDIMScheduler

    def put_back(self, latents: Tensor, frames: list[int] | slice, timestep: int | None) -> Tensor:
        """Return the latents (f, C, h, w) of `frames` with the scene put back, noisy as at `timestep`; None: clean."""
        scene, noise = self.encoded.environment[frames], self.noise[frames]
        if timestep is not None:
            scene = self.scheduler.add_noise(scene, noise, torch.tensor([timestep]))
        return torch.where(selected(self.encoded.mask[frames]), latents, scene)


@dataclass(frozen=True)
class KeptParts:
    """done, latents: how many parts a run has behind it, and its latents (F, C, h, w) then. save: takes both."""

    done: int = 0
    latents: Tensor | None = None
    save: Callable[[int, Tensor], None] | None = None

    def add(self, done: int, latents: Tensor) -> None:
        if self.save is not None:
            self.save(done, latents)


class WindowDenoiser:
    """The guided prediction for one window of frames. Features of the window asked for last are kept.

    A run with one window therefore computes motion and object features once for all its steps, and a run with many
    never holds those of two.
    """

    def __init__(
        self,
        model: AnimationModel,
        conditions: DrivingConditions,
        encoded: EncodedConditions,
        reference: ProjectedReference | None,
        guidance: float = 1.0,
        context: Tensor | None = None,
        without: Collection[Switch] = (),
    ) -> None:
        unknown = set(without) - set(SWITCHES)
        if unknown:
            raise InputError(f"no mechanism {sorted(unknown)} to switch off; name some of {SWITCHES}")
        parameter = next(model.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        self._model, self._conditions, self._encoded = model, conditions, encoded
        self._reference, self._guidance = reference, guidance
        self._context = None if context is None else self._place(context)
        self._without, self._temporal = frozenset(without), "temporal" not in without
        self._window: list[int] | None = None
        self._scene: dict = {}  # what both passes of guidance see
        self._pose: Tensor | None = None

    @property
    def frames(self) -> int:
        return self._conditions.frames

    def __call__(self, latents_FCHW: Tensor, timestep: int, window: list[int]) -> Tensor:
        """Return the network's prediction (f, C, h, w), float32 on the CPU, for the noisy latents of `window`."""
        self._prepare(window)
        latents = self._place(latents_FCHW).unsqueeze(0)
        timesteps = torch.tensor([timestep], device=self._device)
        missing = self._model.config.sampling.unconditional_without
        if not needs_unconditional(self._guidance, missing):
            return self._denoise(latents, timesteps, self._context, self._pose)[0].cpu()
        # HIA animation-cfg, both passes as one batch: environment and objects are where the scene is, and stay.
        # What the unconditional pass keeps, as the image embedding with its reference, is of one clip and serves both.
        both = self._denoise(
            latents.expand(2, -1, -1, -1, -1),
            timesteps,
            _after_nothing(self._context) if "reference" in missing else self._context,
            _after_nothing(self._pose) if "motion" in missing else self._pose,
            unconditional=int("reference" in missing),
        )
        return guide(both[0], both[1], self._guidance).cpu()

    def _denoise(self, latents: Tensor, timesteps: Tensor, context, pose, unconditional: int = 0) -> Tensor:
        prediction = self._model.denoise(
            latents,
            timesteps,
            context,
            reference=self._reference,
            pose=pose,
            temporal=self._temporal,
            unconditional=unconditional,
            **self._scene,
        )
        if not torch.isfinite(prediction).all():
            raise InputError(
                f"the model's answer at step {int(timesteps[0])} is no number (NaN or infinite) in {self._dtype}: "
                "compute in float32 or bfloat16 (--dtype), or use another checkpoint"
            )
        return prediction.float()

    def _prepare(self, window: list[int]) -> None:
        if window == self._window:
            return
        self._window, self._pose, self._scene = None, None, {}  # free the last window before making the next
        encoded, config = self._encoded, self._model.config
        given = {} if "motion" in self._without else motion_inputs(self._conditions, window, config)
        if "environment" not in self._without and config.environment:
            given |= {"environment": encoded.environment[window][None], "mask": encoded.mask[window][None]}
        if "objects" not in self._without and encoded.objects is not None and config.objects is not None:
            given["objects"] = encoded.objects[window][None]
        placed = {name: self._place(values) for name, values in given.items()}
        self._scene = self._model.features(placed, temporal=self._temporal)
        self._pose = self._scene.pop("pose", None)
        self._window = window

    def _place(self, values: Tensor) -> Tensor:
        return values.to(self._device, self._dtype)


def _after_nothing(condition: Tensor | None) -> Tensor | None:
    """(1, …) → (2, …): zeros, and then the condition, where there is one."""
    return None if condition is None else torch.cat([torch.zeros_like(condition), condition])


def _sample_windows(
    denoiser: WindowDenoiser,
    scheduler: TrailingDDIMScheduler,
    noise: tuple[Tensor, Tensor],
    settings: Settings,
    keep: KeptScene | None,
    progress: bool,
    callback: Callback | None,
    kept: KeptParts,
) -> Tensor:
    """HIA §3.4: every step denoises all windows, shifted by a random offset if they travel, and averages overlaps.

    noise: what the run starts from, and the standard normal noise, (F, C, h, w) each.
    """
    shape = (denoiser.frames, settings.window, settings.overlap)
    plan = [
        step_windows(*shape, settings.seed, step) if settings.prompt_travel else windows(*shape)
        for step in range(settings.steps)
    ]
    latents = noise[0] if keep is None else noise[0].clone()  # from here on changed in place, a chunk at a time
    latents = latents if kept.latents is None else kept.latents.clone()
    parts = list(chunks(denoiser.frames, settings.window))
    with _bar(sum(map(len, plan)), progress) as bar:
        bar.update(sum(map(len, plan[: kept.done])))
        for step, timestep in enumerate(scheduler.timesteps.tolist()[kept.done :], kept.done):
            _put_scene_back(keep, latents, parts, timestep)
            average = WindowAverage(latents.shape)
            for window in plan[step]:
                average.add(window, denoiser(latents[window], timestep, window))
                bar.update()
            for part in parts:
                latents[part] = scheduler.step(average.result(part), timestep, latents[part]).prev_sample
            kept.add(step + 1, latents)
            if callback is not None:
                callback(step + 1, settings.steps, latents.clone())
    _put_scene_back(keep, latents, parts, None)
    return latents


def _put_scene_back(keep: KeptScene | None, latents: Tensor, parts: list[slice], timestep: int | None) -> None:
    """`KeptScene.put_back` for all frames of `latents`, in place."""
    for part in parts if keep is not None else ():
        latents[part] = keep.put_back(latents[part], part, timestep)


def _sample_clips(
    denoiser: WindowDenoiser,
    scheduler: TrailingDDIMScheduler,
    noise: tuple[Tensor, Tensor],
    settings: Settings,
    keep: KeptScene | None,
    progress: bool,
    callback: Callback | None,
    kept: KeptParts,
) -> Tensor:
    """AA2 §4.1: clip after clip, each led by the last `overlap` finished frames of the one before.

    # Not in paper: how the finished frames enter. They are re-noised to the current step with their own standard normal
    # noise, seen by the temporal layers, and dropped. The last clip keeps its full length by taking over more of them.
    noise: as `_sample_windows` takes it; the reference under the start is for frames that are still to be made.
    """
    start, noise = noise
    clips = windows(denoiser.frames, settings.window, settings.overlap)
    latents = torch.empty_like(noise) if kept.latents is None else kept.latents.clone()
    total, done = len(clips) * settings.steps, 0 if kept.done == 0 else clips[kept.done - 1][-1] + 1
    with _bar(total, progress) as bar:
        bar.update(kept.done * settings.steps)
        for number, clip in enumerate(clips[kept.done :], kept.done):
            finished = done - clip[0]
            current = start[clip]
            for step, timestep in enumerate(scheduler.timesteps.tolist()):
                current[:finished] = scheduler.add_noise(
                    latents[clip[:finished]], noise[clip[:finished]], torch.tensor([timestep])
                )
                current = current if keep is None else keep.put_back(current, clip, timestep)
                current = scheduler.step(denoiser(current, timestep, clip), timestep, current).prev_sample
                bar.update()
                if callback is not None:
                    callback(number * settings.steps + step + 1, total, current.clone())
            current = current if keep is None else keep.put_back(current, clip, None)
            latents[clip[finished:]] = current[finished:]
            done = clip[-1] + 1
            kept.add(number + 1, latents)
    return latents


def project_reference(
    model: AnimationModel, codec: LatentCodec, image: Tensor, context: Tensor | None = None
) -> ProjectedReference:
    """Run the ReferenceNet on a picture (1, H, W, 3) 0…1 and project its features to keys and values.

    Done once a run: neither depends on the step or the window.
    """
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[-1] != 3:
        raise InputError(f"the reference has shape {tuple(image.shape)}; give one picture, (1, height, width, 3)")
    check_size("the reference", *image.shape[1:3], model.config.size_multiple)
    parameter = next(model.parameters())
    context = None if context is None else context.to(parameter)
    return model.project_reference(model.reference(codec.encode(image).to(parameter), context))


def _decode(codec: LatentCodec, latents: Tensor, chunk: int, size: tuple[int, int]) -> Tensor:
    frames = torch.empty((len(latents), *size, 3))
    for index, frame in enumerate(decoded(codec, latents, chunk)):
        frames[index] = frame
    return frames


def decoded(codec: LatentCodec, latents: Tensor, chunk: int) -> Iterator[Tensor]:
    """Decode latents (F, C, h, w) `chunk` frames at a time and yield the frames (H, W, 3) 0…1, CPU."""
    for part in chunks(len(latents), chunk):
        yield from codec.decode(latents[part])


def _bar(total: int, progress: bool) -> tqdm:
    return tqdm(total=total, desc="animate", unit="window", disable=not progress)
