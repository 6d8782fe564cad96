"""Put the driving video's own pixels back wherever the model did not draw.

# Not in paper: the papers show the decoded latents, so that the whole environment is only as sharp as the VAE.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from ..errors import InputError
from .conditions import selected
from .streams import LazyFrames

SMALLEST_DIFFERENCE = 0.08  # of 0…1, after smoothing: what a good VAE does to a picture stays below
NOISE_QUANTILE = 0.9  # low enough that something drawn far from the mask does not pass for noise
NOISE_MARGIN = 2.0
KNOWN = 0.5  # a plate's pixel counts above it
STEADY_FRAMES = 2  # what is drawn outside the mask in one frame fades in and out over twice as many frames


@dataclass(frozen=True)
class SeenPlace:
    """The place where it has been seen, a frame after the other, and the new character in it.

    plates: pictures (H, W, 3) 0…1 and what is known of them (H, W) 0…1. mattes: (H, W) 0…1, 1 on the new character.
    """

    plates: Iterable[tuple[Tensor, Tensor]]
    mattes: Iterable[Tensor]


def paste_back(
    result: Tensor,
    driving: Tensor,
    mask: Tensor,
    feather: int = 4,
    grow: int | None = None,
    progress: bool = False,
    *,
    plate: Tensor | None = None,
    known: Tensor | None = None,
    matte: Tensor | None = None,
) -> Tensor:
    """Return `result` inside the generated region and `driving`'s exact pixels outside, (F, H, W, 3) 0…1.

    result, driving  (F, H, W, 3) 0…1.
    mask             (F, H, W) 0…1, the formulated mask; `result` is kept unmixed where it is `selected`.
    feather          width in pixels, outside the region, over which `result` fades into `driving`; 0 is a hard edge.
    grow             how far in pixels the region may reach out of the mask, to what the model drew there: shadows,
                     hair, a hand. None: an eighth of the shorter side; 0: the mask alone.
    plate            (F, H, W, 3) 0…1, the place without anybody (`perception.plate`); None: nothing of it is used.
    known            (F, H, W), above 0.5 where the plate shows it; None: everywhere.
    matte            (F, H, W) 0…1, 1 on the new character in `result`. Where it is 0 and the plate is known, the
                     plate's exact pixels are returned.

    Raises InputError where the shapes disagree, and for a plate without a matte or the other way round.
    """
    _check(result, driving, mask, feather, grow)
    _check_plate(driving, plate, known, matte)
    place = None
    if plate is not None:
        known = torch.ones_like(matte) if known is None else known
        place = SeenPlace(zip(plate, known, strict=True), matte)
    output = torch.empty_like(driving)
    for index, frame in enumerate(pasted_back(lambda: iter(result), driving, mask, feather, grow, progress, place)):
        output[index] = frame
    return output


def pasted_back(
    result: Callable[[], Iterator[Tensor]],
    driving: Tensor | LazyFrames,
    mask: Tensor | LazyFrames,
    feather: int = 4,
    grow: int | None = None,
    progress: bool = False,
    place: SeenPlace | None = None,
) -> Iterator[Tensor]:
    """`paste_back` frame by frame, for videos that are not in memory: yield (H, W, 3) 0…1, one for each of driving's.

    result: starts the frames (H, W, 3) of the result from the first, twice: what noise is is learnt from all of them
    before the first is put together. A few frames exist at once.
    """
    grow = min(driving.shape[1:3]) // 8 if grow is None else grow
    threshold = _noise_threshold(_together(result(), driving, mask), grow) if grow else None
    waiting: deque[tuple[Tensor, Tensor, Tensor]] = deque()  # frames that the ones after them still fade into

    def drawn() -> Iterator[Tensor]:
        for frames in _together(result(), driving, mask):
            waiting.append(frames)
            yield _drawn_outside(*frames, grow, threshold)

    seen = None if place is None else zip(place.plates, place.mattes, strict=True)
    with tqdm(total=len(driving), desc="paste back", unit="frame", disable=not progress or not grow) as bar:
        for weight in _fading(_widen_in_time(drawn()), feather):
            drew, original, inside = waiting.popleft()
            alpha = torch.maximum(_feather(inside, feather), weight).unsqueeze(-1)
            if seen is not None:
                (plate, known), matte = next(seen)
                if inside.any():
                    original, alpha = _in_place(original, alpha, plate, known, matte, feather)
            mixed = torch.lerp(original, drew, alpha)  # exact at 0 and 1 for finite frames
            yield torch.where(alpha > 0, mixed, original)
            bar.update()


def _in_place(
    original: Tensor, alpha: Tensor, plate: Tensor, known: Tensor, matte: Tensor, feather: int
) -> tuple[Tensor, Tensor]:
    """Return what stands behind the result, (H, W, 3), and the result's weight (H, W, 1), where a place has been seen.

    The plate stands behind where it is known, and counts fully `feather` pixels from where it is not.
    """
    unknown = known <= KNOWN
    behind = torch.where(unknown.unsqueeze(-1), original, plate)
    shown = (1 - _feather(unknown, feather)) * (1 - matte)
    return behind, alpha * (1 - shown).unsqueeze(-1)


def _together(
    result: Iterator[Tensor], driving: Tensor | LazyFrames, mask: Tensor | LazyFrames
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Frames of the result and of the driving video, and where the mask is on, bool (H, W)."""
    for drew, original, weights in zip(result, driving, mask, strict=True):
        yield drew, original, selected(weights)


