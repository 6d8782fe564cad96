"""The pack as a native ComfyUI MODEL. The only file that touches ComfyUI's unstable API.

A `ModelPatcher` holds the denoiser (with the motion and object guiders); the ReferenceNet is its additional model.
Frames are the latent batch: x is (B·F, 4, h, w), clip-major, B = the conditionings core joined in one call.
"""

from __future__ import annotations

from pathlib import Path

import comfy.conds
import comfy.context_windows
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.ops
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.supported_models_base
import comfy.utils
import latent_preview
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ..errors import InputError
from ..models import AnimationModel, ModelConfig, load, load_codec, read_config
from ..models.checkpoint import CONFIG_KEY, config_tensor
from ..models.config import ScheduleConfig
from ..sampling.schedules import SMALLEST_ALPHA_BAR, alphas_cumprod, sigmas
from ..sampling.windows import step_windows, window_weights, windows

KEY = "inhabit"
REFERENCE, SKELETON, DEPTH = "inhabit_reference", "inhabit_skeleton", "inhabit_depth"
ENVIRONMENT, MASK, OBJECTS = "inhabit_environment", "inhabit_mask", "inhabit_objects"
PER_FRAME = (SKELETON, DEPTH, ENVIRONMENT, MASK, OBJECTS)  # what a context window slices
IN_PIXELS = (SKELETON, DEPTH)
LATENTS = (ENVIRONMENT, OBJECTS)  # in the VAE's scale until `extra_conds`
RUN = "inhabit_run"
TRAILING = "trailing"
SAMPLERS = list(comfy.samplers.SAMPLER_NAMES)
SCHEDULERS = [TRAILING, *comfy.samplers.SCHEDULER_NAMES]


def load_model(path: Path) -> comfy.model_patcher.ModelPatcher:
    """Return a checkpoint as ComfyUI's MODEL. Raises InputError for a file that is no Inhabit checkpoint."""
    management = comfy.model_management
    device, offload = management.get_torch_device(), management.unet_offload_device()
    settings = HostConfig(read_config(path))
    dtype = management.unet_dtype(device=device, supported_dtypes=settings.supported_inference_dtypes)
    settings.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device))
    operations = comfy.ops.pick_operations(dtype, settings.manual_cast_dtype)
    model = load(path, device=offload, dtype=dtype, operations=operations)
    patcher = comfy.model_patcher.ModelPatcher(HostedModel(settings, model, offload), device, offload)
    reference = comfy.model_patcher.ModelPatcher(model.reference, device, offload)
    patcher.set_additional_models(KEY, [reference])
    patcher.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, _with_run)
    patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, _plan_memory_for_one_window)
    return patcher


def load_vae(path: Path) -> comfy.sd.VAE | None:
    """Return the checkpoint's autoencoder in core's own VAE object, so that VAE Encode and Decode take it."""
    codec = load_codec(path)
    if codec is None:
        return None
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.ones(())})  # the smallest one core can build; replaced below
    vae.first_stage_model = codec.vae
    vae.vae_dtype = torch.float32  # it is small: no reason to round
    vae.latent_channels = codec.vae.config.latent_channels
    vae.downscale_ratio = vae.upscale_ratio = codec.downscale
    vae.memory_used_encode = lambda shape, dtype: 400 * shape[2] * shape[3]
    vae.memory_used_decode = lambda shape, dtype: 800 * shape[2] * shape[3] * codec.downscale**2
    offload = comfy.model_management.vae_offload_device()
    vae.patcher = comfy.model_patcher.ModelPatcher(vae.first_stage_model, vae.device, offload)
    return vae


def model_config(patcher: comfy.model_patcher.ModelPatcher) -> ModelConfig:
    """Return the config of a MODEL. Raises InputError when another pack or core made the model."""
    if not isinstance(patcher.model, HostedModel):
        raise InputError(f"the model is a {type(patcher.model).__name__}; connect the MODEL of Inhabit Model Loader")
    return patcher.model.settings.config


class HostLatents(comfy.latent_formats.LatentFormat):
    """Latents of the checkpoint's VAE; channels 0…2 of the bundled one are roughly red, green and blue, -1…1."""

    def __init__(self, config: ModelConfig) -> None:
        self.scale_factor = config.latent.scale
        self.latent_channels = config.latent.channels
        if config.autoencoder is not None:
            self.latent_rgb_factors = (torch.eye(config.latent.channels, 3) / config.latent.scale).tolist()
        else:
            self.latent_rgb_factors = comfy.latent_formats.SD15().latent_rgb_factors
            self.taesd_decoder_name = "taesd_decoder"


class HostConfig(comfy.supported_models_base.BASE):
    """Core's view of the model config."""

    memory_usage_factor = 2.0

    def __init__(self, config: ModelConfig) -> None:
        super().__init__({"disable_unet_model_creation": True, "in_channels": config.latent.channels})
        self.config = config
        self.latent_format = HostLatents(config)

    def model_type(self, state_dict: dict, prefix: str = "") -> comfy.model_base.ModelType:
        kinds = comfy.model_base.ModelType
        return kinds.V_PREDICTION if self.config.schedule.prediction == "v" else kinds.EPS


