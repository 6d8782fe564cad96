"""What ComfyUI gets where a package is missing that the nodes need: one node that says so, and one line in the log.

Imports nothing that ComfyUI does not bring.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

logger = logging.getLogger(__name__)

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"


def incomplete_extension(error: Exception) -> ComfyExtension:
    """Return an extension of one node, found by searching for Inhabit, and log the same; `error` is the import's."""
    raised = " ".join(str(error).split())
    line = (
        f"Inhabit's nodes cannot be loaded: {raised}. Install what they need with ComfyUI's own Python, then restart "
        f'ComfyUI: "{sys.executable}" -m pip install -r "{REQUIREMENTS}"'
    )
    logger.error(line)
    logger.debug("what was raised", exc_info=error)

    class InhabitIncomplete(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(
                node_id="InhabitIncomplete",
                display_name="Inhabit is not installed completely",
                category="Inhabit",
                description=line,
                is_output_node=True,
            )

        @classmethod
        def execute(cls) -> io.NodeOutput:
            raise RuntimeError(line)

    class IncompleteExtension(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return [InhabitIncomplete]

    return IncompleteExtension()
