"""What somebody pointed at in a video: points, exclusions and boxes of several objects, on any frame, and its JSON.

    {"version": 1, "objects": [{"points": [{"frame": 0, "x": 0.4, "y": 0.5, "include": true}],
                                "boxes": [{"frame": 0, "x": 0.3, "y": 0.3, "width": 0.2, "height": 0.4}]}]}

x and y are shares of the picture, 0…1 from its left and upper edge, so that they hold at any size; frames count from 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ..errors import InputError

VERSION = 1
FORM = 'give {"version": 1, "objects": [{"points": […], "boxes": […]}]}, as the editor of the node writes it'
POINTS_FORM = 'give [{"x": 10, "y": 20}, …] in pixels'
BOXES_FORM = 'give {"x", "y", "width", "height"} in pixels, a list of them, or such a list a frame'


@dataclass(frozen=True)
class Point:
    """A place on one frame that belongs to the object, or (include = False) does not. x, y: 0…1 of the picture."""

    frame: int
    x: float
    y: float
    include: bool = True


@dataclass(frozen=True)
class Box:
    """A rectangle round the object on one frame: its left upper corner and its size, 0…1 of the picture."""

    frame: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Prompt:
    """All that is said about one object."""

    points: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def frames(self) -> list[int]:
        """The frames, in order, on which something says where the object is; exclusions alone do not."""
        return sorted({mark.frame for mark in (*self.boxes, *(point for point in self.points if point.include))})

    def on(self, frame: int) -> Prompt:
        """What is said on one frame."""
        points = tuple(point for point in self.points if point.frame == frame)
        return Prompt(points, tuple(box for box in self.boxes if box.frame == frame))


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """The objects of the JSON above, in order, those without a mark, too; empty text is none.

    Raises InputError for anything else: other fields, numbers outside their range, a frame of exclusions alone.
    """
    content = _json(text, "prompts", FORM) if text.strip() else {"version": VERSION, "objects": []}
    _check_fields(content, {"version", "objects"}, "prompts")
    if content["version"] != VERSION:
        raise InputError(f"prompts are of version {content['version']!r}, known is {VERSION}: {FORM}")
    entries = _list(content["objects"], "objects")
    return tuple(_prompt(entry, f"object {number} of the prompts") for number, entry in enumerate(entries, start=1))


def write_prompts(prompts: Sequence[Prompt]) -> str:
    """The JSON above, which `parse_prompts` reads."""
    return json.dumps({"version": VERSION, "objects": [asdict(prompt) for prompt in prompts]})


def prompts_from_pixels(
    size: tuple[int, int], frame: int, positive: str = "", negative: str = "", boxes: object = None
) -> tuple[Prompt, ...]:
    """Objects of other nodes' points and boxes, which are in pixels of a picture of `size` (width, height).

    positive, negative: JSON lists of {"x", "y"}, as KJNodes' Points Editor and ComfyUI's SAM 3 nodes have them; the
    editor's whole state {"positive": […], "negative": […]} is read from `positive`, too. boxes: BOUNDING_BOX, see
    BOXES_FORM; of a list a frame the first frame that has any counts. Points make one object, together with the box
    where there is just one; each of several boxes is an object, for which the exclusions hold, too.
    frame: that all of them are on, unless the boxes say another. Raises InputError for other contents.
    """
    included, excluded = _pixel_points(positive, "positive points"), _pixel_points(negative, "negative points")
    if isinstance(included, Mapping):
        excluded = [*_list(included.get("negative", []), "negative"), *excluded]
        included = _list(included.get("positive", []), "positive")
    boxes_frame, found = _boxes_of(boxes, frame)
    drawn = [Box(boxes_frame, *_box_shares(box, size)) for box in found]
    out = tuple(Point(frame, *_point_shares(point, size), include=False) for point in excluded)
    points = tuple(Point(frame, *_point_shares(point, size)) for point in included)
    if len(drawn) == 1:
        return (Prompt((*points, *out), tuple(drawn)),)
    if out and not points and not drawn:
        raise InputError("there are negative points only: say where the object is by a positive point or a box")
    pointed = (Prompt((*points, *out)),) if points else ()
    return (*pointed, *(Prompt(out, (box,)) for box in drawn))


def check_frames(prompts: Sequence[Prompt], frames: int) -> None:
    """Raise InputError for no object at all, and for a mark on a frame that the video of `frames` does not have."""
    if not any(prompt.frames for prompt in prompts):
        raise InputError("nothing is pointed at: click on the object in the editor, or connect points or boxes")
    last = max(mark.frame for prompt in prompts for mark in (*prompt.points, *prompt.boxes))
    if last >= frames:
        raise InputError(f"a point or box is on frame {last}, but the video has {frames}, 0 to {frames - 1}")


def _prompt(entry: object, name: str) -> Prompt:
    _check_fields(entry, {"points", "boxes"}, name)
    points, boxes = (_list(entry.get(part, []), f"{part} of {name}") for part in ("points", "boxes"))
    prompt = Prompt(
        tuple(_point(point, f"a point of {name}") for point in points),
        tuple(_box(box, f"a box of {name}") for box in boxes),
    )
    lone = {point.frame for point in prompt.points} - set(prompt.frames)
    if lone:
        raise InputError(f"{name} has exclusions only on frame {min(lone)}: add a point or a box that says where it is")
    return prompt


def _point(entry: object, name: str) -> Point:
    _check_fields(entry, {"frame", "x", "y", "include"}, name)
    include = entry.get("include", True)
    if not isinstance(include, bool):
        raise InputError(f"{name} has include {include!r}: it is true or false")
    return Point(_frame(entry, name), *_shares(entry, ("x", "y"), name), include=include)


def _box(entry: object, name: str) -> Box:
    _check_fields(entry, {"frame", "x", "y", "width", "height"}, name)
    return Box(_frame(entry, name), *_shares(entry, ("x", "y", "width", "height"), name))


def _frame(entry: Mapping, name: str) -> int:
    frame = entry["frame"]
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0:
        raise InputError(f"{name} is on frame {frame!r}: frames are whole numbers from 0")
    return frame


def _shares(entry: Mapping, keys: Sequence[str], name: str) -> list[float]:
    for key in keys:
        if not _is_number(entry[key]) or not 0 <= entry[key] <= 1:
            raise InputError(f"{name} has {key} {entry[key]!r}: it is a share of the picture, 0 to 1")
    return [entry[key] for key in keys]


def _pixel_points(text: str, name: str) -> list | Mapping:
    content = _json(text, name, POINTS_FORM) if text.strip() else []
    return content if isinstance(content, Mapping) else _list(content, name)


def _point_shares(point: object, size: tuple[int, int]) -> tuple[float, float]:
    if not isinstance(point, Mapping) or not all(_is_number(point.get(key)) for key in "xy"):
        raise InputError(f"a point is {str(point)[:60]}: {POINTS_FORM}")
    x, y = point["x"] / size[0], point["y"] / size[1]
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise InputError(f"the point {point['x']:g}, {point['y']:g} lies outside the picture of {size[0]}x{size[1]}")
    return x, y


def _box_shares(box: object, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Of the part that lies inside the picture."""
    if not isinstance(box, Mapping) or not all(_is_number(box.get(key)) for key in ("x", "y", "width", "height")):
        raise InputError(f"a box is {str(box)[:60]}: {BOXES_FORM}")
    left, top = (min(max(box[key] / side, 0), 1) for key, side in zip("xy", size, strict=True))
    right = min(max((box["x"] + box["width"]) / size[0], 0), 1)
    bottom = min(max((box["y"] + box["height"]) / size[1], 0), 1)
    if right <= left or bottom <= top:
        raise InputError(f"the box {dict(box)} has no area inside the picture of {size[0]}x{size[1]}")
    return left, top, right - left, bottom - top


