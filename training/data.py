"""Training batches as pure functions of (seed, rank, step)."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError
from ..media.arrays import resize
from ..media.opencv import cv2
from ..media.pose import PARTS, Pose, parse_poses
from ..perception.masks import shape_agnostic_mask
from ..perception.motion_blur import blur_maps, measure_hand_blur
from ..perception.skeleton import render_skeleton, structured_depth
from ..scenes import HELD_OUT_SEED, KINDS, Scene, SceneRenderer
from ..scenes.files import read_meta, read_scene, require_files
from ..weights.companions import CLIP_MEAN, CLIP_STD, clip_pixels
from . import augmentation
from .augmentation import Clip
from .recipe import DataRecipe, Recipe, StageRecipe

logger = logging.getLogger(__name__)

T = TypeVar("T")
SYSTEM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}  # no fault of the file that is read


@dataclass(frozen=True)
class Batch:
    """Pixels of B clips of F frames. Pictures and masks are uint8 0…255 (masks: 255 = generate here / inside)."""

    target_BFHWC: Tensor
    reference_BHWC: Tensor
    driving_BFHWC: Tensor  # environment and objects are cut from it
    skeleton_BFHWC: Tensor
    depth_BFHW: Tensor  # structured depth, float32 0…1
    blur_BFHWC: Tensor  # motion-blur maps of the target's hands, float32 0…1
    mask_BFHW: Tensor  # formulated mask
    object_BFHW: Tensor
    character_BFHW: Tensor  # the target's own character, hands and face
    hands_BFHW: Tensor
    face_BFHW: Tensor
    portrait_BHWC: Tensor | None = None  # for CLIP: the whole reference, squashed to 224 x 224 from its own size


@dataclass(frozen=True)
class Pictures:
    """Single pictures for the autoencoder, uint8 0…255."""

    pictures_BHWC: Tensor


class ClipSource(Protocol):
    """Where clips come from."""

    def clip(self, rng: Generator, frames: int, consecutive: bool) -> Clip:
        """F frames of one scene chosen by `rng`."""


class RenderedScenes:
    """Clips rendered on demand: only the frames used are drawn.

    Raises InputError for kinds or sizes that cannot be rendered.
    """

    def __init__(self, recipe: DataRecipe) -> None:
        self.recipe = recipe
        self.kinds = recipe.kinds or KINDS
        for kind in self.kinds:  # a wrong value is told here, not out of a worker process
            SceneRenderer(recipe.seeds[0], kind, recipe.width, recipe.height, 1)

    def clip(self, rng: Generator, frames: int, consecutive: bool) -> Clip:
        """A clip of a random training scene; see `DataRecipe.cross_identity` and `.reference_from_video`."""
        recipe = self.recipe
        seed, kind = int(rng.integers(*recipe.seeds)), self.kinds[int(rng.integers(len(self.kinds)))]
        shutter = float(rng.uniform(*recipe.shutter)) if recipe.shutter[0] < recipe.shutter[1] else recipe.shutter[0]
        scene = SceneRenderer(seed, kind, recipe.width, recipe.height, recipe.scene_frames, shutter)
        indices = choose_frames(rng, recipe.scene_frames, frames, consecutive)
        driving = [scene.frame(index, "A") for index in indices]
        cross = rng.random() < recipe.cross_identity
        target = [scene.frame(index, "B") for index in indices] if cross else driving
        if not cross and rng.random() < recipe.reference_from_video:
            other = scene.frame(int(rng.integers(recipe.scene_frames)), "A")
            reference = _cut_out(rng, other.image, other.character, scene.reference("A"))
        else:
            reference = scene.reference("B" if cross else "A")
        pictures = _stack(driving, "image")
        return Clip(
            driving=pictures,
            target=_stack(target, "image") if cross else pictures,
            reference=reference,
            depth=_stack(driving, "depth").astype(np.float32),
            character=_stack(driving, "character"),
            object=_stack(driving, "object"),
            target_character=_stack(target, "character"),
            hands=_stack(target, "hands"),
            face=_stack(target, "face"),
            poses=parse_poses([scene.pose(index) for index in indices], recipe.width, recipe.height),
            before=poses_before(scene.pose, scene.frames, indices, recipe.width, recipe.height),
        )


class FolderScenes:
    """Clips of scene folders written by `inhabit scene` (or of the same layout).

    A scene that is damaged is named in a warning and left out: where it is drawn, the next whole one is taken, so that
    a step has the same clips whenever and in whichever process the fault is found.

    Raises InputError when there is no scene, or no whole one; for one of another size than the recipe's, with a
    held-out seed, or with fewer frames than a stage needs; and where the system fails, not the scene.
    """

    def __init__(self, recipe: DataRecipe, frames: int) -> None:
        self.recipe, self.frames = recipe, frames
        self.folders = sorted(path.parent for path in Path(recipe.folder or "").glob("**/meta.json"))
        self.broken: dict[Path, str] = {}
        if not self.folders:
            raise InputError(f"data.folder {recipe.folder} holds no scene; write some with `inhabit scene`")
        for folder in self.folders:
            meta = self._unless_damaged(_read_head, folder)
            if meta is not None:
                self._check(folder, meta)

    def _check(self, folder: Path, meta: dict) -> None:
        if meta.get("held_out") or meta.get("seed", 0) >= HELD_OUT_SEED:
            raise InputError(f"{folder} has the held-out seed {meta.get('seed')}: train on seeds below {HELD_OUT_SEED}")
        size, wanted = f"{meta['width']}x{meta['height']}", f"{self.recipe.width}x{self.recipe.height}"
        if size != wanted:
            raise InputError(f"{folder} is {size}, the recipe says {wanted}: set data.width and data.height")
        if meta["frames"] < self.frames:
            raise InputError(
                f"{folder} has {meta['frames']} frames, a stage needs {self.frames}: lower the stage's frames"
            )

    def _unless_damaged(self, reading: Callable[[Path], T], folder: Path) -> T | None:
        """What `reading` makes of a scene folder; None for a damaged one, which is left out from now on.

        Raises InputError where the system fails (too many open files, say): another time the scene could be read, and
        the step would have other clips.
        """
        try:
            return reading(folder)
        except OSError as error:
            failure = error
        except InputError as error:
            failure = error.__cause__
            if getattr(failure, "errno", None) not in SYSTEM:
                self._leave_out(folder, error)
                return None
        raise InputError(f"{folder} cannot be read now, {_line(failure)}: mend that, and go on with --resume") from None

    def _leave_out(self, folder: Path, error: InputError) -> None:
        """Raises InputError when no scene is left."""
        self.broken[folder] = _line(error)
        if len(self.broken) < len(self.folders):
            logger.warning("the scene %s is left out: %s", folder, self.broken[folder])
            return
        first = self.broken[self.folders[0]]
        if len(self.folders) > 1:
            first = f"none of the {len(self.folders)} scenes in {self.recipe.folder} can be read; the first: {first}"
        raise InputError(first) from None

    def _read(self, index: int) -> Scene:
        """The scene with this index, or the next whole one. Raises InputError when there is none."""
        for folder in self.folders[index:] + self.folders[:index]:
            scene = None if folder in self.broken else self._unless_damaged(self._readable, folder)
            if scene is not None:
                return scene
        raise InputError(f"no scene in {self.recipe.folder} can be read")

    def _readable(self, folder: Path) -> Scene:
        """Raises InputError for a scene that is not what its meta.json says, or that shows the character nowhere."""
        scene, recipe = read_scene(folder), self.recipe
        frames, height, width = scene.driving.shape[:3]
        if (width, height) != (recipe.width, recipe.height) or frames < self.frames:
            raise InputError(f"the videos in {folder} are {width}x{height} of {frames} frames: write the scene again")
        parse_poses(scene.pose, width, height)
        if not augmentation.mostly(scene.character).any():
            mask, count = folder / "mask.mkv", len(scene.character)
            raise InputError(f"{mask} shows the character in none of its {count} frames: mark it white there")
        return scene

    def clip(self, rng: Generator, frames: int, consecutive: bool) -> Clip:
        """A clip of a random folder; its reference is cut from a frame with the character, or shows the other one."""
        scene = self._read(int(rng.integers(len(self.folders))))
        height, width = scene.driving.shape[1:3]
        chosen = choose_frames(rng, len(scene.driving), frames, consecutive)
        cross = rng.random() < self.recipe.cross_identity
        shown = np.flatnonzero(augmentation.mostly(scene.character).any(axis=(1, 2)))
        other = int(shown[rng.integers(len(shown))])
        cut = None if cross else augmentation.reference_from_frame(rng, scene.driving[other], scene.character[other])
        pictures = scene.driving[chosen]
        return Clip(
            driving=pictures,
            target=scene.target[chosen] if cross else pictures,
            reference=scene.reference if cut is None else cut,
            depth=scene.depth[chosen].astype(np.float32),
            character=scene.character[chosen],
            object=scene.object[chosen],
            target_character=(scene.target_character if cross else scene.character)[chosen],
            hands=scene.hands[chosen],
            face=scene.face[chosen],
            poses=parse_poses([scene.pose[index] for index in chosen], width, height),
            before=poses_before(scene.pose.__getitem__, len(scene.pose), chosen, width, height),
        )


def _read_head(folder: Path) -> dict:
    """A scene folder's meta.json. Raises InputError where a file is missing."""
    require_files(folder)
    return read_meta(folder)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def choose_frames(rng: Generator, available: int, frames: int, consecutive: bool) -> list[int]:
    """`frames` indices below `available`: consecutive from a random start, or distinct and sorted."""
    if consecutive:
        start = int(rng.integers(available - frames + 1))
        return list(range(start, start + frames))
    return sorted(int(index) for index in rng.choice(available, frames, replace=False))


