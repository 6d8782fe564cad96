"""The recipe of a training: one YAML file, frozen, every unknown field rejected by name."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import InputError
from ..scenes import HELD_OUT_SEED, SHUTTER

RECIPES = Path(__file__).parent / "recipes"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRecipe(_Frozen):
    """The network: a preset of `models.PRESETS`, and fields of its config to replace (dotted keys).

    `schedule.gamma: 0.5` trains with HIA's shifted signal-to-noise ratio, `pose.typical_sharpness` is the scale of
    the hands' sharpness; both stay with the model.
    """

    preset: str = "puppets"
    overrides: dict[str, Any] = {}


class DataRecipe(_Frozen):
    """Where clips come from. Without `folder` scenes are rendered from their seed."""

    folder: str | None = None  # a folder of scene folders as `inhabit scene` writes them
    kinds: tuple[str, ...] = ()  # empty: all kinds of scene
    width: int = Field(128, ge=16, le=4096)
    height: int = Field(128, ge=16, le=4096)
    scene_frames: int = Field(48, ge=1)
    seeds: tuple[int, int] = (0, HELD_OUT_SEED)  # first, one past the last
    # Of rendered scenes: the share of the frame time the shutter is open is drawn from here, a scene's own.
    shutter: tuple[float, float] = (SHUTTER, SHUTTER)
    # Not in paper: share of clips whose target is another character's exact rendering in the same motion.
    cross_identity: float = Field(0.0, ge=0, le=1)
    # Share of clips whose reference is a frame of the video on a random background (AA2 §4.1).
    # Not in paper: the others have a portrait of the character, rendered apart.
    reference_from_video: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _sharpness_is_the_models(cls, values: Any) -> Any:
        if isinstance(values, dict) and "typical_sharpness" in values:
            raise ValueError(
                "typical_sharpness belongs to the model, which is told by it at inference too: "
                f"set model.overrides.pose.typical_sharpness={values['typical_sharpness']}"
            )
        return values

    @model_validator(mode="after")
    def _ranges(self) -> DataRecipe:
        first, end = self.seeds
        if not 0 <= first < end <= HELD_OUT_SEED:
            raise ValueError(f"seeds {self.seeds} must be [first, end) with 0 ≤ first < end ≤ {HELD_OUT_SEED}")
        if not 0 <= self.shutter[0] <= self.shutter[1] <= 1:
            raise ValueError(f"shutter {self.shutter} must be [least, most] with 0 ≤ least ≤ most ≤ 1")
        return self


class AugmentationRecipe(_Frozen):
    """What is changed at random in a clip, and how its formulated mask is made (AA2 §3.2)."""

    flip: float = Field(0.5, ge=0, le=1)  # probability (HIA A.4)
    # Probability of random scale augmentation (AA2 §3.2), and its range. Not in paper: the numbers of both.
    scale: float = Field(0.2, ge=0, le=1)
    scale_range: tuple[float, float] = (0.75, 1.25)
    # Not in paper: share of clips masked with inference's own blocks of about 10 px; the others are random.
    inference_blocks: float = Field(0.5, ge=0, le=1)
    blur_hands: float = Field(0.0, ge=0, le=1)  # Not in paper: probability that the target's hands are put out of focus
    blur_range: tuple[float, float] = (0.5, 2.5)  # standard deviation in pixels


class DropoutRecipe(_Frozen):
    """Probability a step that a condition is switched off, for the whole batch of that step.

    # Not in paper: HIA (eq. 4) switches reference and motion off at inference, and tells nothing of doing so in
    training. Here it is learnt for each condition, so that each may be left out at inference.
    """

    animation: float = Field(0.0, ge=0, le=1)  # reference and motion together, as guidance goes without them
    environment: float = Field(0.0, ge=0, le=1)
    objects: float = Field(0.0, ge=0, le=1)
    depth: float = Field(0.0, ge=0, le=1)
    blur: float = Field(0.0, ge=0, le=1)  # the hands' motion-blur maps


class TimestepRecipe(_Frozen):
    """Share `last` of the clips trains exactly at the last timestep, the rest uniformly over all."""

    # Not in paper: with zero terminal SNR the last timestep shows the network nothing but its conditions,
    # so the reference path learns most there.
    last: float = Field(0.0, ge=0, le=1)


class LossRecipe(_Frozen):
    """Weights of the diffusion loss; region weights multiply the plain weight 1 of the background.

    # Not in paper: any of them; AA2's and HIA's loss outside the regional stage is the plain mean.
    """

    weighting: Literal["plain", "min_snr"] = "plain"
    snr_gamma: float = Field(5.0, gt=0)
    character: float = Field(1.0, gt=0)
    hands: float = Field(1.0, gt=0)
    face: float = Field(1.0, gt=0)
    # Not in paper: weight of the colours that patch attention sees against the character's own (`patch_loss`).
    patches: float = Field(0.0, ge=0)


class PictureRecipe(_Frozen):
    """The autoencoder's loss: L1 of the pixels + `edges` · L1 of neighbour differences + `latents` · excess over ±1."""

    crop: int = Field(64, ge=8)  # side of the random square crops, pixels
    on_character: float = Field(0.0, ge=0, le=1)  # share of the crops with a pixel of the character in their middle
    edges: float = Field(0.5, ge=0)
    latents: float = Field(0.1, ge=0)
    latent_noise: float = Field(0.03, ge=0)  # standard deviation of the noise the decoder must forgive


