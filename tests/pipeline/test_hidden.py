"""What a clean plate is not made of."""

from __future__ import annotations

import torch
from inhabit.pipeline.hidden import certainly_hidden, with_objects
from inhabit.pipeline.streams import LazyFrames

SIZE = 40


def lazy(values: torch.Tensor) -> LazyFrames:
    return LazyFrames(tuple(values.shape), lambda frames: values[frames])


def test_frames_without_the_character_near_ones_with_it_hide_where_it_was():
    masks = torch.zeros(9, SIZE, SIZE)
    masks[2, 10:20, 10:20] = 1
    hidden = certainly_hidden(lazy(masks), lazy(torch.zeros(9, SIZE, SIZE, 3)), rate=3.0).tensor()
    assert torch.equal(hidden[2], masks[2])
    for near in (0, 1, 3, 5):
        assert hidden[near, 8:22, 10:20].eq(1).all() and hidden[near, :6].eq(0).all()
    assert hidden[6:].eq(0).all()  # more than a second away it is believed to have left


def test_limbs_that_the_mask_lacks_are_hidden():
    masks, skeletons = torch.zeros(1, SIZE, SIZE), torch.zeros(1, SIZE, SIZE, 3)
    masks[0, 20:30, 20:30] = 1
    skeletons[0, 5:35, 8] = 1
    hidden = certainly_hidden(lazy(masks), lazy(skeletons), rate=24.0)[0]
    assert hidden[5:35, 8].eq(1).all() and hidden[20:30, 20:30].eq(1).all() and hidden[:, 12:19].eq(0).all()


def test_objects_are_hidden_too():
    masks, things = torch.zeros(2, 2, SIZE, SIZE)
    masks[:, 5], things[1, 9] = 1, 1
    both = with_objects(lazy(masks), lazy(things))
    assert both[0].sum() == SIZE and both[1].sum() == 2 * SIZE
    assert with_objects(lazy(masks), None)[1].sum() == SIZE
