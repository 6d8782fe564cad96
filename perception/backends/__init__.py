"""Models that read a video, one behind the other's interface. Each is loaded when it is first used."""

from .depth_anything import DepthAnything
from .landmark_depth import LandmarkDepth
from .mediapipe import MediaPipePose
from .protocols import DepthEstimator, PersonInFrame, PoseEstimator

POSE_ESTIMATORS = {MediaPipePose.name: MediaPipePose}
DEPTH_ESTIMATORS = {DepthAnything.name: DepthAnything, LandmarkDepth.name: LandmarkDepth}

__all__ = [
    "DEPTH_ESTIMATORS",
    "POSE_ESTIMATORS",
    "DepthAnything",
    "DepthEstimator",
    "LandmarkDepth",
    "MediaPipePose",
    "PersonInFrame",
    "PoseEstimator",
]