class StageRecipe(_Frozen):
    """One stage: `spatial` (random frames, temporal layers off), `temporal` (consecutive frames) or `autoencoder`."""

    name: str
    kind: Literal["spatial", "temporal", "autoencoder"]
    steps: int = Field(ge=1)
    clips: int = Field(4, ge=1)
    frames: int = Field(8, ge=1)
    # Not in paper: linear warmup and a cosine to 0; neither AA2 nor HIA tells a learning rate.
    learning_rate: float = Field(1e-4, gt=0)
    warmup: int = Field(100, ge=0)
    # Prefixes of parameter names; "temporal" names all layers over time. Empty: all of the stage's kind.
    train: tuple[str, ...] = ()
    timesteps: TimestepRecipe = TimestepRecipe()
    dropout: DropoutRecipe = DropoutRecipe()
    loss: LossRecipe = LossRecipe()
    pictures: PictureRecipe = PictureRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()

    @model_validator(mode="after")
    def _last_step_counts(self) -> StageRecipe:
        if self.loss.weighting == "min_snr" and self.timesteps.last > 0:
            raise ValueError("timesteps.last must be 0 with loss.weighting min_snr, whose weight of the last one is 0")
        return self


class AdapterRecipe(_Frozen):
    """A LoRA on the denoiser: the stages train it alone, and it alone is written."""

    rank: int = Field(4, ge=1)
    alpha: float = Field(4.0, gt=0)  # the adapter's weight is alpha / rank
    layers: tuple[str, ...] = Field(("to_q", "to_k", "to_v", "to_out.0"), min_length=1)  # ends of layers' names


