"""Pictures, videos and pose files on disk, to and from arrays."""

from .arrays import resize, to_float, to_uint8
from .encoding import write_lossless, write_video
from .pictures import write_image
from .pose import Pose, parse_poses, to_keypoints, write_pose
from .pose_files import holds_poses, pose_frames, read_pose
from .video import (
    Clip,
    Video,
    open_depth,
    open_mask,
    open_video,
    read_depth,
    read_image,
    read_mask,
    read_video,
)

__all__ = [
    "Clip",
    "Pose",
    "Video",
    "holds_poses",
    "open_depth",
    "open_mask",
    "open_video",
    "parse_poses",
    "pose_frames",
    "read_depth",
    "read_image",
    "read_mask",
    "read_pose",
    "read_video",
    "resize",
    "to_float",
    "to_keypoints",
    "to_uint8",
    "write_image",
    "write_lossless",
    "write_pose",
    "write_video",
]
