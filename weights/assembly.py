"""Recognised parts → one model: they are checked against each other, and what they lack is built.

No tensor is copied but the input convolution's, and the new networks are the same every time.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..models.config import ModelConfig, PoseGuiderConfig, ReferenceConfig, SamplingConfig, ScheduleConfig
from ..models.layers import MotionModule
from ..models.model import AnimationModel
from ..models.objects import ObjectGuider
from ..models.pose import PoseGuider
from .architecture import NOT_GIVEN, Numbers, guider_config, settle, unet_config
from .layouts import ENTRY, ENVIRONMENT_INPUT, Layout, Part, Role, role_of

FRESH_SEED = 0
SHOWN = 3  # names in a message
USUAL_FILES: dict[Role, str] = {
    "denoiser": "a Stable Diffusion 1.5 checkpoint or UNet, Animate Anyone's denoising_unet.pth",
    "ReferenceNet": "reference_unet.pth",
    "motion modules": "motion_module.pth, or AnimateDiff's",
    "pose guider": "pose_guider.pth",
}


@dataclass(frozen=True)
class Kind:
    """What a conversion makes: `start` is its configuration, up to what shapes tell; `layouts` what it takes.

    Roles that are not required and not given are built new; a ReferenceNet then starts as a copy of the denoiser.
    """

    start: ModelConfig
    layouts: tuple[Layout, ...]
    required: tuple[Role, ...]


_STABLE_DIFFUSION = ScheduleConfig(betas="scaled_linear", zero_terminal_snr=False, prediction="epsilon")
_ANIMATEDIFF = _STABLE_DIFFUSION.model_copy(update={"betas": "linear"})  # what its motion modules were trained with
_TRAINABLE: tuple[Layout, ...] = ("Stable Diffusion checkpoint", "UNet", "motion modules")
KINDS: dict[str, Kind] = {
    "animate-anyone": Kind(
        ModelConfig(
            name="animate-anyone",
            environment=False,
            reference=ReferenceConfig(mode="full"),
            pose=PoseGuiderConfig(depth=False, temporal=False),
            objects=None,
            sampling=SamplingConfig(unconditional_without=("reference",)),
        ),
        ("UNet", "ReferenceNet", "motion modules", "pose guider"),
        ("denoiser", "ReferenceNet", "motion modules", "pose guider"),
    ),
    "animatediff": Kind(
        ModelConfig(name="animatediff", schedule=_ANIMATEDIFF), _TRAINABLE, ("denoiser", "motion modules")
    ),
    "sd15": Kind(ModelConfig(name="sd15", schedule=_STABLE_DIFFUSION), _TRAINABLE, ("denoiser",)),
}


@dataclass(frozen=True)
class Report:
    """What became of the files: every number and name that somebody may want to check."""

    parts: tuple[Part, ...]
    unread: tuple[str, ...] = ()  # keys of ours that nothing of ours reads
    fresh: tuple[str, ...] = ()  # networks that no file gave
    numbers: tuple[str, ...] = ()  # what shapes do not tell, and where it is from
    written: str = ""

    def lines(self) -> list[str]:
        """The report for people, a fact a line."""
        lines = []
        for part in self.parts:
            lines.append(f"{part.source}: {part.layout}, {len(part.tensors)} tensors taken")
            lines += [f"  ignored, {why}: {summary(names)}" for why, names in part.ignored.items()]
        if self.unread:
            lines.append(f"ignored, behind the last layer that is read: {summary(self.unread)}")
        lines += [f"fresh: {name}" for name in self.fresh]
        lines += list(self.numbers)
        return [*lines, self.written] if self.written else lines


@dataclass(frozen=True)
class Assembled:
    """A whole model: tensors by the names of `AnimationModel(config)`, all of them."""

    config: ModelConfig
    tensors: dict[str, Tensor]
    report: Report


def assemble(parts: Sequence[Part], kind: Kind, numbers: Numbers = NOT_GIVEN) -> Assembled:
    """Put parts together to a whole model.

    Raises:
        InputError: a part is missing, there twice, incomplete, or does not fit the others.
    """
    givers = _givers(parts, kind)
    numbers, origins = settle(numbers, parts)
    config = _configure(kind.start, givers, numbers)
    with torch.device("meta"):
        model = AnimationModel(config)
    shapes = _shapes(model)
    tensors, unread = {}, []
    for part in parts:
        fitted, left = _fit(part, shapes)
        tensors |= fitted
        unread += left
    fresh = _complete(tensors, model)
    if config.environment:
        fresh += _join_environment(tensors, shapes)
    told = tuple(line for name, line in origins.items() if "motion modules" in givers or not name.startswith("motion_"))
    written = f"model {config.name}, {len(tensors)} tensors, 0 missing, 0 unexpected"  # else a check above raised
    return Assembled(config, tensors, Report(tuple(parts), tuple(unread), tuple(fresh), told, written))


def _shapes(model: AnimationModel) -> dict[str, torch.Size]:
    """What parts may give: the model's tensors, those of the environment's input channels apart."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if model.config.environment:
        rows, channels, *kernel = shapes[ENTRY]
        latents = model.config.unet.in_channels
        shapes[ENTRY] = torch.Size((rows, latents, *kernel))
        shapes[ENVIRONMENT_INPUT] = torch.Size((rows, channels - latents, *kernel))
    return shapes


