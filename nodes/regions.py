"""Pose keypoints → hand, face and contact regions, and the hands' motion-blur maps."""

from __future__ import annotations

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..errors import InputError
from ..models.config import TYPICAL_SHARPNESS
from ..perception import blur_maps, face_crops, hand_face_regions, measure_hand_blur, override_sharpness
from .host.settings import model_config
from .inputs import check_video, checked_image, checked_poses
from .kinds import WIDTH_AND_HEIGHT, PoseKeypoint, rare, schema


class InhabitHandFaceRegions(io.ComfyNode):
    """Where hands and faces are, and where they meet."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitHandFaceRegions",
            display_name="Inhabit Hand and Face Regions",
            category="Inhabit/masks",
            search_aliases=["hand mask", "face mask", "face crop", "contact", "keypoints to mask", "wan animate"],
            description="Masks of hands, faces and of their contact, from pose keypoints; square pictures of the face.",
            inputs=[
                PoseKeypoint.Input("pose", tooltip="One entry a frame, in pixels or 0…1; missing parts may be empty."),
                io.Int.Input("width", **WIDTH_AND_HEIGHT),
                io.Int.Input("height", **WIDTH_AND_HEIGHT),
                io.Float.Input(
                    "dilation",
                    default=8.0,
                    min=0.0,
                    max=512.0,
                    step=1.0,
                    tooltip="Pixels that every region grows by. Contact is where the grown hands and face overlap.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="The driving video, of the pose's length, to cut the face out of."
                ),
                rare(
                    io.Int.Input,
                    "face_size",
                    default=512,
                    min=8,
                    max=2048,
                    step=8,
                    optional=True,
                    tooltip="Side of face_crop in pixels; WanAnimateToVideo works with 512.",
                ),
            ],
            outputs=[
                io.Mask.Output("hands", tooltip="1 on both hands of everybody in the frame."),
                io.Mask.Output("face", tooltip="1 on the faces."),
                io.Mask.Output("contact", tooltip="1 where a hand is on a face."),
                io.Image.Output(
                    "face_crop", tooltip="Needs the image input. A square around the first person's face, every frame."
                ),
            ],
        )

    @classmethod
    def execute(cls, pose, width: int, height: int, dilation: float, image=None, face_size: int = 512) -> io.NodeOutput:
        poses = checked_poses(pose)
        if image is not None:
            image = checked_image(image, "image")
            check_video("image", image, len(poses), width, height)
        regions = hand_face_regions(poses, width, height, dilation)
        return io.NodeOutput(regions.hands, regions.face, regions.contact, _faces(poses, image, face_size))


def _faces(poses: list[dict], image: Tensor | None, size: int) -> Tensor | ExecutionBlocker:
    """Return pictures of the face, or what stops the nodes behind this output alone and says why."""
    if image is None:
        return ExecutionBlocker("face_crop needs the image input")
    try:
        return face_crops(poses, image, size)
    except InputError as error:  # nobody's face: the masks are good all the same
        return ExecutionBlocker(f"face_crop: {error}")


class InhabitMotionBlur(io.ComfyNode):
    """HIA's motion-blur conditions, and the artist's say in them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitMotionBlur",
            display_name="Inhabit Motion Blur",
            category="Inhabit/motion",
            search_aliases=["hand sharpness", "sharp hands", "blurry hands", "hand movement"],
            description="How the hands move and how sharp they are, painted over them. Ask for sharp or blurred hands.",
            inputs=[
                PoseKeypoint.Input("pose", tooltip="One entry a frame; the first person's hands count."),
                io.Int.Input("width", **WIDTH_AND_HEIGHT),
                io.Int.Input("height", **WIDTH_AND_HEIGHT),
                io.String.Input(
                    "sharpness_override",
                    default="",
                    multiline=True,
                    tooltip="One request a line: `left 0-24 sharp`, `right 30- 0.3`, `both blurred`. Empty: measured.",
                ),
                io.Image.Input(
                    "driving", optional=True, tooltip="Measure the sharpness there; without it every hand is medium."
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="Its training says what counts as sharp: connect any model but inhabit-puppets.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "blur_map",
                    tooltip="Red and green: movement in x and y, 0.5 is none. Blue: sharpness, 0 off the hands.",
                ),
                io.Float.Output(
                    "sharpness", is_output_list=True, tooltip="0…1, two a frame: the left hand's, the right hand's."
                ),
            ],
        )

    @classmethod
    def execute(cls, pose, width: int, height: int, sharpness_override: str, driving=None, model=None) -> io.NodeOutput:
        poses = checked_poses(pose)
        if driving is not None:
            driving = checked_image(driving, "driving")
            check_video("driving", driving, len(poses), width, height)
        typical = TYPICAL_SHARPNESS if model is None else model_config(model).pose.typical_sharpness
        blur = measure_hand_blur(poses, width, height, driving, typical=typical)
        blur = override_sharpness(blur, sharpness_override)
        return io.NodeOutput(blur_maps(blur, width, height), blur.sharpness.flatten().tolist())
