"""Who is followed, on boxes and colours made by hand."""

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.perception.follow import Choice, Follower, parse_choice

SIZE = (200, 100)  # width, height
RED, BLUE = (220, 30, 30), (30, 60, 220)


def frame(*people: tuple[float, tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with a coloured person at each x, and their boxes; height by place in the list: 80, 60, 40."""
    picture = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    boxes = []
    for number, (x, colour) in enumerate(people):
        height = 80 - 20 * number
        boxes.append([x - height / 4, 50 - height / 2, x + height / 4, 50 + height / 2])
        left, top, right, bottom = (round(value) for value in boxes[-1])
        picture[max(top, 0) : bottom, max(left, 0) : max(right, 0)] = colour
    return picture, np.array(boxes).reshape(-1, 4)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("largest", Choice()),
        ("", Choice()),
        ("2", Choice(number=2)),
        ("50,25", Choice(point=(0.25, 0.25))),
        (" 50.0 , 25 ", Choice(point=(0.25, 0.25))),
    ],
)
def test_a_choice_is_read(text, choice):
    assert parse_choice(text, SIZE) == choice


@pytest.mark.parametrize("text", ["0", "-1", "left", "1.5", "1,2,3", "200,10", "10,100", "1e3,2", "²"])
def test_a_choice_that_is_none_is_told(text):
    with pytest.raises(InputError, match=text.replace("²", ".")):
        parse_choice(text, SIZE)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [(Choice(), 0), (Choice(1), 1), (Choice(2), 0), (Choice(3), None), (Choice(point=(0.2, 0.5)), 1)],
)
def test_the_first_frame_tells_who_is_meant(choice, expected):
    assert Follower(choice)(*frame((140, RED), (40, BLUE))) == expected


def test_nobody_is_followed_until_the_chosen_one_is_there():
    follow = Follower(Choice(number=2))
    assert follow(*frame((140, RED))) is None and follow(*frame()) is None
    assert follow(*frame((140, RED), (40, BLUE))) == 0 and follow.most == 2
    elsewhere = Follower(Choice(point=(0.9, 0.5)))
    assert elsewhere(*frame((40, RED))) is None and elsewhere(*frame((170, RED))) == 0


def test_two_who_cross_stay_who_they_are():
    """The larger person is chosen once; from then on the colours tell, whoever is larger or first in the list."""
    red, blue = Follower(Choice(number=2)), Follower(Choice(number=1))
    for step in range(21):
        hidden = 7 < step < 13
        people = [(40 + 6 * step, BLUE)] if hidden else [(40 + 6 * step, BLUE), (160 - 6 * step, RED)]
        picture, boxes = frame(*people)
        order = np.arange(len(people))[:: -1 if step % 2 else 1]
        for follow, person in ((blue, 0), (red, 1)):
            index = follow(picture, boxes[order])
            assert (None if index is None else order[index]) == (None if hidden and person == 1 else person)


def test_one_who_left_is_found_again_by_colour_and_nobody_else_is_taken_for_them():
    follow = Follower()
    assert follow(*frame((100, RED))) == 0
    for _ in range(10):
        assert follow(*frame((100, BLUE))) is None
    assert follow(*frame((20, BLUE), (150, RED))) == 1


def test_without_colours_the_place_tells():
    follow = Follower()
    boxes = np.array([[0, 0, 40, 80], [100, 0, 140, 90]], float)
    assert follow(None, boxes, SIZE) == 1
    assert follow(None, boxes[::-1] + 3, SIZE) == 0
    assert follow(None, boxes[:1], SIZE) is None
