"""Inhabit: a character image performs a driving video's motion inside that video's environment.

ComfyUI finds the pack through `comfy_entrypoint`; everything else is imported only when it is used, so that
`import inhabit` needs neither torch nor ComfyUI.
"""

from __future__ import annotations

WEB_DIRECTORY = "./web"  # ComfyUI's frontend reads the help pages from there


async def comfy_entrypoint():
    """Return the pack's `ComfyExtension`, as ComfyUI's V3 node API asks for."""
    from .nodes import comfy_entrypoint as entrypoint

    return await entrypoint()
