"""What each stage trains and how it turns a batch into a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError
from ..models.autoencoder import LatentCodec
from ..models.model import AnimationModel
from ..models.shortcuts import PatchColours
from ..pipeline.conditions import environment_frames, latent_mask, object_latents, selected
from ..sampling.schedules import alphas_cumprod
from . import losses
from .recipe import Recipe, StageRecipe, TimestepRecipe

NOISE, DROPOUT = 1, 2  # streams of randomness of one step
ENCODED_AT_ONCE = 8  # pictures: Stable Diffusion's VAE needs about 0.5 GiB for one of 512 x 512


class Stage(Protocol):
    """A stage of training: an nn.Module whose call gives named losses, the total as "loss"."""

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that train, by their checkpoint names."""

    def __call__(self, batch: dict[str, Tensor], step: int, rank: int) -> dict[str, Tensor]:
        """Losses of one batch (`data.to_device`); randomness comes from (seed, rank, step)."""


def is_temporal(name: str) -> bool:
    """Whether a parameter mixes frames: AnimateDiff's motion modules and the pose guider's convolution over time."""
    return "motion_modules" in name or name.startswith("pose.temporal")


def choose_parameters(named: Iterable[tuple[str, nn.Parameter]], stage: StageRecipe) -> dict[str, nn.Parameter]:
    """The parameters a stage trains: spatial: none that mixes frames; temporal: only those, unless `train` says more.

    Raises InputError for an entry of `train` that names nothing which this kind of stage trains.
    """
    named = {name: p for name, p in named if not (stage.kind == "spatial" and is_temporal(name))}
    default = {"temporal": ("temporal",)}.get(stage.kind, ("",))
    chosen: set[str] = set()
    for part in stage.train or default:
        found = {name for name in named if (is_temporal(name) if part == "temporal" else name.startswith(part))}
        if not found or (stage.train and not part):
            parts = ["temporal"] if any(map(is_temporal, named)) else []
            there = ", ".join([*parts, *sorted({name.split(".")[0] for name in named})])
            raise InputError(
                f"stages.{stage.name}.train has {part!r}, which names no parameter of a stage of kind {stage.kind}; "
                f"there are {there}"
            )
        chosen |= found
    return {name: parameter for name, parameter in named.items() if name in chosen}


