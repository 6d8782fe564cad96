"""The list of nodes, and the model folder they read."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .conditions import InhabitEnvironment, InhabitMotion, InhabitObjects, InhabitReference
from .folders import register_model_folder
from .loader import InhabitModelLoader
from .masks import InhabitShapeAgnosticMask
from .sampler import InhabitContextWindows, InhabitWindowedSampler
from .scene import InhabitSampleScene
from .skeleton import InhabitSkeletonRenderer

NODES: list[type[io.ComfyNode]] = [
    InhabitModelLoader,
    InhabitSampleScene,
    InhabitSkeletonRenderer,
    InhabitShapeAgnosticMask,
    InhabitReference,
    InhabitMotion,
    InhabitEnvironment,
    InhabitObjects,
    InhabitContextWindows,
    InhabitWindowedSampler,
]


class InhabitExtension(ComfyExtension):
    """Registers `models/inhabit` and lists the nodes; 0.3.64 never calls `on_load`, so both happen here."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        register_model_folder()
        return NODES
