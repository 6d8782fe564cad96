"""Tiny networks everywhere: one thread is faster than two that wait for each other."""

import os
import re

import pytest
import torch

OF_A_CORE = re.compile(r"tests/comfyui/.*?\[(\d+\.\d+\.\d+)")  # a test with ComfyUI has its version first

torch.set_num_threads(1)
os.environ["INHABIT_CACHE"] = "off"  # what one test perceives is no other's; processes that tests start go by it, too


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """With pytest-xdist what stays together is all tests of one ComfyUI, which share a server, and those of one file.

    The largest come first, which are the ComfyUIs.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            core = OF_A_CORE.match(nodeid)
            return f"ComfyUI {core[1]}" if core else nodeid.partition("::")[0]

    return Shared(config, log)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request) -> str:
    """The CPU, and a CUDA GPU where there is one."""
    return request.param


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
