"""The report of a training set: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
from collections import Counter
from pathlib import Path

from ...atomic import atomic_file
from ...media import open_video
from ...media.opencv import cv2

SIDE = 128  # pixels of a thumbnail's longer side
STYLE = "body{font:15px sans-serif;margin:2em;color:#222}td,th{padding:.3em 1em .3em 0;text-align:left}"
STYLE += "figure{display:inline-block;margin:.4em;font-size:12px}figcaption{max-width:128px;overflow-wrap:anywhere}"


def write_report(out: Path, records: list[dict]) -> None:
    """Write report.html: counts, thumbnails of the clips, and what was left out and why."""
    clips = [(record, clip) for record in records for clip in record["clips"]]
    kept = [(record, clip) for record, clip in clips if "clip" in clip]
    left = [(r["source"], "{}–{}".format(*c["frames"]), c["reason"]) for r, c in clips if "reason" in c]
    left += [(record["source"], "all", record["reason"]) for record in records if "reason" in record]
    counts = Counter(reason.partition(":")[0] for _, _, reason in left)
    figures = "".join(_figure(out / clip["clip"], record["source"], clip["quality"]) for record, clip in kept)
    text = (
        f"<!doctype html><meta charset=utf-8><title>Training set</title><style>{STYLE}</style><h1>Training set</h1>"
        f"<p>{len(kept)} clips of {len(records)} videos.</p>{figures}<h2>Left out</h2>{_table(counts.items())}"
        f"<h2>One by one</h2>{_table(left)}\n"
    )
    path = out / "report.html"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _table(rows) -> str:
    cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in sorted(rows))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def _figure(folder: Path, source: str, quality: dict) -> str:
    video = open_video(folder / "driving.mp4")
    scale = SIDE / max(video.size)
    size = tuple(max(1, round(side * scale)) for side in video.size)
    frame = next(video.frames(size, len(video) // 2))
    _, jpeg = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    data = base64.b64encode(jpeg.tobytes()).decode()
    caption = f"{html.escape(source)}, {quality['seconds']:.1f} s"
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt=""><figcaption>{caption}</figcaption></figure>'