def poses_before(
    pose_at: Callable[[int], dict], available: int, indices: Sequence[int], width: int, height: int
) -> list[list[Pose]]:
    """The poses one frame before each; the first frame's gives it the movement of the next, as at inference."""
    wanted = [max(index - 1, 0) for index in indices]
    if 0 not in indices:
        return parse_poses([pose_at(index) for index in wanted], width, height)
    *poses, first, second = parse_poses([pose_at(i) for i in (*wanted, 0, min(1, available - 1))], width, height)
    mirrored = [_mirrored_in_time(*pair) for pair in zip(first, second, strict=False)]
    return [mirrored if index == 0 else pose for index, pose in zip(indices, poses, strict=True)]


def _mirrored_in_time(now: Pose, later: Pose) -> Pose:
    """The pose that moves to `now` as `now` moves to `later`; points that are missing in either are missing."""

    def mirrored(here: np.ndarray, there: np.ndarray) -> np.ndarray:
        both = (here[:, 2:] > 0) & (there[:, 2:] > 0)
        return np.where(both, np.column_stack([2 * here[:, :2] - there[:, :2], here[:, 2]]), 0.0).astype(np.float32)

    return Pose(**{part: mirrored(getattr(now, part), getattr(later, part)) for part in PARTS})


def _stack(frames: list, name: str) -> np.ndarray:
    return np.stack([getattr(frame, name) for frame in frames])


