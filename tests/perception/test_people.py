"""Gaps and jitter of one person, on poses made by hand, against what can be computed directly."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from inhabit.media.pose import PARTS, Pose, parse_poses
from inhabit.perception.backends import PersonInFrame
from inhabit.perception.backends.protocols import FILLED, REAL_SCORES
from inhabit.perception.people import LONGEST_GAP, SteadyPerson, fill_gaps, steady_masks
from inhabit.perception.smoothing import PoseSmoother

SIZE, RATE = 64, 12
NOBODY = PersonInFrame(None, np.zeros((SIZE, SIZE), np.float32))


def person(x: float, missing: Sequence[int] = ()) -> PersonInFrame:
    """A body of 40 pixels whose left edge is at x, and whose mask is the column there."""
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    parts["body"][:] = np.column_stack([x + np.arange(18) % 3, np.linspace(10, 50, 18), np.ones(18)])
    parts["body"][list(missing)] = 0
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[10:50, int(x)] = 1
    return PersonInFrame(Pose(**parts), mask, {"body": np.full(18, 0.9)})


def test_a_short_gap_is_a_straight_line_and_the_union_of_both_masks():
    before, after = person(10, missing=[4]), person(18, missing=[7])
    found = list(fill_gaps([before, NOBODY, NOBODY, NOBODY, after], 3))
    assert found[0] is before and found[4] is after and [one.filled for one in found] == [False, *[True] * 3, False]
    there = [point for point in range(18) if point not in (4, 7)]
    for number in (1, 2, 3):
        body = found[number].pose.body
        expected = before.pose.body[there] * (1 - number / 4) + after.pose.body[there] * number / 4
        assert np.allclose(body[there], expected, atol=1e-5) and not body[[4, 7]].any()
        assert not found[number].pose.face.any()
        assert np.array_equal(found[number].mask, np.maximum(before.mask, after.mask))


def test_what_is_longer_at_an_end_or_elsewhere_is_not_filled():
    here = person(10)
    for clip in (
        [here, *[NOBODY] * 4, here],
        [NOBODY, here, NOBODY],
        [here, NOBODY, person(10 + 0.6 * 40)],  # more than half of its own size away
    ):
        assert [one.pose is None for one in fill_gaps(clip, 3)] == [one is NOBODY for one in clip]


def test_a_body_without_points_is_nobody_and_covers_nothing():
    [found] = fill_gaps([person(10, missing=range(18))], 3)
    assert found.pose is None and not found.mask.any()


def test_frames_come_as_soon_as_a_gap_is_told_and_are_never_held_longer():
    longest, taken = int(LONGEST_GAP * RATE), []

    def frames():
        for index, one in enumerate([person(10), *[NOBODY] * 20]):
            taken.append(index)
            yield one

    steady = SteadyPerson(RATE)(frames())
    for index, _ in enumerate(steady):
        assert len(taken) - index <= longest + 2


def test_a_whole_clip_is_smoothed_over_its_filled_gaps_and_told():
    xs = [10.0, 11.5, None, 12.0, 13.0, *[None] * 7, 20.0]
    steady = SteadyPerson(RATE)
    found = list(steady(NOBODY if x is None else person(x) for x in xs))
    assert steady.filled == [2] and steady.nobody == [*range(5, 12)] and len(found) == len(xs)
    xs[2] = 11.75
    smooth = PoseSmoother(RATE)
    expected = [smooth(None if x is None else person(x).pose) for x in xs]
    for one, pose in zip(found, expected, strict=True):
        assert one.pose is None if pose is None else np.allclose(one.pose.body, pose.body, atol=1e-4)


def test_keypoints_mark_what_was_filled_and_take_any_canvas():
    _, filled, last = fill_gaps([person(10), NOBODY, person(12)], 1)
    frame = filled.keypoints((2 * SIZE, 3 * SIZE))
    assert (frame["canvas_width"], frame["canvas_height"]) == (2 * SIZE, 3 * SIZE)
    assert frame["people"][0][FILLED] is True and frame["people"][0][REAL_SCORES] == {}
    assert FILLED not in last.keypoints()["people"][0]
    [[again]] = parse_poses([frame], SIZE, SIZE)
    assert np.allclose(again.body, filled.pose.body, atol=1e-3)


def blob(width: int) -> PersonInFrame:
    one = person(10)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[10:50, 10 : 10 + width] = 1
    return replace(one, mask=mask)


def test_a_mask_that_drops_out_for_a_frame_is_the_median_of_those_around():
    clip = [blob(20), blob(21), blob(4), blob(22), blob(21), blob(20)]
    steady = list(steady_masks(clip))
    assert np.array_equal(steady[2].mask, blob(21).mask) and steady[2].pose is clip[2].pose
    assert all(steady[index] is clip[index] for index in (0, 1, 3, 4, 5))


def test_masks_that_change_for_good_stay_and_nobody_is_made_up():
    widths = [20] * 4 + [8] * 4
    assert [one.mask.sum() for one in steady_masks(map(blob, widths))] == [40 * width for width in widths]
    gone = [blob(20), blob(20), NOBODY, blob(20), blob(20)]
    assert all(after is before for after, before in zip(steady_masks(gone), gone, strict=True))
    for length in range(6):
        assert len(list(steady_masks([blob(9)] * length))) == length
