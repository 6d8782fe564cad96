"""Structured depth is the depth on the skeleton and nothing elsewhere (AA2 §3.4)."""

import pytest
import torch
from inhabit.errors import InputError
from inhabit.perception import structured_depth


def test_keeps_depth_on_the_skeleton_only():
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(2, 6, 7, generator=generator) + 0.01
    skeleton = torch.zeros(2, 6, 7, 3)
    skeleton[0, 1, 2, 2] = 1.0
    skeleton[1, 4, 5] = torch.tensor([0.6, 0.2, 0.0])
    made = structured_depth(depth, skeleton)
    assert made[0, 1, 2] == depth[0, 1, 2] and made[1, 4, 5] == depth[1, 4, 5]
    assert made.count_nonzero() == 2


def test_refuses_other_sizes():
    with pytest.raises(InputError, match=r"\(2, 6, 7\).*\(2, 6, 8\)"):
        structured_depth(torch.zeros(2, 6, 7), torch.zeros(2, 6, 8, 3))
