"""What is pointed at: its JSON, other nodes' forms, and what is refused."""

import json
from dataclasses import astuple

import pytest
from inhabit.errors import InputError
from inhabit.perception.prompts import (
    Box,
    Point,
    Prompt,
    check_frames,
    parse_prompts,
    prompts_from_pixels,
    write_prompts,
)

PROMPTS = (
    Prompt((Point(0, 0.25, 0.5), Point(0, 0.1, 0.1, include=False), Point(3, 0.5, 0.5)), (Box(0, 0.1, 0.2, 0.3, 0.4),)),
    Prompt(),
)


def test_json_there_and_back():
    assert parse_prompts(write_prompts(PROMPTS)) == PROMPTS and parse_prompts("  ") == ()
    assert PROMPTS[0].frames == [0, 3] and PROMPTS[0].on(3) == Prompt((Point(3, 0.5, 0.5),))


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([{"points": [{"frame": 0, "x": 1.5, "y": 0}]}], "x 1.5"),
        ([{"points": [{"frame": -1, "x": 0.5, "y": 0}]}], "frame -1"),
        ([{"points": [{"frame": 0, "x": 0.5}]}], "y unknown or missing"),
        ([{"points": [{"frame": 0, "x": 0.5, "y": 0.5, "include": 0}]}], "include 0"),
        ([{"points": [{"frame": 2, "x": 0.5, "y": 0.5, "include": False}]}], "exclusions only on frame 2"),
        ([{"circles": []}], "circles unknown or missing"),
        ({}, "objects is dict"),
    ],
)
def test_other_contents_are_told_by_what_is_wrong(objects, told):
    with pytest.raises(InputError, match=told.replace(".", r"\.")):
        parse_prompts(json.dumps({"version": 1, "objects": objects}))
    for text, part in (("{", "are no JSON"), ('{"version": 2, "objects": []}', "version 2")):
        with pytest.raises(InputError, match=part):
            parse_prompts(text)


def test_points_and_boxes_of_other_nodes_in_pixels():
    points, out = '[{"x": 50, "y": 25}]', '[{"x": 0, "y": 0}]'
    box = {"x": 20, "y": 10, "width": 40, "height": 30}
    both = (Point(1, 0.5, 0.5), Point(1, 0.0, 0.0, include=False))
    assert prompts_from_pixels((100, 50), 1, points, out) == (Prompt(both),)
    state = json.dumps({"positive": json.loads(points), "negative": json.loads(out)})
    assert prompts_from_pixels((100, 50), 1, state) == (Prompt(both),)
    drawn = Box(1, 0.2, 0.2, 0.4, 0.6)
    [prompt] = prompts_from_pixels((100, 50), 1, points, out, box)
    assert prompt.points == both and astuple(prompt.boxes[0]) == pytest.approx(astuple(drawn))
    assert [one.boxes[0].frame for one in prompts_from_pixels((100, 50), 0, boxes=[[], [box, box]])] == [1, 1]
    for wrong in ({"negative": out}, {"positive": '[{"x": 200, "y": 0}]'}, {"boxes": {"x": 1}}, {"boxes": 3}):
        with pytest.raises(InputError):
            prompts_from_pixels((100, 50), 0, **wrong)


def test_marks_lie_on_the_video():
    check_frames(PROMPTS, 4)
    with pytest.raises(InputError, match="frame 3, but the video has 3"):
        check_frames(PROMPTS, 3)
    with pytest.raises(InputError, match="nothing is pointed at"):
        check_frames((Prompt(),), 3)
