"""Models that read poses off a video, one behind the other's interface. Each is loaded when it is first used."""

from .mediapipe import MediaPipePose
from .protocols import PersonInFrame, PoseEstimator

POSE_ESTIMATORS = {MediaPipePose.name: MediaPipePose}

__all__ = ["POSE_ESTIMATORS", "MediaPipePose", "PersonInFrame", "PoseEstimator"]