def generator(seed: int, rank: int, step: int, stream: int) -> torch.Generator:
    """CPU generator that is a pure function of its arguments."""
    state = np.random.SeedSequence([seed, rank, step, stream]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def draw_timesteps(count: int, train_steps: int, recipe: TimestepRecipe, rng: torch.Generator) -> Tensor:
    """Timesteps (count,): a share exactly at the last one, the others uniform over 0 … train_steps − 1."""
    # Not in paper: stratified, one draw from each of `count` equal parts; the same distribution, less noise.
    uniform = (torch.randperm(count, generator=rng) + torch.rand(count, generator=rng)) / count
    timesteps = (uniform * train_steps).long().clamp(max=train_steps - 1)
    last = torch.rand(count, generator=rng) < recipe.last
    return torch.where(last, train_steps - 1, timesteps)


def dropped(stage: StageRecipe, seed: int, step: int) -> dict[str, bool]:
    """Which conditions are off in this step, for the whole batch on every rank."""
    draws = torch.rand(5, generator=generator(seed, 0, step, DROPOUT)).tolist()
    names = ("animation", "environment", "objects", "depth", "blur")
    return {name: draw < getattr(stage.dropout, name) for name, draw in zip(names, draws, strict=True)}


class AnimationStage(nn.Module):
    """Spatial or temporal stage of the animation model; the autoencoder stays frozen.

    In the spatial stage every frame is a picture of its own: its own timestep, layers over time off, one reference
    a clip shared by its frames. In the temporal stage a clip's frames share the timestep.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: StageRecipe,
        model: AnimationModel,
        codec: LatentCodec,
        embed: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.stage, self.model = recipe, stage, model
        self.codec, self.embed = codec, embed
        if stage.loss.patches and not model.config.reference.patch_attention:
            raise InputError(
                f"stages.{stage.name}.loss.patches is {stage.loss.patches:g}, but the model has no patch attention: "
                "set it to 0, or model.overrides.reference.patch_attention=true"
            )
        schedule = model.config.schedule
        self.alphas = alphas_cumprod(schedule).float()
        self.prediction, self.train_steps = schedule.prediction, schedule.train_steps

    def trained(self) -> dict[str, nn.Parameter]:
        named = self.model.named_parameters()
        if self.recipe.adapter is None:
            return choose_parameters(named, self.stage)
        adapter = {name: parameter for name, parameter in named if ".lora_" in name}
        if self.stage.kind == "spatial" and all(map(is_temporal, adapter)):
            raise InputError(
                f"adapter.layers {', '.join(self.recipe.adapter.layers)} are layers over time alone, which stage "
                f"{self.stage.name!r} does not use: add others, or make it a temporal stage"
            )
        return adapter

    def forward(self, batch: dict[str, Tensor], step: int, rank: int = 0) -> dict[str, Tensor]:
        off = dropped(self.stage, self.recipe.seed, step)
        temporal = self.stage.kind == "temporal"
        with autocast(self.recipe, batch["target_BFHWC"].device):
            clean, conditions = self.conditions(batch, off)
            if not temporal:
                clean, conditions = clean.flatten(0, 1).unsqueeze(1), _each_frame(conditions, self.stage.frames)
            noise, timesteps = self._noise(clean, step, rank)
            noisy = losses.add_noise(clean, noise, self.alphas, timesteps)
            watched = self._watched(conditions)
            predicted = self.model.denoise(noisy, timesteps, temporal=temporal, after_spatial=watched, **conditions)
        target = losses.diffusion_target(clean, noise, self.alphas, timesteps, self.prediction)
        values = self._losses(predicted, target, timesteps, batch)
        for hook in watched:
            characters = batch["character_BFHW"].flatten(0, 1)
            values["patches"] = losses.patch_loss(hook.seen, clean.flatten(0, 1), characters)
            values["loss"] = values["loss"] + self.stage.loss.patches * values["patches"]
        return values

    def _watched(self, conditions: dict) -> list[PatchColours]:
        """What keeps the colours that patch attention sees, where the stage has a loss on them."""
        if not self.stage.loss.patches or "reference" not in conditions:
            return []
        reference = conditions["reference"]
        return [PatchColours(self.model.denoiser, reference.patches, reference.colours)]

    def conditions(self, batch: dict[str, Tensor], off: dict[str, bool]) -> tuple[Tensor, dict]:
        """Clean latents (B, F, C, h, w) and the denoiser's keyword arguments, of what the model has networks for."""
        config = self.model.config
        driving, mask, objects = batch["driving_BFHWC"], batch["mask_BFHW"], batch["object_BFHW"]
        clean = self.encode(batch["target_BFHWC"])
        conditions, given = {}, {}
        if config.unet.cross_attention_dim is not None:
            conditions["context"] = self._context(batch, off["animation"])
        if not off["animation"]:
            latents = self.encode(batch["reference_BHWC"].unsqueeze(1)).squeeze(1)
            features = self.model.reference(latents, conditions.get("context"))
            conditions["reference"] = self.model.project_reference(features)
            given |= self._motion(batch, off)
        if config.environment and not off["environment"]:
            plate, known = batch.get("plate_BFHWC"), batch.get("known_BFHW")
            given["environment"] = self.encode(environment_frames(driving, mask, plate=plate, known=known))
            given["mask"] = latent_mask(mask, config.latent.downscale, known)
        if config.objects is not None and not off["objects"] and bool(selected(objects).any()):
            given["objects"] = object_latents(self.encode, driving, objects)
        return clean, conditions | self.model.features(given, temporal=self.stage.kind == "temporal")

    def _motion(self, batch: dict[str, Tensor], off: dict[str, bool]) -> dict[str, Tensor]:
        guider, given = self.model.config.pose, {"skeleton": batch["skeleton_BFHWC"].permute(0, 1, 4, 2, 3)}
        if guider.depth and not off["depth"]:
            given["depth"] = batch["depth_BFHW"].unsqueeze(2)
        if guider.blur is not None and not off["blur"]:
            given["blur"] = batch["blur_BFHWC"].permute(0, 1, 4, 2, 3)
        return given

    def _context(self, batch: dict[str, Tensor], off: bool) -> Tensor:
        """CLIP's embedding of the references (B, 1, D); zeros where it is off, as in guidance's unconditional pass."""
        references = batch["reference_BHWC"]
        if off or self.embed is None:
            return references.new_zeros(len(references), 1, self.model.config.unet.cross_attention_dim)
        return self.embed(batch["portrait_BHWC"]).to(references)

    @torch.no_grad()
    def encode(self, pictures_BFHWC: Tensor) -> Tensor:
        """(B, F, H, W, 3) 0…1 → float32 latents (B, F, C, h, w) of the frozen autoencoder."""
        batch, frames = pictures_BFHWC.shape[:2]
        pictures = pictures_BFHWC.flatten(0, 1).permute(0, 3, 1, 2) * 2 - 1
        parts = [self.codec.vae.encode(part) for part in pictures.split(ENCODED_AT_ONCE)]
        return (torch.cat(parts) * self.codec.scale).float().unflatten(0, (batch, frames))

    def _noise(self, clean: Tensor, step: int, rank: int) -> tuple[Tensor, Tensor]:
        rng = generator(self.recipe.seed, rank, step, NOISE)
        noise = torch.randn(clean.shape, generator=rng).to(clean.device)
        return noise, draw_timesteps(len(clean), self.train_steps, self.stage.timesteps, rng).to(clean.device)

    def _losses(
        self, predicted: Tensor, target: Tensor, timesteps: Tensor, batch: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The weighted loss, and for the log the plain error inside and outside the character."""
        options = self.stage.loss
        regions = {name: batch[f"{name}_BFHW"] for name in ("character", "hands", "face")}
        weights = losses.region_weights(regions, options, tuple(target.shape[-2:]))
        if self.stage.kind == "spatial":
            weights = weights.flatten(0, 1).unsqueeze(1)
        by_snr = None
        if options.weighting == "min_snr":
            snr = losses.signal_to_noise(self.alphas, timesteps)
            by_snr = losses.snr_weights(snr, self.prediction, options.snr_gamma)
        parts = losses.region_errors(predicted.detach(), target, batch["character_BFHW"])
        return {"loss": self._with_gradient(losses.diffusion_loss(predicted, target, weights, by_snr)), **parts}

    def _with_gradient(self, loss: Tensor) -> Tensor:
        """The loss; where nothing that trains took part in it (a batch without objects, say), with a gradient of 0.

        Here, since processes that train together must each use in `forward` what they take a gradient of.
        """
        if loss.requires_grad:
            return loss
        return loss + 0 * next(parameter for parameter in self.parameters() if parameter.requires_grad).sum()


def _each_frame(conditions: dict, frames: int) -> dict:
    """Conditions of B clips of F frames → of B·F clips of one frame; object features are B·F already."""
    single = dict(conditions)
    for name in {"environment", "mask", "pose"} & conditions.keys():
        single[name] = conditions[name].flatten(0, 1).unsqueeze(1)
    if "context" in conditions:
        single["context"] = conditions["context"].repeat_interleave(frames, dim=0)
    if "reference" in conditions:
        single["reference"] = conditions["reference"].each(lambda x: x.repeat_interleave(frames, dim=0))
    return single


class AutoencoderStage(nn.Module):
    """Trains the small autoencoder on single pictures: L1 of pixels and edges, latents kept in about −1…1."""

    def __init__(self, recipe: Recipe, stage: StageRecipe, codec: LatentCodec) -> None:
        super().__init__()
        self.recipe, self.stage = recipe, stage
        self.vae = codec.vae

    def trained(self) -> dict[str, nn.Parameter]:
        return choose_parameters(((f"vae.{name}", p) for name, p in self.vae.named_parameters()), self.stage)

    def forward(self, batch: dict[str, Tensor], step: int, rank: int = 0) -> dict[str, Tensor]:
        options = self.stage.pictures
        pictures = batch["pictures_BHWC"].permute(0, 3, 1, 2) * 2 - 1
        rng = generator(self.recipe.seed, rank, step, NOISE)
        with autocast(self.recipe, pictures.device):
            latents = self.vae.encode(pictures)
            # Not in paper: a little noise, so that the decoder forgives what a denoiser gets slightly wrong.
            noise = torch.randn(latents.shape, generator=rng).to(latents.device)
            decoded = self.vae.decode(latents + options.latent_noise * noise)
        parts = losses.picture_loss(decoded.float(), pictures)
        parts["latents"] = torch.relu(latents.float().abs() - 1).square().mean()
        total = parts["pixels"] + options.edges * parts["edges"] + options.latents * parts["latents"]
        return {"loss": total, **parts}


def make_stage(
    recipe: Recipe,
    stage: StageRecipe,
    model: AnimationModel,
    codec: LatentCodec,
    embed: Callable[[Tensor], Tensor] | None = None,
) -> Stage:
    """The module that trains `stage`. embed: references (B, H, W, 3) 0…1 → contexts (B, 1, D); None: zeros."""
    if stage.kind == "autoencoder":
        return AutoencoderStage(recipe, stage, codec)
    return AnimationStage(recipe, stage, model, codec, embed)


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic where the recipe asks for it; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
