"""What the command line's options are given as text → their values. Raises argparse.ArgumentTypeError, in one line."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

PERCEIVED = ("pose", "mask", "depth")
USUALLY_PERCEIVED = ("pose", "mask")


def gamma(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no gamma: give a number above 0 and up to 1, or auto") from None


def lora(text: str) -> tuple[Path, float]:
    """FILE or FILE:STRENGTH; what stands behind a colon and is no number belongs to the file's name."""
    name, _, strength = text.rpartition(":")
    try:
        given = float(strength)
    except ValueError:
        return Path(text), 1.0
    if not name or not math.isfinite(given):
        raise argparse.ArgumentTypeError(f"{text!r} is no LoRA: give FILE or FILE:STRENGTH, e.g. film.safetensors:0.8")
    return Path(name), given


def perceived_parts(text: str) -> tuple[str, ...]:
    """Some of PERCEIVED, with commas between them."""
    parts = tuple(part.strip() for part in text.split(","))
    unknown = [part for part in parts if part not in PERCEIVED]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} cannot be perceived: give {','.join(PERCEIVED)} or one of them"
        )
    return parts


def labelled_video(text: str) -> tuple[str, Path]:
    """NAME=VIDEO, whose video may have a "=" in its name; a video without a label is its own."""
    name, equals, path = text.partition("=")
    return (name or path, Path(path)) if equals and not Path(text).exists() else (text, Path(text))


def size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give WIDTHxHEIGHT in pixels, e.g. 128x192")
    return int(width), int(height)


def shard(text: str) -> tuple[int, int]:
    """I/N, 1 ≤ I ≤ N."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: give I/N, e.g. 1/4 to 4/4")
    return int(part), int(parts)
