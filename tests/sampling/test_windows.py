"""Windows over many sizes: they cover, keep their length, overlap, and average to what they should."""

from __future__ import annotations

import random

import pytest
import torch
from inhabit.errors import InputError
from inhabit.sampling.windows import WindowAverage, step_offset, step_windows, window_weights, windows


def sizes(count: int = 400):
    rng = random.Random(0)
    for _ in range(count):
        length = rng.randint(1, 32)
        yield rng.randint(1, 150), length, rng.randint(0, length - 1), rng.randint(-50, 50)


def test_windows_cover_every_frame_at_full_length_and_overlap():
    for frames, length, overlap, offset in sizes():
        result = windows(frames, length, overlap, offset)
        assert {frame for window in result for frame in window} == set(range(frames))
        assert all(window == list(range(window[0], window[0] + min(length, frames))) for window in result)
        starts = [window[0] for window in result]
        assert starts == sorted(set(starts))
        assert all(after - before <= length - overlap for before, after in zip(starts, starts[1:], strict=False))


def test_known_windows():
    assert windows(10, 4, 2) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9]]
    assert windows(9, 4, 1)[-1] == [5, 6, 7, 8]  # moved back to keep its length
    assert [window[0] for window in windows(10, 4, 2, offset=1)] == [0, 1, 3, 5, 6]
    assert windows(3, 16, 4) == [[0, 1, 2]]
    assert windows(16, 16, 4, offset=7) == [list(range(16))]


def test_offsets_move_windows_and_repeat_with_the_stride():
    for frames, length, overlap, offset in sizes(100):
        assert windows(frames, length, overlap, offset) == windows(frames, length, overlap, offset + length - overlap)


def test_step_offsets_are_a_function_of_seed_and_step():
    offsets = [step_offset(7, step, 16, 4) for step in range(200)]
    assert offsets == [step_offset(7, step, 16, 4) for step in range(200)]
    assert set(offsets) == set(range(12))
    assert offsets != [step_offset(8, step, 16, 4) for step in range(200)]
    assert step_windows(40, 16, 4, 2**64 - 1, 3) == windows(40, 16, 4, step_offset(2**64 - 1, 3, 16, 4))


def test_a_constant_averages_to_itself_whatever_the_windows():
    for frames, length, overlap, offset in sizes(100):
        average = WindowAverage((frames, 2, 1, 3))
        for window in windows(frames, length, overlap, offset):
            average.add(window, torch.full((len(window), 2, 1, 3), 2.5, dtype=torch.float64))
        torch.testing.assert_close(average.result(), torch.full((frames, 2, 1, 3), 2.5))


def test_the_average_is_the_weighted_mean():
    average = WindowAverage((5, 1))
    average.add([0, 1, 2], torch.tensor([[1.0], [2.0], [3.0]]))
    average.add([2, 3, 4], torch.tensor([[7.0], [8.0], [9.0]]))
    assert average.result().flatten().tolist() == [1, 2, 5, 8, 9]
    average.add([1, 2, 3, 4], torch.tensor([[0.0], [0.0], [0.0], [0.0]]))
    expected = [1, 2 * 2 / 3, (3 + 7) / 4, 2 * 8 / 4, 9 / 2]
    torch.testing.assert_close(average.result().flatten(), torch.tensor(expected))


@pytest.mark.parametrize("length", [1, 2, 5, 16])
def test_weights_are_a_symmetric_triangle(length):
    weights = window_weights(length)
    assert torch.equal(weights, weights.flip(0)) and weights.min() == 1
    assert weights.max() == (length + 1) // 2
    assert (weights.diff().abs() <= 1).all()


def test_a_forgotten_frame_is_an_error():
    average = WindowAverage((3, 1))
    average.add([0, 1], torch.ones(2, 1))
    with pytest.raises(RuntimeError, match=r"\[2\]"):
        average.result()


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "message"),
    [(0, 4, 1, "0 frames"), (5, 0, 0, "window of 0"), (5, 4, 4, "overlap of 4"), (5, 4, -1, "overlap of -1")],
)
def test_impossible_windows_are_refused(frames, length, overlap, message):
    with pytest.raises(InputError, match=message):
        windows(frames, length, overlap)
    with pytest.raises(InputError, match=message):
        step_windows(frames, length, overlap, 0, 0)
