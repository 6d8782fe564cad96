"""The pictures beside the example workflows: each shows what its workflow is about, and none looks like another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from inhabit.scenes import render_scene
from PIL import Image, ImageDraw

from .prompts import Output, inputs_of, number_of, pictures
from .server import ComfyServer

SIDE = 512  # pixels
WHITE = (255, 255, 255)
BARS = [(226, 88, 62), (58, 134, 200), (240, 170, 40), (92, 168, 92), (150, 100, 180), (80, 190, 190)]
SCENE = "InhabitSampleScene"
Frames = dict[str, np.ndarray]  # name → uint8 (F, H, W, 3)


def draw(server: ComfyServer, name: str, prompt: dict) -> Image.Image:
    """Run a workflow and return its thumbnail, SIDE x SIDE. Raises AssertionError where the run fails."""
    outputs, picture = DRAWN[name]
    wanted = {key: (number_of(prompt, node), slot) for key, (node, slot) in outputs.items()}
    return picture(pictures(server, prompt, wanted)[0], prompt)


def four(*names: str) -> Callable[[Frames, dict], Image.Image]:
    """The middle frames of four videos, two by two."""

    def picture(made: Frames, prompt: dict) -> Image.Image:
        return tiled([middle(made[name]) for name in names], 2)

    return picture


def halves(left: str, right: str) -> Callable[[Frames, dict], Image.Image]:
    """One picture, parted down its middle: the left half of one video, the right half of another.

    Of the frame in which the character is nearest to the middle.
    """

    def picture(made: Frames, prompt: dict) -> Image.Image:
        shown = render_scene(**inputs_of(prompt, SCENE)).character > 127
        places = [np.nonzero(mask)[1].mean() if mask.any() else np.inf for mask in shown]
        index = int(np.abs(np.array(places) - shown.shape[2] / 2).argmin())
        whole, other = fitted(made[left][index]), fitted(made[right][index])
        whole.paste(other.crop((SIDE // 2, 0, SIDE, SIDE)), (SIDE // 2, 0))
        ImageDraw.Draw(whole).line([(SIDE // 2, 0), (SIDE // 2, SIDE)], WHITE, 6)
        return whole

    return picture


def stacked(above: str, below: str, mask: str) -> Callable[[Frames, dict], Image.Image]:
    """Two videos above each other, twice as wide as high, enlarged around what one of the scene's masks shows."""

    def picture(made: Frames, prompt: dict) -> Image.Image:
        shown = getattr(render_scene(**inputs_of(prompt, SCENE)), mask) > 127
        index = int(shown.sum(axis=(1, 2)).argmax())
        rows, columns = np.nonzero(shown[index])
        height, width = shown.shape[1:]
        high = min(width // 2, max(int(np.ptp(rows)), int(np.ptp(columns)) // 2) + height // 4)
        box = around(rows.mean(), columns.mean(), high, 2 * high, height, width)
        whole = Image.new("RGB", (SIDE, SIDE), WHITE)
        for number, name in enumerate((above, below)):
            part = Image.fromarray(made[name][index]).crop(box)
            whole.paste(part.resize((SIDE, SIDE // 2 - 3), Image.Resampling.LANCZOS), (0, number * (SIDE // 2 + 3)))
        return whole

    return picture


def inset(made: Frames, prompt: dict) -> Image.Image:
    """The result, with the character's picture in a corner."""
    whole = fitted(middle(made["result"]))
    small = Image.fromarray(made["reference"][0]).resize((SIDE // 3, SIDE // 3), Image.Resampling.LANCZOS)
    whole.paste(Image.new("RGB", (SIDE // 3 + 12, SIDE // 3 + 12), WHITE), (0, 0))
    whole.paste(small, (6, 6))
    return whole


def slices(made: Frames, prompt: dict) -> Image.Image:
    """A film strip: four moments of the result, cut around the character."""
    frames = made["result"]
    whole = Image.new("RGB", (SIDE, SIDE), WHITE)
    wide = SIDE // 4
    for number in range(4):
        frame = fitted(frames[(2 * number + 1) * len(frames) // 8])
        whole.paste(frame.crop((SIDE * 3 // 8 - 10, 0, SIDE * 5 // 8 - 16, SIDE)), (number * wide + 3, 0))
    return whole


def from_noise(made: Frames, prompt: dict) -> Image.Image:
    """The result under less and less noise, as a sampler sees it."""
    frame = middle(made["result"]).astype(float)
    noise = np.random.default_rng(0).normal(127, 70, frame.shape)
    mixed = [noise * share + frame * (1 - share) for share in (1, 0.65, 0.3, 0)]
    return tiled([picture.clip(0, 255).astype(np.uint8) for picture in mixed], 2)


def windows(made: Frames, prompt: dict) -> Image.Image:
    """Nine moments of a long video over its windows, drawn as bars that overlap."""
    return _long(made["result"], prompt, columns=3, overlapping=True)


def clips(made: Frames, prompt: dict) -> Image.Image:
    """Four moments of a long video over its clips, drawn as bars one after another."""
    return _long(made["result"], prompt, columns=2, overlapping=False)


def _long(frames: np.ndarray, prompt: dict, columns: int, overlapping: bool) -> Image.Image:
    bars = 96
    count = columns**2
    chosen = [frames[(2 * number + 1) * len(frames) // (2 * count)] for number in range(count)]
    whole = Image.new("RGB", (SIDE, SIDE), WHITE)
    whole.paste(tiled(chosen, columns).resize((SIDE, SIDE - bars), Image.Resampling.LANCZOS))
    settings = inputs_of(prompt, "InhabitWindowedSampler")
    length, overlap = settings["length"], settings["overlap"]
    pen = ImageDraw.Draw(whole)
    for number, start in enumerate(range(0, len(frames) - overlap, length - overlap)):
        first = start if overlapping or not start else start + overlap
        left, right = (SIDE * frame // len(frames) for frame in (first, min(start + length, len(frames))))
        top = SIDE - bars + 14 + (number % 2 * 38 if overlapping else 19)
        pen.rounded_rectangle((left + 2, top, right - 2, top + 30), 8, BARS[number % len(BARS)])
    return whole


def middle(frames: np.ndarray) -> np.ndarray:
    return frames[len(frames) // 2]


def fitted(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def tiled(frames: list[np.ndarray], columns: int) -> Image.Image:
    """Return frames in rows of so many, SIDE x SIDE in all."""
    side = SIDE // columns
    whole = Image.new("RGB", (SIDE, SIDE), WHITE)
    for number, frame in enumerate(frames):
        small = Image.fromarray(frame).resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(small, (number % columns * side, number // columns * side))
    return whole


def around(y: float, x: float, high: int, wide: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the box of this size around a point, moved inside the picture, as PIL has it."""
    top = min(max(0, round(y - high / 2)), height - high)
    left = min(max(0, round(x - wide / 2)), width - wide)
    return left, top, left + wide, top + high


DECODED = ("VAEDecode", 0)
PASTED = ("InhabitPasteBack", 0)
DRIVING, SKELETON = (SCENE, 1), ("InhabitSkeletonRenderer", 0)
DRAWN: dict[str, tuple[dict[str, Output], Callable[[Frames, dict], Image.Image]]] = {
    "first-animation": (
        {"reference": (SCENE, 0), "driving": DRIVING, "skeleton": SKELETON, "result": DECODED},
        four("reference", "driving", "skeleton", "result"),
    ),
    "replace-the-sample-with-your-video": ({"driving": DRIVING, "result": PASTED}, halves("driving", "result")),
    "animate-in-one-node": ({"reference": (SCENE, 0), "result": PASTED}, inset),
    "object-interaction": (
        {"without": ("Without, decoded", 0), "held": ("With, decoded", 0)},
        stacked("without", "held", "object"),
    ),
    "hand-sharpness": (
        {"sharp": ("Sharp, decoded", 0), "blurred": ("Blurred, decoded", 0)},
        stacked("sharp", "blurred", "hands"),
    ),
    "long-video-windows": ({"result": PASTED}, windows),
    "long-video-clips": ({"result": PASTED}, clips),
    "lora": (
        {"without": ("Without, decoded", 0), "changed": ("With, decoded", 0)},
        stacked("without", "changed", "character"),
    ),
    "ksampler": ({"result": DECODED}, slices),
    "custom-sampler-primitives": ({"result": DECODED}, from_noise),
    "masks-only": (
        {
            "skeleton": SKELETON,
            "background": ("Character blanked", 0),
            "mask": ("Character mask", 0),
            "face": ("InhabitHandFaceRegions", 3),
        },
        four("skeleton", "background", "mask", "face"),
    ),
}