class Recipe(_Frozen):
    """A whole training."""

    model: ModelRecipe = ModelRecipe()
    # Checkpoint to start from, model and codec; it brings its config, of which model.overrides replace fields:
    # networks that the checkpoint lacks start new. model.preset is not used.
    init: str | None = None
    # Checkpoint whose autoencoder is used; default: init's. "puppets": the bundled one. For models that have none of
    # their own (sd15): Stable Diffusion's VAE, a diffusers folder or .safetensors file, which stays out of the result.
    codec: str | None = None
    # For models with cross-attention (sd15): the folder or file of the CLIP vision model that embeds the reference.
    clip_vision: str | None = None
    # Not in paper: "zeros" trains such a model without one, as if it were always dropped.
    image_context: Literal["clip", "zeros"] = "clip"
    adapter: AdapterRecipe | None = None  # train a LoRA of the model, not the model
    data: DataRecipe = DataRecipe()
    seed: int = Field(0, ge=0)
    stages: tuple[StageRecipe, ...] = Field(min_length=1)
    ema: float = Field(0.999, ge=0, lt=1)  # Not in paper: what is written is the weights' average
    weight_decay: float = Field(0.01, ge=0)
    clip_gradient: float = Field(1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    export: Literal["float32", "float16", "bfloat16"] = "float16"
    save_every: int = Field(500, ge=1)
    keep: int = Field(2, ge=2)
    log_every: int = Field(10, ge=1)
    workers: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _one_subject(self) -> Recipe:
        if len({stage.kind == "autoencoder" for stage in self.stages}) > 1:
            raise ValueError("autoencoder stages cannot be mixed with spatial or temporal ones: use two recipes")
        return self

    @model_validator(mode="after")
    def _adapter_of_a_model(self) -> Recipe:
        if self.adapter is None:
            return self
        if self.init is None or self.trains_autoencoder:
            raise ValueError("an adapter needs init, the model it belongs to, and no autoencoder stage")
        named = [stage.name for stage in self.stages if stage.train]
        if named:
            raise ValueError(f"stage {named[0]!r} has train, but of the recipe the adapter alone is trained: drop it")
        return self

    @model_validator(mode="after")
    def _scenes_long_enough(self) -> Recipe:
        longest = max(stage.frames for stage in self.stages)
        if not self.data.folder and longest > self.data.scene_frames:
            raise ValueError(f"a stage of {longest} frames needs data.scene_frames of at least {longest}")
        return self

    @property
    def trains_autoencoder(self) -> bool:
        return self.stages[0].kind == "autoencoder"

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def for_header(self) -> str:
        """The recipe as JSON for the header of a model that others get: files by name, not by where they lie."""
        return json.dumps(files_by_name(self.model_dump(mode="json")))

    def stage_at(self, step: int) -> tuple[int, int]:
        """(index of the stage, its first global step) for global `step` of 0 … steps-1."""
        first = 0
        for index, stage in enumerate(self.stages):
            if step < first + stage.steps:
                return index, first
            first += stage.steps
        raise IndexError(f"step {step} of a recipe with {self.steps} steps")


def files_by_name(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values with its files by their names, whatever folder they lie in."""
    values = values | {"data": dict(values["data"])}
    for part, key in ((values, "init"), (values, "codec"), (values, "clip_vision"), (values["data"], "folder")):
        if part.get(key):
            part[key] = Path(part[key]).name
    return values


def load_recipe(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Recipe from a YAML file (or the bare name of a bundled one), with `key=value` overrides.

    Keys are dotted; a list item is named by its number or, for stages, by its name: `stages.spatial.steps=10`.
    Raises InputError naming the unknown or invalid key.
    """
    file = Path(path)
    if not file.suffix and not file.exists():
        file = RECIPES / f"{path}.yaml"
    if not file.is_file():
        bundled = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise InputError(f"recipe {path} does not exist; give a .yaml file or one of: {bundled}")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} holds {type(values).__name__}; a mapping of recipe fields is needed")
    for text in overrides:
        _override(values, text)
    return parse_recipe(values)


def parse_recipe(values: dict[str, Any]) -> Recipe:
    """Recipe from plain values; raises InputError with one line about the first fault."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        raise InputError(f"unknown recipe key {where!r}; {_nearest(str(first['loc'][-1]))}")
    raise InputError(f"recipe key {where}={first.get('input')!r}"[:200] + f": {first['msg']}")


def _nearest(name: str) -> str:
    known = field_names(Recipe)
    found = difflib.get_close_matches(name, {key.split(".")[-1] for key in known}, n=1, cutoff=0.0)[0]
    return f"the nearest valid one is {next(key for key in known if key.split('.')[-1] == found)!r}"


def field_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted field names of a recipe model; stages' fields appear as `stages.N.field`."""
    names = []
    for name, field in model.model_fields.items():
        names.append(prefix + name)
        inner = StageRecipe if name == "stages" else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += field_names(inner, f"{prefix}{name}.N." if name == "stages" else f"{prefix}{name}.")
    return names


def _override(values: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"override {text!r} is not key=value")
    *parents, last = key.split(".")
    node: Any = values
    for parent in parents:
        if isinstance(node, list):
            node = node[_position(node, parent, key)]
        elif parent == "overrides":
            node = node.setdefault(parent, {})
            last = key.partition("overrides.")[2]
            break
        else:
            node = node.setdefault(parent, {})
        if not isinstance(node, (dict, list)):
            raise InputError(f"override {key!r}: {parent!r} holds a plain value and has no fields")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"override {text!r} is not valid YAML: {' '.join(str(error).split())}") from None
    if isinstance(node, list):
        node[_position(node, last, key)] = parsed
    else:
        node[last] = parsed


def _position(items: list[Any], name: str, key: str) -> int:
    for index, item in enumerate(items):
        if name == str(index) or (isinstance(item, dict) and item.get("name") == name):
            return index
    names = [item.get("name", index) if isinstance(item, dict) else index for index, item in enumerate(items)]
    raise InputError(f"override {key!r}: no item {name!r}; there are {', '.join(map(str, names))}")
