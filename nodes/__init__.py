"""ComfyUI's view of the pack. The only room that imports `comfy*` and `folder_paths`, and only once ComfyUI asks."""

from __future__ import annotations


async def comfy_entrypoint():
    """Return the `ComfyExtension` with every node of the pack, or with one that says which package is missing."""
    try:
        from .extension import InhabitExtension
    except (ImportError, RuntimeError) as error:  # diffusers and transformers raise either where versions do not fit
        from .incomplete import incomplete_extension

        return incomplete_extension(error)
    return InhabitExtension()
