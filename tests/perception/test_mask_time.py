"""What a mask keeps covered, against the union written out frame by frame."""

import torch
from inhabit.perception import held


def test_every_frame_keeps_what_the_frames_before_covered():
    mask = (torch.rand(9, 6, 7) > 0.8).float()
    kept = held(mask, 3)
    for number in range(len(mask)):
        assert torch.equal(kept[number], mask[max(0, number - 3) : number + 1].amax(dim=0))
    assert torch.equal(held(mask, 0), mask) and torch.equal(held(mask, 100)[-1], mask.amax(dim=0))


def test_the_given_mask_stays_as_it_is():
    mask = torch.eye(4)[:, None].expand(4, 3, 4).contiguous()
    before = mask.clone()
    held(mask, 2)
    assert torch.equal(mask, before)
