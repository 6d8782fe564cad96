"""ComfyUI's view of the pack. The only room that imports `comfy*` and `folder_paths`, and only once ComfyUI asks."""

from __future__ import annotations


async def comfy_entrypoint():
    """Return the `ComfyExtension` with every node of the pack."""
    from .extension import InhabitExtension

    return InhabitExtension()
