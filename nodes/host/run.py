"""What happens once a sampling run, before core's sampler starts."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from ...errors import InputError
from ...models import AnimationModel, ModelConfig
from ...models.conditions import CONDITIONS, unread
from ...pipeline.conditions import selected
from .checks import check_has_reference
from .conds import CONTEXT, ENVIRONMENT, MASK, REFERENCE, SEED, Name, key_of, keys_of
from .kept import plain_where_kept
from .preview import begins

logger = logging.getLogger(__name__)

RUN = "inhabit_run"  # its key in transformer_options


class Run:
    """What one sampling run keeps between steps and windows: reference keys/values and the window's features."""

    def __init__(self) -> None:
        self.references: dict[Name, object] = {}
        self._window: tuple[int, ...] = ()
        self._features: dict[object, tuple[dict[str, Tensor], dict[str, object]]] = {}

    def reference(self, name: Name | None) -> object | None:
        """Return the keys and values of `ReferenceCond.name`. Raises InputError where no sampling run made them."""
        if name is not None and name not in self.references:
            raise InputError(
                "the model is called outside of a sampling run that knows its reference; sample with KSampler, "
                "SamplerCustomAdvanced or Inhabit Windowed Sampler"
            )
        return None if name is None else self.references[name]

    def features(self, model: AnimationModel, given: dict[str, Tensor], options: dict) -> dict[str, object]:
        """Return `model.features` of the conditions given, (B, F, C, …) by name, computed anew for another window."""
        window = tuple(options.get("inhabit_window", ()))
        key = tuple(options.get("uuids", ())), tuple((name, values.shape) for name, values in given.items())
        if window != self._window:
            self._window, self._features = window, {}
        if key not in self._features or not _same(self._features[key][0], given):
            self._features[key] = given, model.features(given)  # core gives one uuid to two conditionings with areas
        return self._features[key][1]


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(one[name] is values or torch.equal(one[name], values) for name, values in other.items())


def start_run(
    executor, guider, sigmas, extra_args: dict, callback, noise, latent_image, denoise_mask=None, *args, **kwargs
):
    """SAMPLER_SAMPLE wrapper: what the model's configuration asks for, and the references, once for all steps.

    The conditionings are the run's own copies: `guider.conds`, name → list of dictionaries.
    Raises InputError where none of the positive ones shows a character.
    """
    hosted = guider.model_patcher.model
    config = hosted.settings.config
    check_has_reference(guider.conds)
    conds = [cond["model_conds"] for conds in guider.conds.values() for cond in conds]
    options = extra_args["model_options"]["transformer_options"]
    if begins(options):
        _tell_unread(config, conds)
    _share_what_stays(config, guider.conds)
    latent_image, drawn = _keep_scene(config, conds, latent_image)
    _drop_unread(config, conds)
    noise = plain_where_kept(noise, options, drawn)
    masks = [mask for mask in (denoise_mask, drawn) if mask is not None]
    denoise_mask = math.prod(masks) if masks else None
    run = Run()
    _read_references(run, hosted, conds, guider.model_patcher.load_device)
    options[RUN], options[SEED] = run, extra_args.get("seed") or 0
    return executor(guider, sigmas, extra_args, callback, noise, latent_image, denoise_mask, *args, **kwargs)


def _tell_unread(config: ModelConfig, conds: list[dict]) -> None:
    """Say what the weights have no network for: a workflow serves models with and without."""
    for condition in unread(config, _given(conds)):
        if condition.unread:
            level = logging.WARNING if condition.lost else logging.INFO
            logger.log(level, "model %s %s", config.name, condition.unread)


def _drop_unread(config: ModelConfig, conds: list[dict]) -> None:
    for condition in unread(config, _given(conds)):
        for cond in conds:
            cond.pop(key_of(condition), None)


def _given(conds: list[dict]) -> set[str]:
    """The names of the conditions among a run's Cond objects."""
    return {each.name for each in CONDITIONS if any(key_of(each) in cond for cond in conds)}


def _share_what_stays(config: ModelConfig, conds: dict[str, list[dict]]) -> None:
    """Show reference and motion to the negative side, too, where the weights never learned to miss them."""
    positives = [cond["model_conds"] for cond in conds.get("positive") or []]
    for mechanism in ("reference", "motion"):
        if mechanism in config.sampling.unconditional_without:
            continue
        keys = keys_of(mechanism)
        seen = next((positive for positive in positives if keys[0] in positive), {})
        for cond in conds.get("negative") or []:
            if keys[0] not in cond["model_conds"]:
                cond["model_conds"] |= {key: seen[key] for key in keys if key in seen}


def _keep_scene(config: ModelConfig, conds: list[dict], latent_image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return latent image and noise mask (F, …, h, w) that keep the scene where the weights have no environment input.

    As `pipeline.animate.KeptScene`: outside the formulated mask core puts the driving video's latents back, at every
    step's noise. Inside, the latents given stay what sampling starts from. None: the mask keeps nothing.
    """
    if config.environment:
        return latent_image, None
    scenes = [(cond.pop(ENVIRONMENT), cond.pop(MASK)) for cond in conds if ENVIRONMENT in cond]
    if not scenes:
        return latent_image, None
    scene, mask = (cond.cond.to(latent_image) for cond in scenes[0])
    mask = mask[:, :1]  # a second channel says where a plate shows nothing
    return torch.where(selected(mask), latent_image, scene), mask


def _read_references(run: Run, hosted, conds: list[dict], device: torch.device) -> None:
    """Compute every reference's keys and values."""
    dtype = hosted.manual_cast_dtype or hosted.get_dtype()
    for cond in conds:
        reference = cond.get(REFERENCE)
        if reference is not None and reference.name not in run.references:
            latents = hosted.process_latent_in(reference.cond).to(device, dtype)
            run.references[reference.name] = _keys_and_values(hosted.diffusion_model.animation, latents, cond)


def _keys_and_values(model: AnimationModel, latents: Tensor, cond: dict) -> object:
    context = cond.get(CONTEXT)
    context = None if context is None else context.cond.to(latents)
    return model.project_reference(model.reference(latents, context))
