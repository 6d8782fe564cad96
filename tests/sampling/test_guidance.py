"""Animation-cfg: towards the condition, not away from it as printed in HIA."""

from __future__ import annotations

import torch
from inhabit.sampling.guidance import guide, needs_unconditional


def test_guidance_goes_towards_the_condition():
    unconditional, conditional = torch.tensor([1.0, 0.0]), torch.tensor([3.0, -2.0])
    assert guide(unconditional, conditional, 1.0).tolist() == [3.0, -2.0]
    assert guide(unconditional, conditional, 0.0).tolist() == [1.0, 0.0]
    assert guide(unconditional, conditional, 2.5).tolist() == [6.0, -5.0]


def test_a_second_pass_is_needed_unless_it_cancels_out_or_is_the_same():
    assert not needs_unconditional(1.0, ("reference",)) and not needs_unconditional(2.0, ())
    assert needs_unconditional(0.0, ("reference", "motion")) and needs_unconditional(1.5, ("motion",))
