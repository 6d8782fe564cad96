"""What several commands have in common."""

from __future__ import annotations

import argparse
import textwrap

from .. import cli_values as values


def command(commands, name: str, summary: str, description: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 100),
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name, unread={})
    return parser


def add_scene_shape(parser: argparse.ArgumentParser, frames: int) -> None:
    parser.add_argument(
        "--kind", default="walk", help="walk, reach, object, handface, dance, pass or fasthands (default walk)"
    )
    parser.add_argument("--frames", type=int, default=frames, metavar="N", help=f"length (default {frames})")
    parser.add_argument(
        "--size", type=values.size, default=(128, 128), metavar="WxH", help="96 to 512 pixels a side (default 128x128)"
    )


def add_person(group) -> None:
    group.add_argument(
        "--person",
        default="largest",
        metavar="N|X,Y",
        help="which of several people is replaced: the Nth from the left in the first frame that shows as many, or the "
        "one at a pixel of the driving video; the others stay (default: the largest)",
    )


def add_dtype(parser) -> argparse.Action:
    return parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32, on cuda bfloat16"
    )
