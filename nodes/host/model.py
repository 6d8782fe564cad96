"""The pack as a native ComfyUI MODEL.

A `ModelPatcher` holds the denoiser (with the motion and object guiders); the ReferenceNet is its additional model.
Frames are the latent batch: x is (B·F, 4, h, w), clip-major, B = the conditionings core joined in one call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import comfy.conds
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.sd
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor, nn

from ...errors import InputError
from ...models import AnimationModel, ModelConfig
from ...models.config import ScheduleConfig
from ...sampling.schedules import check_prediction, every_sigma
from ...weights import load, load_codec, read_config
from ...weights.checkpoint import CONFIG_KEY, build, config_tensor
from ...weights.from_files import assemble_files, read_vae
from .checks import check_conditions, check_context, check_latent
from .conds import CONTEXT, FRAMED, IN_PIXELS, LATENTS, PER_FRAME, REFERENCE, FrameCond, ReferenceCond
from .foreign import check_conditioning, check_patches, check_windows
from .operations import operations_for
from .preview import follow
from .run import RUN, Run, start_run
from .saving import KEY, HostedPatcher, given_for_saving, tensors_for_saving
from .settings import HostConfig
from .windows import plan_memory_for_one_window


def load_model(path: Path) -> comfy.model_patcher.ModelPatcher:
    """Return a checkpoint as ComfyUI's MODEL. Raises InputError for a file that is no Inhabit checkpoint."""
    return as_model(read_config(path), functools.partial(load, path))


def assemble_model(
    checkpoint: Path, motion_modules: Path | None, inhabit: Path | None
) -> comfy.model_patcher.ModelPatcher:
    """Return the MODEL that `weights.from_files` puts together. Raises InputError for files that do not fit."""
    config, tensors = assemble_files(checkpoint, motion_modules, inhabit)
    return as_model(config, functools.partial(build, config, tensors))


def as_model(config: ModelConfig, make: Callable[..., AnimationModel]) -> comfy.model_patcher.ModelPatcher:
    """Return what `make(device=…, dtype=…, operations=…)` makes as ComfyUI's MODEL, in the type that core chooses."""
    management = comfy.model_management
    device, offload = management.get_torch_device(), management.unet_offload_device()
    settings = HostConfig(config)
    dtype = management.unet_dtype(device=device, supported_dtypes=settings.supported_inference_dtypes)
    settings.set_inference_dtype(dtype, management.unet_manual_cast(dtype, device))
    model = make(device=offload, dtype=dtype, operations=operations_for(dtype, settings.manual_cast_dtype))
    patcher = HostedPatcher(HostedModel(settings, model, offload), device, offload)
    reference = comfy.model_patcher.ModelPatcher(model.reference, device, offload)
    patcher.set_additional_models(KEY, [reference])
    patcher.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, follow)
    patcher.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, KEY, start_run)
    patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, plan_memory_for_one_window)
    patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, check_patches)
    patcher.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, check_windows)
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


def load_checkpoint_vae(path: Path) -> comfy.sd.VAE | None:
    """Return a Stable Diffusion checkpoint's VAE, None where it has none. Raises InputError for one of another kind."""
    tensors = read_vae(path)
    vae = comfy.sd.VAE(sd=tensors) if tensors else None
    if vae is not None and vae.first_stage_model is None:
        raise InputError(f"{path} holds a VAE of a kind that ComfyUI does not know: choose another checkpoint")
    return vae


class HostedModel(comfy.model_base.BaseModel):
    """Core's BaseModel around the denoiser."""

    def __init__(self, settings: HostConfig, model: AnimationModel, device: torch.device) -> None:
        super().__init__(settings, settings.model_type({}), device=device)
        self.settings = settings
        self.diffusion_model = HostedDenoiser(model, settings.unet_config["dtype"])
        self.model_sampling = _model_sampling(settings.config.schedule)

    def extra_conds(self, **kwargs) -> dict[str, comfy.conds.CONDRegular]:
        """Turn the keys that the condition nodes set into Cond objects, at full length. Called once per run.

        Raises InputError where they do not fit the latents.
        """
        config, out = self.settings.config, {}
        check_conditioning(kwargs)
        check_latent(config, kwargs["noise"])
        check_conditions(config, kwargs, kwargs["noise"])
        if kwargs.get("cross_attn") is not None and config.unet.cross_attention_dim is not None:
            check_context(config, kwargs["cross_attn"])
            out[CONTEXT] = comfy.conds.CONDCrossAttn(kwargs["cross_attn"])
        if kwargs.get(REFERENCE) is not None:
            context = kwargs["cross_attn"] if CONTEXT in out else None
            out[REFERENCE] = ReferenceCond(kwargs[REFERENCE], context)
        for key in PER_FRAME:
            if kwargs.get(key) is not None:
                out[key] = self._frame_cond(key, kwargs[key])
        return out

    def state_dict_for_saving(self, *args, **kwargs) -> dict[str, Tensor]:
        """Return what core's ModelSave and Save Checkpoint write: all networks, so that our loader takes the file."""
        denoiser, vae = given_for_saving(args, kwargs)
        tensors = tensors_for_saving(self, denoiser) | {CONFIG_KEY: config_tensor(self.settings.config)}
        tensors |= {f"vae.{name}": tensor for name, tensor in vae.items()}
        return self.settings.process_unet_state_dict_for_saving(tensors)

    def _frame_cond(self, key: str, value: Tensor) -> FrameCond:
        scale = self.settings.config.latent.downscale if key in IN_PIXELS else 1
        return FrameCond(self.process_latent_in(value) if key in LATENTS else value, scale)


class HostedDenoiser(nn.Module):
    """`BaseModel.diffusion_model`: the denoiser's layers under their own names, so that LoRA keys map by themselves.

    The layers are shared with the `AnimationModel`, which does the work.
    """

    def __init__(self, model: AnimationModel, dtype: torch.dtype) -> None:
        super().__init__()
        for name, layer in model.denoiser.named_children():
            self.add_module(name, layer)
        self.pose, self.objects = model.pose, model.objects
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

        run: Run = options.get(RUN) or Run()
        given = {name: conds[key].unflatten(0, (clips, -1)) for name, key in FRAMED.items() if key in conds}
        prediction = self.animation.denoise(
            x.unflatten(0, (clips, -1)),
            timesteps.unflatten(0, (clips, -1))[:, 0],
            context if context is None else context.unflatten(0, (clips, -1))[:, 0],
            reference=run.reference(conds.get(REFERENCE)),
            **run.features(self.animation, given, options),
        )
        return prediction.flatten(0, 1)


class _VSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    pass


class _EpsilonSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    pass


def _model_sampling(schedule: ScheduleConfig) -> comfy.model_sampling.ModelSamplingDiscrete:
    """Return core's sampling object with the schedule the checkpoint was trained with.

    Raises InputError for a schedule that nothing can sample.
    """
    check_prediction(schedule)
    sampling = _VSampling() if schedule.prediction == "v" else _EpsilonSampling()
    sampling.num_timesteps = schedule.train_steps
    sampling.zsnr = schedule.zero_terminal_snr
    sampling.set_sigmas(every_sigma(schedule))
    return sampling
