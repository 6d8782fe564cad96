"""Models that read a video, one behind the other's interface. Each is loaded when it is first used."""

from .depth_anything import DepthAnything
from .dwpose import DWPose
from .grounding_dino import GroundingDino
from .landmark_depth import LandmarkDepth
from .mediapipe import MediaPipePose
from .protocols import DepthEstimator, LocatedObject, ObjectLocator, PersonInFrame, PoseEstimator
from .vitpose import VitPose

POSE_ESTIMATORS = {kind.name: kind for kind in (MediaPipePose, DWPose, VitPose)}
DEPTH_ESTIMATORS = {DepthAnything.name: DepthAnything, LandmarkDepth.name: LandmarkDepth}
OBJECT_LOCATORS = {GroundingDino.name: GroundingDino}

__all__ = [
    "GroundingDino",
    "LocatedObject",
    "OBJECT_LOCATORS",
    "ObjectLocator",
    "DWPose",
    "DEPTH_ESTIMATORS",
    "POSE_ESTIMATORS",
    "DepthAnything",
    "DepthEstimator",
    "LandmarkDepth",
    "MediaPipePose",
    "PersonInFrame",
    "PoseEstimator",
    "VitPose",
]