def _drawn_outside(result: Tensor, driving: Tensor, inside: Tensor, grow: int, threshold: float | None) -> Tensor:
    """Return where (H, W) bool the model drew something outside the mask, connected to it within `grow` pixels."""
    if threshold is None:
        return torch.zeros_like(inside)
    differs = _difference(result, driving, inside) > threshold
    return _connected(_opened(differs | inside), inside, grow) & ~inside


def _difference(result: Tensor, driving: Tensor, inside: Tensor) -> Tensor:
    """Return how far two frames (H, W, 3) differ outside the mask, (H, W), the largest of the three channels.

    Differences are means over 3 × 3 pixels, so that noise cancels; pixels inside the mask take no part in them.
    """
    planes = rearrange(result.float() - driving.float(), "h w c -> c 1 h w")
    outside = (~inside)[None, None].float()
    sums = functional.avg_pool2d(planes * outside, 3, stride=1, padding=1)
    counts = functional.avg_pool2d(outside, 3, stride=1, padding=1).clamp(min=1 / 9)
    return (sums / counts).abs().amax(dim=(0, 1))


def _noise_threshold(frames: Iterator[tuple[Tensor, Tensor, Tensor]], grow: int) -> float:
    """Return the difference that is more than the VAE's noise: one value for the clip, so that it cannot flicker.

    Taken from the pixels that the region cannot reach, where nothing but the VAE can have changed anything.
    """
    levels = []
    for result, driving, inside in frames:
        far = ~_dilated(inside, grow)
        if far.sum() >= 64:
            levels.append(_difference(result, driving, inside)[far].quantile(NOISE_QUANTILE))
    if not levels:
        return SMALLEST_DIFFERENCE
    return max(SMALLEST_DIFFERENCE, NOISE_MARGIN * float(torch.stack(levels).median()))


def _connected(differs: Tensor, seed: Tensor, reach: int) -> Tensor:
    """Return the pixels (H, W) of `differs` that a path of at most `reach` pixels inside it joins to `seed`."""
    region = seed
    for _ in range(reach):
        grown = _dilated(region, 1) & (differs | seed)
        if torch.equal(grown, region):
            break
        region = grown
    return region


