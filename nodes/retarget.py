"""One person's poses → another one's, in the same place."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..errors import InputError
from ..media import Pose
from ..perception.retarget import retarget_keypoints
from ..pipeline.retargeting import first_person, pose_of_picture
from .inputs import checked_image, checked_mask, checked_poses
from .kinds import PoseKeypoint, schema


class InhabitPoseRetarget(io.ComfyNode):
    """Bones, head and hands of the character, on the driving poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitPoseRetarget",
            display_name="Inhabit Pose Retarget",
            category="Inhabit/motion",
            search_aliases=[
                "retarget",
                "bone length",
                "proportions",
                "body shape",
                "inverse kinematics",
                "wan animate",
            ],
            description="Gives the poses the character's own proportions; feet, seat and hands on objects stay.",
            inputs=[
                PoseKeypoint.Input("pose", tooltip="Of the driving video, one entry a frame; the first person counts."),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="Picture of the character, whole and from the front; its pose is found in it.",
                ),
                PoseKeypoint.Input(
                    "reference_pose", optional=True, tooltip="Pose of that picture, in place of finding it."
                ),
                io.Mask.Input(
                    "objects",
                    optional=True,
                    tooltip="1 on what hands hold or lean on: there they stay.",
                ),
            ],
            outputs=[PoseKeypoint.Output("pose_out", display_name="pose", tooltip="The same frames, in pixels.")],
        )

    @classmethod
    def execute(cls, pose, reference=None, reference_pose=None, objects=None) -> io.NodeOutput:
        poses = checked_poses(pose)
        return io.NodeOutput(retarget_keypoints(poses, _reference(reference, reference_pose), _planes(objects, poses)))


def _reference(picture: Tensor | None, pose) -> Pose:
    if pose is not None:
        return first_person(checked_poses(pose), "reference_pose")
    if picture is None:
        raise InputError("neither reference nor reference_pose is connected; connect one of them")
    return pose_of_picture(checked_image(picture, "reference")[:1], "reference")


def _planes(objects: Tensor | None, poses: list[dict]) -> list | None:
    """The masks, one a pose; one mask holds for all."""
    if objects is None:
        return None
    masks = checked_mask(objects, "objects")
    return list((masks.expand(len(poses), -1, -1) if len(masks) == 1 else masks).numpy())
