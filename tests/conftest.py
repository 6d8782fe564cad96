"""Tiny networks everywhere: one thread is faster than two that wait for each other."""

import pytest
import torch

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _share_out(items)
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


def _share_out(items: list[pytest.Item]) -> None:
    """Tell pytest-xdist what stays together: all tests of one ComfyUI, which share a server, and those of one file.

    The ComfyUIs come first, since they take longest.
    """
    comfyui = {item: item.callspec.params["core"] for item in items if "core" in getattr(item, "fixturenames", ())}
    for item in items:
        group = f"ComfyUI {comfyui[item].version}" if comfyui.get(item) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item not in comfyui)
