"""The list of nodes, and the model folders they read."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .assemble import InhabitAssembleModel
from .conditions import InhabitEnvironment, InhabitMotion, InhabitObjects, InhabitReference
from .crop import InhabitCropToPerson, InhabitUncrop
from .folders import register_model_folders
from .guider import InhabitAnimationGuider
from .loader import InhabitModelLoader
from .lora import InhabitLoRALoader
from .masks import InhabitShapeAgnosticMask
from .noise import InhabitReferenceNoise
from .paste import InhabitPasteBack
from .perceive import InhabitDepthEstimator, InhabitObjectLocator, InhabitPoseEstimator
from .plate import InhabitCleanPlate
from .regions import InhabitHandFaceRegions, InhabitMotionBlur
from .retarget import InhabitPoseRetarget
from .sampler import InhabitContextWindows, InhabitWindowedSampler
from .scene import InhabitSampleScene
from .schedule import InhabitShiftedSNR, InhabitTrailingSigmas
from .skeleton import InhabitSkeletonRenderer

NODES: list[type[io.ComfyNode]] = [
    InhabitModelLoader,
    InhabitAssembleModel,
    InhabitLoRALoader,
    InhabitSampleScene,
    InhabitPoseRetarget,
    InhabitPoseEstimator,
    InhabitDepthEstimator,
    InhabitObjectLocator,
    InhabitSkeletonRenderer,
    InhabitShapeAgnosticMask,
    InhabitHandFaceRegions,
    InhabitMotionBlur,
    InhabitCleanPlate,
    InhabitReference,
    InhabitMotion,
    InhabitEnvironment,
    InhabitObjects,
    InhabitContextWindows,
    InhabitShiftedSNR,
    InhabitTrailingSigmas,
    InhabitReferenceNoise,
    InhabitAnimationGuider,
    InhabitWindowedSampler,
    InhabitPasteBack,
    InhabitCropToPerson,
    InhabitUncrop,
]


class InhabitExtension(ComfyExtension):
    """Registers the model folders and lists the nodes; 0.3.64 never calls `on_load`, so both happen here."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        register_model_folders()
        return NODES