def _widen_in_time(drawn: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield frames (H, W) bool with every pixel set STEADY_FRAMES earlier and later too."""
    for near in _neighbourhoods(drawn):
        yield torch.stack(near).any(dim=0)


def _fading(drawn: Iterator[Tensor], feather: int) -> Iterator[Tensor]:
    """Yield per frame the weight (H, W) of what was drawn outside the mask, averaged over neighbours: a fade in time.

    `drawn` is widened in time already, so a pixel drawn in this very frame is drawn in all of them: weight 1.
    """
    for near in _neighbourhoods(_feather(frame, feather) for frame in drawn):
        yield sum(near) / len(near)


def _neighbourhoods(frames: Iterator[Tensor]) -> Iterator[list[Tensor]]:
    """For every frame, in order, the frames from STEADY_FRAMES before it to STEADY_FRAMES after it that exist."""
    recent, begun = deque(maxlen=2 * STEADY_FRAMES + 1), 0
    for begun, frame in enumerate(frames, start=1):
        recent.append(frame)
        if begun > STEADY_FRAMES:
            yield list(recent)
    for done in range(max(0, begun - STEADY_FRAMES), begun):
        yield list(recent)[-(begun - max(0, done - STEADY_FRAMES)) :]


def _feather(region: Tensor, width: int) -> Tensor:
    """Return weights (H, W): exactly 1 in the bool region, falling to exactly 0 at more than `width` pixels from it."""
    if width == 0 or not region.any():
        return region.float()
    near = width // 2
    wide = _dilated(region, near)[None, None].float()
    soft = functional.pad(wide, [width - near] * 4, mode="replicate")
    soft = functional.avg_pool2d(soft, 2 * (width - near) + 1, stride=1)[0, 0]
    return torch.where(region, 1.0, soft)


def _opened(region: Tensor) -> Tensor:
    """Remove what is thinner than 3 pixels, the width of an edge that the VAE moved."""
    return _dilated(~_dilated(~region, 1), 1)


def _dilated(region: Tensor, radius: int) -> Tensor:
    """Grow a bool region (H, W) by a square of `radius` pixels: shifted copies, tripling what they cover."""
    for axis, size in enumerate(region.shape):
        covered = 0
        while covered < min(radius, size - 1):
            shift = min(2 * covered + 1, radius - covered, size - 1)
            wider = region.clone()
            wider.narrow(axis, shift, size - shift).logical_or_(region.narrow(axis, 0, size - shift))
            wider.narrow(axis, 0, size - shift).logical_or_(region.narrow(axis, shift, size - shift))
            region, covered = wider, covered + shift
    return region


def _check(result: Tensor, driving: Tensor, mask: Tensor, feather: int, grow: int | None) -> None:
    if driving.ndim != 4 or result.shape != driving.shape:
        raise InputError(
            f"the result has shape {tuple(result.shape)}, the driving video {tuple(driving.shape)}; "
            "give equal (frames, height, width, 3)"
        )
    if mask.shape != driving.shape[:3]:
        raise InputError(f"the mask has shape {tuple(mask.shape)}; the driving video needs {tuple(driving.shape[:3])}")
    if feather < 0 or (grow is not None and grow < 0):
        raise InputError(f"feather is {feather} and grow {grow} pixels; give 0 or more")


def _check_plate(driving: Tensor, plate: Tensor | None, known: Tensor | None, matte: Tensor | None) -> None:
    if (plate is None) != (matte is None) or (plate is None and known is not None):
        given = [name for name, value in (("plate", plate), ("known", known), ("matte", matte)) if value is not None]
        raise InputError(f"of the seen place only {' and '.join(given)} is given: plate and matte go together")
    wanted = {"plate": driving.shape, "known": driving.shape[:3], "matte": driving.shape[:3]}
    for name, value in (("plate", plate), ("known", known), ("matte", matte)):
        if value is not None and value.shape != wanted[name]:
            raise InputError(f"{name} has shape {tuple(value.shape)}; the driving video needs {tuple(wanted[name])}")