def _cut_out(rng: Generator, image: np.ndarray, mask: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    if not augmentation.mostly(mask).any():
        return otherwise
    return augmentation.reference_from_frame(rng, image, mask)


def _fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return resize(image[None], width, height)[0]


def _crop(rng: Generator, picture: np.ndarray, side: int, around: np.ndarray | None) -> np.ndarray:
    """A random square of a picture; around (H, W) bool: with one of its pixels in the middle, as far as that goes."""
    limits = [length - side for length in picture.shape[:2]]
    if around is None or not around.any():
        top, left = (int(rng.integers(limit + 1)) for limit in limits)
    else:
        middle = np.argwhere(around)[rng.integers(around.sum())]
        top, left = (int(np.clip(at - side // 2, 0, limit)) for at, limit in zip(middle, limits, strict=True))
    return picture[top : top + side, left : left + side]


def _portrait(image: np.ndarray) -> Tensor:
    """(224, 224, 3) uint8: what CLIP reads of a reference (H, W, 3), before it is normalised."""
    pixels_CHW = clip_pixels(torch.from_numpy(image).unsqueeze(0) / 255).squeeze(0)
    return _bytes(pixels_CHW.movedim(0, -1) * torch.tensor(CLIP_STD) + torch.tensor(CLIP_MEAN))


class StepBatches(Dataset):
    """Map-style dataset over global steps: item `step` is that step's Batch, whoever asks and in any order.

    typical_sharpness: the model's, see `PoseGuiderConfig`.
    """

    def __init__(self, recipe: Recipe, rank: int, typical_sharpness: float) -> None:
        self.recipe, self.rank, self.typical_sharpness = recipe, rank, typical_sharpness
        longest = max(stage.frames for stage in recipe.stages)
        folder = recipe.data.folder
        self.source: ClipSource = FolderScenes(recipe.data, longest) if folder else RenderedScenes(recipe.data)

    def __len__(self) -> int:
        return self.recipe.steps

    def __getitem__(self, step: int) -> Batch | Pictures:
        if not 0 <= step < len(self):
            raise IndexError(step)
        stage = self.recipe.stages[self.recipe.stage_at(step)[0]]
        streams = [np.random.default_rng([self.recipe.seed, self.rank, step, clip]) for clip in range(stage.clips)]
        if stage.kind == "autoencoder":
            return Pictures(torch.from_numpy(np.concatenate([self._crops(stage, rng) for rng in streams])))
        clips = [self._clip(stage, rng) for rng in streams]
        return Batch(*(torch.stack(values) for values in zip(*clips, strict=True)))

    def _crops(self, stage: StageRecipe, rng: Generator) -> np.ndarray:
        """Random crops (F, side, side, 3) of a clip's frames and its reference, half of them mirrored."""
        clip = self.source.clip(rng, max(stage.frames - 1, 1), consecutive=False)
        height, width = clip.target.shape[1:3]
        pictures = [*clip.target, _fit(clip.reference, width, height)][-stage.frames :]
        characters = [*clip.target_character, np.zeros((height, width), np.uint8)][-stage.frames :]
        side = min(stage.pictures.crop, height, width)
        crops = []
        for picture, character in zip(pictures, characters, strict=True):
            on_character = rng.random() < stage.pictures.on_character
            crop = _crop(rng, picture, side, augmentation.mostly(character) if on_character else None)
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        return np.stack(crops)

    def _clip(self, stage: StageRecipe, rng: Generator) -> tuple[Tensor, ...]:
        clip = self.source.clip(rng, stage.frames, consecutive=stage.kind == "temporal")
        options = stage.augmentation
        if rng.random() < options.flip:
            clip = augmentation.flip(clip)
        factor = rng.uniform(*options.scale_range) if rng.random() < options.scale else None
        mask = _formulated_mask(clip, augmentation.random_blocks(rng, clip.character, options.inference_blocks))
        if factor is not None:
            clip = augmentation.scale_character(clip, factor)
        if options.blur_hands and rng.random() < options.blur_hands:
            clip = augmentation.blur_hands(clip, rng.uniform(*options.blur_range))
        return self._pixels(augmentation.same_outside(clip, mask.numpy()), mask)

    def _pixels(self, clip: Clip, mask: Tensor) -> tuple[Tensor, ...]:
        """The fields of a Batch, of one clip."""
        height, width = clip.driving.shape[1:3]
        skeleton = render_skeleton(clip.poses, width, height)
        depth = structured_depth(torch.from_numpy(clip.depth), skeleton)
        pictures = (clip.target, _fit(clip.reference, width, height), clip.driving)
        regions = (clip.object, clip.target_character, clip.hands, clip.face)
        target, typical = torch.from_numpy(clip.target).float() / 255, self.typical_sharpness
        blur = measure_hand_blur(clip.poses, width, height, target, before=clip.before, typical=typical)
        planes = (_bytes(skeleton), depth, blur_maps(blur, width, height), _bytes(mask))
        portrait = () if self.recipe.clip_vision is None else (_portrait(clip.reference),)
        return (*map(torch.from_numpy, pictures), *planes, *map(torch.from_numpy, regions), *portrait)


def _formulated_mask(clip: Clip, blocks: tuple[int, int] | None) -> Tensor:
    """(F, H, W), 0 or 1 (AA2 §3.2, eq. 2)."""
    character = torch.from_numpy(clip.character).float() / 255
    return shape_agnostic_mask(character, *(blocks or (None, None)), augmentation.INFERENCE_BLOCK_PX)


def _bytes(values: Tensor) -> Tensor:
    return (values * 255).round().to(torch.uint8)


def batches(data: StepBatches, start: int) -> DataLoader:
    """Batches of steps start … end in order; resuming is starting elsewhere. Worker processes use one thread each."""
    recipe = data.recipe
    options = {}
    if recipe.workers:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"  # Windows
        options = {"prefetch_factor": 2, "multiprocessing_context": method, "worker_init_fn": _start_worker}
    return DataLoader(data, batch_size=None, sampler=range(start, recipe.steps), num_workers=recipe.workers, **options)


def read(loader: Iterable[Batch | Pictures]) -> Iterator[Batch | Pictures]:
    """The loader's batches. An InputError out of a worker process comes without the worker's traceback."""
    try:
        yield from loader
    except InputError as error:
        raise InputError(str(error).rpartition(f"{InputError.__module__}.InputError: ")[2].strip()) from None


def _start_worker(worker: int) -> None:
    """One thread; and Ctrl-C, which a terminal sends to every process, is the trainer's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def to_device(batch: Batch | Pictures, device: torch.device) -> dict[str, Tensor]:
    """Float tensors 0…1 on `device`, by field name."""
    given = {field.name: getattr(batch, field.name) for field in fields(batch)}
    moved = {name: value.to(device) for name, value in given.items() if value is not None}
    return {name: value.float() / 255 if value.dtype == torch.uint8 else value for name, value in moved.items()}