def _boxes_of(boxes: object, frame: int) -> tuple[int, list]:
    """The frame that the boxes are on, and they."""
    if boxes is None:
        return frame, []
    if isinstance(boxes, Mapping):
        return frame, [boxes]
    if not isinstance(boxes, Sequence) or isinstance(boxes, str):
        raise InputError(f"boxes are {type(boxes).__name__} {str(boxes)[:60]!r}: {BOXES_FORM}")
    if any(isinstance(entry, Sequence) and not isinstance(entry, str) for entry in boxes):
        return next(((number, list(entry)) for number, entry in enumerate(boxes) if entry), (frame, []))
    return frame, list(boxes)


def _json(text: str, name: str, form: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} are no JSON, {str(error)[:80]}: {form}") from error


def _check_fields(entry: object, known: set[str], name: str) -> None:
    if not isinstance(entry, Mapping):
        raise InputError(f"{name} is {type(entry).__name__} {str(entry)[:60]!r}: {FORM}")
    required = known - {"points", "boxes", "include"}
    wrong = (set(entry) - known) | (required - set(entry))
    if wrong:
        raise InputError(f"{name}: {', '.join(sorted(wrong))} unknown or missing: {FORM}")


def _list(value: object, name: str) -> list:
    if not isinstance(value, list):
        raise InputError(f"{name} is {type(value).__name__} {str(value)[:60]!r}: give a list")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
