"""Tiny networks everywhere: one thread is faster than two that wait for each other."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
