"""How a puppet looks: build, colours, hair, face and clothes, drawn at random from a structured palette."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drawing import Colour

# Well separated colours; a character's colour is one of these plus a small jitter.
SKINS: tuple[Colour, ...] = (
    (255, 224, 200), (244, 200, 166), (226, 172, 130), (198, 138, 96), (158, 102, 68), (116, 74, 50), (88, 56, 42),
    (236, 186, 150),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (38, 32, 36), (92, 56, 36), (150, 92, 48), (226, 178, 92), (246, 226, 160), (190, 70, 36), (168, 168, 176),
    (240, 240, 240), (226, 96, 150), (70, 110, 200), (60, 160, 150), (126, 74, 170),
)  # fmt: skip
TOPS: tuple[Colour, ...] = (
    (214, 52, 52), (240, 132, 48), (250, 204, 60), (120, 186, 70), (36, 132, 88), (60, 184, 190), (58, 116, 206),
    (54, 62, 130), (136, 84, 186), (236, 120, 170), (246, 242, 232), (58, 58, 66), (150, 96, 62), (160, 170, 184),
)  # fmt: skip
BOTTOMS: tuple[Colour, ...] = (
    (48, 72, 130), (92, 132, 190), (52, 52, 60), (126, 88, 60), (214, 190, 148), (240, 236, 228), (110, 118, 76),
    (150, 40, 60), (40, 110, 104), (130, 132, 142), (210, 130, 60), (106, 70, 140),
)  # fmt: skip
SHOES: tuple[Colour, ...] = (
    (60, 48, 46), (236, 234, 230), (196, 54, 50), (52, 84, 150), (236, 180, 60), (120, 78, 50), (70, 140, 100),
    (120, 120, 130),
)  # fmt: skip
EYES: tuple[Colour, ...] = ((70, 44, 30), (40, 92, 140), (60, 120, 80), (48, 48, 56), (130, 90, 40))

HAIR_STYLES = ("short", "bob", "long", "ponytail", "bun", "spiky", "curly", "cap", "sidepart")
TOP_PATTERNS = ("plain", "stripes", "belt", "emblem", "panel", "vest", "yoke")
BOTTOM_KINDS = ("trousers", "trousers", "shorts", "skirt", "dress")
SLEEVES = ("long", "long", "short", "sleeveless")


@dataclass(frozen=True)
class Character:
    """Appearance of one puppet. Lengths are relative factors (1 = average); colours are RGB 0…255."""

    skin: Colour
    hair: Colour
    hair_style: str
    top: Colour
    accent: Colour
    pattern: str
    bottom: Colour
    bottom_kind: str
    shoes: Colour
    sleeves: str
    eyes: Colour
    eye_size: float
    brow: float
    smile: float
    lips: Colour
    blush: bool
    glasses: bool
    beard: bool
    thickness: float
    shoulders: float
    waist: float
    hips: float
    head: float


def _jitter(rng: np.random.Generator, colour: Colour, amount: int = 7) -> Colour:
    return tuple(int(v) for v in np.clip(np.array(colour) + rng.integers(-amount, amount + 1, 3), 0, 255))


def _choose(rng: np.random.Generator, palette: tuple[Colour, ...], *avoid: Colour, distance: float = 110.0) -> Colour:
    """A palette colour at least `distance` (Euclidean RGB) from every colour to avoid, jittered."""
    fits = [c for c in palette if all(np.linalg.norm(np.subtract(c, other)) >= distance for other in avoid)]
    fits = fits or list(palette)
    return _jitter(rng, fits[rng.integers(len(fits))])


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[rng.integers(len(options))]


def make_character(rng: np.random.Generator, other: Character | None = None) -> Character:
    """Draw a character; with `other` given, top, bottom and hair colours clearly differ from that character's."""
    skin = _choose(rng, SKINS)
    top = _choose(rng, TOPS, skin, *([other.top] if other else []))
    bottom = _choose(rng, BOTTOMS, top, skin, *([other.bottom] if other else []), distance=80.0)
    hair = _choose(rng, HAIRS, skin, *([other.hair] if other else []), distance=80.0)
    red = np.array(skin) * 0.62 + np.array((196, 48, 60)) * 0.38
    return Character(
        skin=skin,
        hair=hair,
        hair_style=_pick(rng, HAIR_STYLES),
        top=top,
        accent=_choose(rng, TOPS, top, skin),
        pattern=_pick(rng, TOP_PATTERNS),
        bottom=bottom,
        bottom_kind=_pick(rng, BOTTOM_KINDS),
        shoes=_choose(rng, SHOES, bottom, distance=60.0),
        sleeves=_pick(rng, SLEEVES),
        eyes=_choose(rng, EYES),
        eye_size=float(rng.uniform(0.92, 1.2)),
        brow=float(rng.uniform(0.7, 1.4)),
        smile=float(rng.uniform(0, 1)),
        lips=tuple(int(v) for v in red),
        blush=bool(rng.random() < 0.5),
        glasses=bool(rng.random() < 0.18),
        beard=bool(rng.random() < 0.15),
        thickness=float(rng.uniform(0.86, 1.22)),
        shoulders=float(rng.uniform(0.9, 1.12)),
        waist=float(rng.uniform(0.8, 1.12)),
        hips=float(rng.uniform(0.9, 1.12)),
        head=float(rng.uniform(0.95, 1.07)),
    )
