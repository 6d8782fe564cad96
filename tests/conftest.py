"""Tiny networks everywhere: one thread is faster than two that wait for each other."""

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request) -> str:
    """The CPU, and a CUDA GPU where there is one."""
    return request.param


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
