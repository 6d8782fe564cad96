"""Numbers and pictures of results: `bench`, `report`, `sheet`."""

from __future__ import annotations

from pathlib import Path

from .. import cli_values as values
from .shared import add_dtype, command


def add_bench(commands) -> None:
    parser = command(
        commands,
        "bench",
        "time and memory next to diffusers' own network",
        "Time one denoising step of a preset with random weights, plain, with the reference and with all conditions, "
        "next to diffusers' UNetMotionModel of the same weights and shapes: seconds, ratio, peak memory of loading and "
        "one step, and the share of what the device can multiply. The weights of sd15 take 14 GB in the temporary "
        "folder (TMPDIR) meanwhile, half of it in half precision.",
        "inhabit bench --preset sd15 --dtype bfloat16 --out bench.json",
    )
    of_a_step = (
        parser.add_argument("--preset", choices=("puppets", "sd15"), default="puppets", help="default puppets"),
        parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one"),
        add_dtype(parser),
        parser.add_argument(
            "--size", type=values.size, default=(256, 256), metavar="WxH", help="of a frame (default 256x256)"
        ),
        parser.add_argument("--frames", type=int, default=8, metavar="N", help="of the clip (default 8)"),
        parser.add_argument(
            "--rounds", type=int, default=3, metavar="N", help="of which the median is told (default 3)"
        ),
        parser.add_argument("--compile", action="store_true", help="run both networks through torch.compile"),
    )
    lengths = parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        metavar="SECONDS",
        help="measure instead the peak memory of animating 1080p videos of so many seconds at 128x72, e.g. 20 200",
    )
    parser.set_defaults(unread={lengths: of_a_step})
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the numbers there, too")


def add_report(commands) -> None:
    parser = command(
        commands,
        "report",
        "measure a model over held-out scenes",
        "Measure a model over held-out puppet scenes, another character in each, against the exact truth, three "
        "baselines, and itself with conditions removed: report.json, report.md and a contact sheet a scene.",
        "inhabit report --out report",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--model", default="puppets", metavar="FILE", help="checkpoint (default: the bundled one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--size", type=int, default=128, metavar="N", help="default 128")
    of_the_report = (
        *(
            parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default}")
            for name, default in (("scenes", 16), ("frames", 24), ("seed", 0))
        ),
        parser.add_argument("--steps", type=int, metavar="N", help="default: the model's own"),
        parser.add_argument("--guidance", type=float, metavar="X", help="default: the model's own"),
        parser.add_argument(
            "--no-switches", dest="switches", action="store_false", help="leave out removed conditions"
        ),
    )
    instead = parser.add_mutually_exclusive_group()
    long_videos = instead.add_argument(
        "--long-videos",
        type=int,
        metavar="N",
        help="measure N scenes of 96 frames instead: seams, jitter and cost of windows and clips, in long_videos.json",
    )
    hands = instead.add_argument(
        "--hands",
        type=int,
        metavar="N",
        help="measure N scenes instead: the hands' sharpness as asked for, in hands.json",
    )
    perceived = instead.add_argument(
        "--perceived",
        type=int,
        metavar="N",
        help="measure N scenes instead: what the result loses by perceived poses and masks, in perceived.json",
    )
    parser.set_defaults(unread=dict.fromkeys((long_videos, hands, perceived), of_the_report))


def add_sheet(commands) -> None:
    parser = command(
        commands,
        "sheet",
        "draw videos into one contact sheet",
        "Draw videos as rows of one contact sheet, and tell how much each changes from frame to frame.",
        "inhabit sheet --out sheet.png --reference scene/reference.png driving=scene/driving.mp4 result=result.mp4",
    )
    parser.add_argument(
        "clips", nargs="+", type=values.labelled_video, metavar="NAME=VIDEO", help="label and video of each row"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the sheet")
    parser.add_argument("--reference", type=Path, metavar="IMG", help="picture to show large on the left")
    parser.add_argument("--columns", type=int, default=8, metavar="N", help="frames a row (default 8)")
