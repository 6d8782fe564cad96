"""Pose keypoints → skeleton pictures and structured depth."""

from __future__ import annotations

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..perception import render_skeleton, structured_depth
from .inputs import check_video, checked_depth, checked_poses
from .kinds import WIDTH_AND_HEIGHT, PoseKeypoint, schema


class InhabitSkeletonRenderer(io.ComfyNode):
    """Draws OpenPose skeletons; Animate Anyone 2's structured depth where a depth video is connected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitSkeletonRenderer",
            display_name="Inhabit Skeleton Renderer",
            category="Inhabit/motion",
            search_aliases=["openpose", "dwpose", "draw pose", "pose to image", "mocap", "motion capture", "retarget"],
            description="Draws pose keypoints as skeletons, and keeps depth on the skeleton only (structured depth).",
            inputs=[
                PoseKeypoint.Input("pose", tooltip="One entry a frame, in pixels or 0…1; missing parts may be empty."),
                io.Int.Input("width", **WIDTH_AND_HEIGHT),
                io.Int.Input("height", **WIDTH_AND_HEIGHT),
                io.Image.Input("depth", optional=True, tooltip="Depth video of this length and size, white is near."),
            ],
            outputs=[
                io.Image.Output("skeleton"),
                io.Image.Output("structured_depth", tooltip="Needs the depth input. Black off the skeleton."),
            ],
        )

    @classmethod
    def execute(cls, pose, width: int, height: int, depth=None) -> io.NodeOutput:
        poses = checked_poses(pose)
        if depth is None:
            blocker = ExecutionBlocker("structured_depth needs the depth input")
            return io.NodeOutput(render_skeleton(poses, width, height), blocker)
        depth = checked_depth(depth)
        check_video("depth", depth, len(poses), width, height)
        skeleton = render_skeleton(poses, width, height)
        kept = structured_depth(depth, skeleton)
        return io.NodeOutput(skeleton, kept.unsqueeze(-1).expand(-1, -1, -1, 3).contiguous())