def _join_environment(tensors: dict[str, Tensor], shapes: Mapping[str, torch.Size]) -> list[str]:
    """Put the environment's channels behind the latents' in the denoiser's input; without a giver they start at zero.

    They are linear in what is added to the first feature map, so that learned ones fit other Stable Diffusion weights
    as well as the pose guider does.
    """
    given = ENVIRONMENT_INPUT in tensors
    more = tensors.pop(ENVIRONMENT_INPUT) if given else tensors[ENTRY].new_zeros(shapes[ENVIRONMENT_INPUT])
    tensors[ENTRY] = torch.cat([tensors[ENTRY], more], dim=1)
    return [] if given else ["environment input channels (zero)"]


def check_complete(part: Part, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Raise InputError, naming the first, unless exactly the tensors of these shapes are there."""
    missing, unexpected = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    wrong = [
        f"{_short(name)} is {tuple(tensors[name].shape)} and should be {tuple(shape)}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    if missing or unexpected or wrong:
        raise InputError(
            f"{part.source} is no complete {part.layout}: {_some(missing)} missing, {_some(unexpected)} unexpected, "
            f"{_some(wrong)} of another shape: give a file with all of it"
        )


def summary(names: Sequence[str]) -> str:
    """Names, those of one beginning as `beginning.* (count)`."""
    groups = [list(group) for _, group in itertools.groupby(sorted(names), key=lambda name: name.split(".")[0])]
    return ", ".join(group[0] if len(group) == 1 else f"{_beginning(group)}.* ({len(group)})" for group in groups)


def _beginning(names: list[str]) -> str:
    return ".".join(os.path.commonprefix([name.split(".")[:-1] or [name] for name in names]))


def _givers(parts: Sequence[Part], kind: Kind) -> dict[str, Part]:
    """role → the one part that gives it."""
    name = f"--kind {kind.start.name}"
    givers: dict[str, Part] = {}
    for part in parts:
        if part.layout not in kind.layouts:
            raise InputError(f"{part.source} is a {part.layout}; {name} takes {_listed(kind.layouts)}: leave it out")
        for role in part.roles:
            if role in givers:
                raise InputError(f"{givers[role].source} and {part.source} both hold the {role}: give one of them")
            givers[role] = part
    missing = [f"the {role} ({USUAL_FILES[role]})" for role in kind.required if role not in givers]
    if missing:
        raise InputError(f"{name} lacks {_listed(missing)}: add {'these' if len(missing) > 1 else 'this'}")
    return givers


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _configure(start: ModelConfig, givers: Mapping[str, Part], numbers: Numbers) -> ModelConfig:
    unet = unet_config(givers["denoiser"], givers.get("motion modules"), numbers)
    guider = guider_config(givers["pose guider"], start.pose) if "pose guider" in givers else start.pose
    sizes = {"channels": unet.in_channels, "downscale": 2 ** (len(guider.channels) - 1)}
    latent = start.latent.model_copy(update=sizes)
    window = min(start.sampling.window, unet.motion_modules.max_frames)
    overlap = min(start.sampling.overlap, window // 2)
    sampling = start.sampling.model_copy(update={"window": window, "overlap": overlap})
    changes = {"unet": unet, "pose": guider, "latent": latent, "sampling": sampling}
    return ModelConfig.model_validate(start.model_dump() | {key: value.model_dump() for key, value in changes.items()})


def _fit(part: Part, shapes: Mapping[str, torch.Size]) -> tuple[dict[str, Tensor], list[str]]:
    """A part's tensors as the model takes them, and the names of those that it has no use for.

    Raises:
        InputError: keys are missing, unexpected or of another shape, by name.
    """
    # our ReferenceNet ends with its last spatial attention: the levels behind it are not built
    unread = [
        name
        for name in part.tensors
        if role_of(name) == "ReferenceNet" and name not in shapes and _denoisers(name) in shapes
    ]
    tensors = {name: tensor for name, tensor in part.tensors.items() if name not in unread}
    check_complete(part, tensors, {name: shape for name, shape in shapes.items() if role_of(name) in part.roles})
    return tensors, unread


def _complete(tensors: dict[str, Tensor], model: AnimationModel) -> list[str]:
    """Build the networks that no part provides, in the storage type of the denoiser; return what they are."""
    fresh, dtype = [], tensors["denoiser.conv_out.weight"].dtype
    missing = model.state_dict().keys() - tensors.keys()
    copied = {name: tensors[_denoisers(name)] for name in missing if role_of(name) == "ReferenceNet"}
    if copied:
        tensors |= copied
        fresh.append("ReferenceNet (a copy of the denoiser)")
    for what, networks in _new_networks(model).items():
        needed = {prefix: new for prefix, new in networks.items() if any(name.startswith(prefix) for name in missing)}
        if needed:
            tensors |= _build(needed, dtype)
            fresh.append(what)
    return fresh


def _denoisers(name: str) -> str:
    """The denoiser's key for one of the ReferenceNet."""
    return name.replace("reference.", "denoiser.", 1)


def _new_networks(model: AnimationModel) -> dict[str, dict[str, Callable[[], nn.Module]]]:
    """For every network that may be new: its name in the report → prefix of its tensors → how to build it."""
    config = model.config
    modules = {
        f"denoiser.{name}.": functools.partial(MotionModule, module.norm.num_channels, config.unet.motion_modules, nn)
        for name, module in model.denoiser.named_modules()
        if isinstance(module, MotionModule)
    }
    return {
        "motion modules (they start as the identity)": modules,
        "pose guider (its output starts at zero)": {"pose.": lambda: PoseGuider(config)},
        "object guider (blended in weakly at the start)": {"objects.": lambda: ObjectGuider(config)},
    }


def _build(networks: Mapping[str, Callable[[], nn.Module]], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of new networks, without touching anybody else's random numbers."""
    built = {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(FRESH_SEED)
        for prefix, build in networks.items():
            built |= {f"{prefix}{name}": tensor.to(dtype) for name, tensor in build().state_dict().items()}
    return built


def _some(names: Sequence[str]) -> str:
    """How many, and the first few."""
    shown = ", ".join(_short(name) for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"{len(names)} ({shown})" if names else "0"


def _short(name: str) -> str:
    """A key of ours without the network's name, so as files have it."""
    for prefix in ("denoiser.", "reference.", "pose.skeleton."):
        name = name.removeprefix(prefix)
    return name
