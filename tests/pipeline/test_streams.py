"""Videos that are not in memory: they read as tensors do, and animate, paste back and average as with tensors."""

from __future__ import annotations

import dataclasses
import weakref

import numpy as np
import pytest
import torch
from inhabit.pipeline import DrivingConditions
from inhabit.pipeline.fitting import fitted, frame_numbers
from inhabit.pipeline.paste_back import paste_back, pasted_back
from inhabit.pipeline.streams import LazyFrames, ReadAgain, packed
from inhabit.sampling import WindowAverage

from .conftest import animated, drive

RANDOM = np.random.default_rng(4)
PICTURES = RANDOM.integers(0, 256, (9, 6, 8, 3), dtype=np.uint8)
WHOLE = torch.from_numpy(PICTURES).float() / 255


def read_again(pictures: np.ndarray = PICTURES, begun: list[int] | None = None) -> ReadAgain:
    def read(start: int):
        if begun is not None:
            begun.append(start)
        return iter(pictures[start:])

    return ReadAgain(len(pictures), pictures.shape[2:0:-1], read)


@pytest.mark.parametrize("lazy", [read_again(), packed(iter(PICTURES))], ids=["read again", "packed"])
@pytest.mark.parametrize(
    "index", [0, 8, -1, slice(0, 4), slice(3, None), slice(0, 9, 3), [2, 5], [7, 1, 1], slice(None)]
)
def test_lazy_frames_are_indexed_as_tensors_are(lazy, index):
    assert torch.equal(lazy[index], WHOLE[index])


def test_lazy_frames_have_the_shape_length_and_order_of_tensors():
    lazy = packed(iter(PICTURES))
    assert (lazy.shape, lazy.ndim, len(lazy)) == (WHOLE.shape, 4, 9)
    assert torch.equal(lazy.tensor(), WHOLE) and torch.equal(torch.stack(list(lazy)), WHOLE)
    assert lazy.max() == WHOLE.max()
    with pytest.raises(IndexError):
        lazy[9]


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32])
def test_packed_pictures_come_back_exactly_and_take_little_where_they_are_drawn(dtype):
    planes = (RANDOM.uniform(size=(5, 40, 30)) > 0.98).astype(dtype)
    expected = torch.from_numpy(planes.astype(np.float32)) / (255 if dtype == np.uint8 else 1)
    assert torch.equal(packed(iter(planes)).tensor(), expected)


def test_a_video_that_is_gone_through_is_opened_once_and_a_second_time_for_the_second():
    begun: list[int] = []
    lazy = read_again(begun=begun)
    assert begun == []
    for _ in range(2):
        for start in range(0, 9, 4):
            assert torch.equal(lazy[start : start + 4], WHOLE[start : start + 4])
    assert begun == [0, 0]


def lazily(given: DrivingConditions) -> DrivingConditions:
    """The same conditions, of which no frame exists before it is asked for."""
    tensors = {name: value for name, value in vars(given).items() if isinstance(value, torch.Tensor)}
    return DrivingConditions(
        **{name: LazyFrames(value.shape, lambda frames, v=value: v[frames]) for name, value in tensors.items()}
    )


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_animate_takes_lazy_conditions_for_tensors(tiny_model, codec, reference_image, long_video):
    given = drive(21, objects=True)
    options = {"steps": 2, "window": 8, "overlap": 3, "long_video": long_video, "progress": False}
    wanted = animated(tiny_model, codec, reference_image, given, **options)
    assert torch.equal(animated(tiny_model, codec, reference_image, lazily(given), **options), wanted)


def test_few_frames_exist_at_once(tiny_model, codec, reference_image):
    """Of three conditions of 64 frames each: two of them for this window of 8 and for the one before."""
    given, alive, most = drive(64), weakref.WeakSet(), {"frames": 0}

    def counted(value: torch.Tensor) -> LazyFrames:
        def make(frames: list[int]) -> torch.Tensor:
            made = value[frames].clone()
            alive.add(made)
            most["frames"] = max(most["frames"], sum(len(tensor) for tensor in alive))
            return made

        return LazyFrames(value.shape, make)

    few = {name: counted(getattr(given, name)) for name in ("driving", "mask", "skeleton")}
    lazy = dataclasses.replace(given, **few)
    raw = animated(tiny_model, codec, reference_image, lazy, steps=2, window=8, overlap=2, progress=False)
    assert most["frames"] <= 4 * 8
    most["frames"] = 0
    for _ in pasted_back(lambda: iter(raw), lazy.driving, lazy.mask, grow=2):
        pass
    assert 0 < most["frames"] <= 2 * 8


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("grow", [None, 0])
def test_paste_back_frame_by_frame_is_that_of_the_whole(frames, grow):
    generator = torch.Generator().manual_seed(frames)
    driving = torch.rand((frames, 32, 40, 3), generator=generator)
    result = (driving + 0.02 * torch.randn(driving.shape, generator=generator)).clamp(0, 1)
    result[frames // 2 :, 6:24, 18:28] = 1
    mask = torch.zeros(frames, 32, 40)
    mask[:, 8:20, 10:20] = 1
    whole = paste_back(result, driving, mask, grow=grow)
    begun = []

    def again():
        begun.append(1)
        return iter(result)

    lazy = lazily(DrivingConditions(driving, mask, driving))
    assert torch.equal(torch.stack(list(pasted_back(again, lazy.driving, lazy.mask, grow=grow))), whole)
    assert len(begun) == (1 if grow == 0 else 2)


def test_an_average_is_given_in_parts_as_it_is_as_a_whole():
    average = WindowAverage((7, 2))
    for start in (0, 2, 4):
        average.add(list(range(start, start + 3)), torch.rand(3, 2))
    whole = average.result()
    assert torch.equal(torch.cat([average.result(slice(0, 4)), average.result(slice(4, 7))]), whole)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([7], "frame 7"),
        ([0, 3, 4, 5], "frames 0, 3-5"),
        (range(40, 63), "frames 40-62"),
        (range(0, 60, 2), "frames 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 … (30 in all)"),
    ],
)
def test_frame_numbers_in_words(numbers, words):
    assert frame_numbers(numbers) == words


def test_lengths_are_fitted_by_the_last_frame():
    assert [list(fitted(iter("abc"), count)) for count in (2, 3, 4)] == [list("ab"), list("abc"), list("abcc")]