class HostedModel(comfy.model_base.BaseModel):
    """Core's BaseModel around the denoiser."""

    def __init__(self, settings: HostConfig, model: AnimationModel, device: torch.device) -> None:
        super().__init__(settings, settings.model_type({}), device=device)
        self.settings = settings
        self.diffusion_model = HostedDenoiser(model, settings.unet_config["dtype"])
        self.model_sampling = _model_sampling(settings.config.schedule)

    def extra_conds(self, **kwargs) -> dict[str, comfy.conds.CONDRegular]:
        """Turn the keys that the condition nodes set into Cond objects, at full length. Called once per run."""
        out = {}
        if kwargs.get("cross_attn") is not None and self.settings.config.unet.cross_attention_dim is not None:
            out["c_crossattn"] = comfy.conds.CONDCrossAttn(kwargs["cross_attn"])
        if kwargs.get(REFERENCE) is not None:
            out[REFERENCE] = ReferenceCond(kwargs[REFERENCE])
        for key in PER_FRAME:
            if kwargs.get(key) is not None:
                out[key] = self._frame_cond(key, kwargs[key], kwargs["noise"])
        return out

    def state_dict_for_saving(self, clip_state_dict=None, vae_state_dict=None, clip_vision_state_dict=None) -> dict:
        """Return what core's ModelSave and Save Checkpoint write: all networks, so that our loader takes the file."""
        tensors = {**self.diffusion_model.animation.state_dict(), CONFIG_KEY: config_tensor(self.settings.config)}
        tensors |= {f"vae.{name}": tensor for name, tensor in (vae_state_dict or {}).items()}
        return self.settings.process_unet_state_dict_for_saving(tensors)

    def _frame_cond(self, key: str, value: Tensor, noise: Tensor) -> FrameCond:
        scale = self.settings.config.latent.downscale if key in IN_PIXELS else 1
        expected = (noise.shape[0], noise.shape[2] * scale, noise.shape[3] * scale)
        given = (value.shape[0], *value.shape[-2:])
        if given != expected:
            raise InputError(
                f"{key.removeprefix('inhabit_')} has (frames, height, width) {given}, the latent needs {expected}; "
                "use the LATENT of Inhabit Environment and give every condition the driving video's length and size"
            )
        return FrameCond(self.process_latent_in(value) if key in LATENTS else value, scale)


class HostedDenoiser(nn.Module):
    """`BaseModel.diffusion_model`: the denoiser's layers under their own names, so that LoRA keys map by themselves.

    The layers are shared with the `AnimationModel`, which does the work.
    """

    def __init__(self, model: AnimationModel, dtype: torch.dtype) -> None:
        super().__init__()
        for name, layer in model.denoiser.named_children():
            self.add_module(name, layer)
        self.motion, self.objects = model.motion, model.objects
        self.dtype = dtype
        object.__setattr__(self, "animation", model)  # not registered: its layers are, above

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor | None = None,
        control=None,
        transformer_options: dict | None = None,
        **conds,
    ) -> Tensor:
        """x (B·F, 4, h, w), timesteps (B·F,) and the conds of `HostedModel.extra_conds`, joined → (B·F, 4, h, w)."""
        options = transformer_options or {}
        clips = len(options.get("cond_or_uncond", (0,)))

        def split(key: str) -> Tensor | None:
            return None if conds.get(key) is None else conds[key].unflatten(0, (clips, -1))

        run: Run = options.get(RUN) or Run()
        objects = split(OBJECTS)
        prediction = self.animation.denoise(
            x.unflatten(0, (clips, -1)),
            timesteps.unflatten(0, (clips, -1))[:, 0],
            context if context is None else context.unflatten(0, (clips, -1))[:, 0],
            reference=run.reference(conds.get(REFERENCE)),
            environment=split(ENVIRONMENT),
            mask=split(MASK),
            motion=run.motion(self.animation, split(SKELETON), split(DEPTH), options),
            objects=None if objects is None else self.animation.objects(objects),
        )
        return prediction.flatten(0, 1)


class FrameCond(comfy.conds.CONDRegular):
    """One tensor a frame, (F, C, h, w); core's own classes silently repeat or cut dimension 0."""

    def __init__(self, cond: Tensor, scale: int = 1) -> None:
        super().__init__(cond)
        self.scale = scale  # pixels of this tensor for one latent cell

    def _copy_with(self, cond: Tensor) -> FrameCond:
        return FrameCond(cond, self.scale)

    def process_cond(self, batch_size: int, area: list[int] | None = None, **kwargs) -> FrameCond:
        """Check the length and cut out core's `area` (height, width, top, left in latent cells)."""
        data = self.cond
        if data.shape[0] != batch_size:
            raise InputError(
                f"a condition has {data.shape[0]} frames, this call has {batch_size}; "
                "use Inhabit Context Windows instead of another context node"
            )
        if area is not None:
            for axis in range(2):
                data = data.narrow(axis + 2, area[axis + 2] * self.scale, area[axis] * self.scale)
        return self._copy_with(data)


class ReferenceCond(comfy.conds.CONDRegular):
    """The reference's latents (1, 4, h, w); what reaches the denoiser is the name under which `Run` keeps their
    keys and values, so conditionings with the same reference share a call and others never do."""

    @property
    def name(self) -> int:
        return id(self.cond)

    def process_cond(self, **kwargs) -> ReferenceCond:
        return self

    def can_concat(self, other: ReferenceCond) -> bool:
        return self.name == other.name

    def concat(self, others: list[ReferenceCond]) -> int:
        return self.name

    def size(self) -> list[int]:
        return [1]


class Run:
    """What one sampling run keeps between steps and windows: reference keys/values and the last motion features."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.references: dict[int, object] = {}
        self._motion: tuple[object, Tensor] | None = None

    def reference(self, name: int | None) -> object | None:
        """Return the keys and values of `ReferenceCond.name`. Raises InputError where no sampling run made them."""
        if name is not None and name not in self.references:
            raise InputError(
                "the model is called outside of a sampling run that knows its reference; sample with KSampler, "
                "SamplerCustomAdvanced or Inhabit Windowed Sampler"
            )
        return None if name is None else self.references[name]

    def motion(self, model: AnimationModel, skeleton: Tensor | None, depth: Tensor | None, options: dict):
        """Return the motion features (B, F, C, h, w), computed when the window or the conditionings change."""
        if skeleton is None:
            return None
        key = (tuple(options.get("uuids", ())), tuple(options.get("inhabit_window", ())), skeleton.shape)
        if self._motion is None or self._motion[0] != key:
            self._motion = None
            self._motion = (key, model.motion(skeleton, depth))
        return self._motion[1]


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


def with_windows(patcher: comfy.model_patcher.ModelPatcher, length: int, overlap: int, random_offset: bool):
    """Return a copy of a MODEL that samples in context windows. Raises InputError for numbers that do not fit."""
    longest = model_config(patcher).unet.motion_modules.max_frames
    if length > longest:
        raise InputError(f"a window of {length} frames; the model takes at most {longest} at once: give a shorter one")
    patcher = patcher.clone()
    patcher.model_options["context_handler"] = WindowHandler(length, overlap, random_offset)
    return patcher


class _VSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    pass


class _EpsilonSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    pass


def _model_sampling(schedule: ScheduleConfig) -> comfy.model_sampling.ModelSamplingDiscrete:
    """Return core's sampling object with the schedule the checkpoint was trained with."""
    sampling = _VSampling() if schedule.prediction == "v" else _EpsilonSampling()
    alphas_bar = alphas_cumprod(schedule).clamp(min=SMALLEST_ALPHA_BAR)
    sampling.num_timesteps = schedule.train_steps
    sampling.zsnr = schedule.zero_terminal_snr
    sampling.set_sigmas(((1 - alphas_bar) / alphas_bar).sqrt())
    return sampling


def _with_run(executor, guider, sigmas, extra_args: dict, *args, **kwargs):
    """SAMPLER_SAMPLE wrapper: compute every reference's keys and values once, for all steps and windows."""
    run = Run(extra_args.get("seed") or 0)
    hosted: HostedModel = guider.model_patcher.model
    dtype = hosted.manual_cast_dtype or hosted.get_dtype()
    for conds in guider.conds.values():
        for cond in conds:
            reference = cond["model_conds"].get(REFERENCE)
            if reference is not None and reference.name not in run.references:
                latents = hosted.process_latent_in(reference.cond).to(guider.model_patcher.load_device, dtype)
                run.references[reference.name] = _keys_and_values(hosted.diffusion_model.animation, latents, cond)
    extra_args["model_options"]["transformer_options"][RUN] = run
    return executor(guider, sigmas, extra_args, *args, **kwargs)


def _keys_and_values(model: AnimationModel, latents: Tensor, cond: dict) -> object:
    context = cond["model_conds"].get("c_crossattn")
    context = None if context is None else context.cond.to(latents)
    return model.project_reference(model.reference(latents, context))


def _plan_memory_for_one_window(executor, model, noise_shape, *args, **kwargs):
    """PREPARE_SAMPLING wrapper: core plans memory for as many frames as run at once, not for the whole video."""
    handler = (kwargs.get("model_options") or {}).get("context_handler")
    if isinstance(handler, WindowHandler):
        noise_shape = [min(noise_shape[0], handler.context_length), *noise_shape[1:]]
    return executor(model, noise_shape, *args, **kwargs)


def sigmas_for(patcher: comfy.model_patcher.ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Return the sigmas (steps + 1,), from the checkpoint's trailing timesteps or core's `scheduler`."""
    if scheduler == TRAILING:
        return sigmas(model_config(patcher).schedule, steps)
    return comfy.samplers.calculate_sigmas(patcher.get_model_object("model_sampling"), scheduler, steps)


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
