"""What a video shows: poses and mask of its person, depth, objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..media import Clip, to_uint8
from ..media.pose import PARTS
from ..perception import render_skeleton
from ..perception.backends import DEPTH_ESTIMATORS, OBJECT_LOCATORS, POSE_ESTIMATORS, LocatedObject
from ..perception.follow import LARGEST, Follower, parse_choice
from ..pipeline.perceived import perceive
from ..pipeline.perceived_depth import depth_at, perceive_depth
from .inputs import checked_image, chosen, number
from .kinds import BoundingBox, PoseKeypoint, schema


class PictureClip(Clip):
    """An IMAGE (F, H, W, 3), 0…1, as a clip of `fps` frames a second; a bar grows by each frame that is read."""

    def __init__(self, image: Tensor, fps: float):
        self.path, self.fps = Path("video"), fps
        self.size = self.stored_size = (image.shape[2], image.shape[1])
        self.times = np.arange(len(image)) / fps
        self._image = image

    def _frames(self, start: int, stop: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
        bar = comfy.utils.ProgressBar(stop - start)
        for picture in self._image[start:stop]:
            comfy.model_management.throw_exception_if_processing_interrupted()
            yield to_uint8(picture)
            bar.update(1)


class InhabitPoseEstimator(io.ComfyNode):
    """Follows one person through a video: keypoints, drawn skeletons and the mask of their pixels."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitPoseEstimator",
            display_name="Inhabit Pose Estimator",
            category="Inhabit/motion",
            search_aliases=["openpose", "dwpose", "mediapipe", "video to pose", "person mask", "mocap", "matte"],
            description="Finds one person of a video and follows them: pose keypoints, skeletons and their mask.",
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Image, io.Video],
                    tooltip="The driving video: IMAGE, one frame after another, or VIDEO.",
                ),
                io.Combo.Input(
                    "backend",
                    options=list(POSE_ESTIMATORS),
                    default=next(iter(POSE_ESTIMATORS)),
                    tooltip="The model. Where its files are missing, the node says what to do.",
                ),
                io.String.Input(
                    "person",
                    default=LARGEST,
                    tooltip="Who: largest; or a number, counted from the left, from 1; or X,Y of a pixel on them.",
                ),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames a second of an IMAGE, for smoothing. A VIDEO tells its own.",
                ),
            ],
            outputs=[
                PoseKeypoint.Output("pose", tooltip="One person or nobody a frame, in pixels."),
                io.Image.Output("skeleton", tooltip="Drawn on black, of the video's size."),
                io.Mask.Output("character", tooltip="The person's pixels."),
            ],
        )

    @classmethod
    def execute(cls, video, backend: str, person: str, fps: float = 24.0) -> io.NodeOutput:
        chosen(backend, list(POSE_ESTIMATORS), "backend")
        clip = clip_of(video, number(fps, "fps"))
        follow = Follower(parse_choice(person, clip.size))
        with torch.inference_mode(False), torch.no_grad():
            perceived = perceive(clip, POSE_ESTIMATORS[backend](), follow=follow)
        skeleton = render_skeleton(perceived.keypoints, *clip.size)
        return io.NodeOutput(
            [_with_all_parts(frame) for frame in perceived.keypoints], skeleton, perceived.mask_at(clip.size).tensor()
        )


class InhabitDepthEstimator(io.ComfyNode):
    """Tells how near every pixel of a video is, on one scale through the clip."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitDepthEstimator",
            display_name="Inhabit Depth Estimator",
            category="Inhabit/motion",
            search_aliases=["depth anything", "depth map", "structured depth", "midas", "zoe"],
            description="Depth of every frame, white is near, on one scale through the clip.",
            inputs=[
                io.Image.Input("image", tooltip="The driving video, one frame after another."),
                io.Combo.Input(
                    "backend",
                    options=list(DEPTH_ESTIMATORS),
                    default=next(iter(DEPTH_ESTIMATORS)),
                    tooltip="The model; landmark-z is a rough fallback that knows the limbs alone.",
                ),
            ],
            outputs=[io.Image.Output("depth", tooltip="Grey, of the video's size; white is near.")],
        )

    @classmethod
    def execute(cls, image, backend: str) -> io.NodeOutput:
        chosen(backend, list(DEPTH_ESTIMATORS), "backend")
        clip = PictureClip(checked_image(image, "image"), 24.0)
        with torch.inference_mode(False), torch.no_grad():
            depth = depth_at(perceive_depth(clip, DEPTH_ESTIMATORS[backend]()), clip.size).tensor()
        return io.NodeOutput(depth.unsqueeze(-1).expand(-1, -1, -1, 3).contiguous())


class InhabitObjectLocator(io.ComfyNode):
    """Boxes of what a text names, in core's own form."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitObjectLocator",
            display_name="Inhabit Object Locator",
            category="Inhabit/motion",
            search_aliases=["grounding dino", "detect", "bounding box", "find object", "text to box"],
            description="Finds what a text names in every frame, as boxes.",
            inputs=[
                io.Image.Input("image", tooltip="The video, one frame after another."),
                io.String.Input("text", default="guitar", tooltip="What to look for, with commas between several."),
                io.Combo.Input(
                    "backend",
                    options=list(OBJECT_LOCATORS),
                    default=next(iter(OBJECT_LOCATORS)),
                    tooltip="The model. Where its files are missing, the node says what to do.",
                ),
            ],
            outputs=[
                BoundingBox.Output("boxes", tooltip="A list a frame, of x, y, width, height, label and score."),
                io.Mask.Output("preview", tooltip="1 in all boxes of a frame."),
            ],
        )

    @classmethod
    def execute(cls, image, text: str, backend: str) -> io.NodeOutput:
        chosen(backend, list(OBJECT_LOCATORS), "backend")
        clip = PictureClip(checked_image(image, "image"), 24.0)
        locator = OBJECT_LOCATORS[backend]()
        with torch.inference_mode(False), torch.no_grad():
            found = list(locator.locate(clip.frames(), text))
        preview = torch.zeros(len(found), *clip.size[::-1])
        for plane, objects in zip(preview, found, strict=True):
            for located in objects:
                left, top, right, bottom = (max(0, round(side)) for side in located.box)
                plane[top:bottom, left:right] = 1
        return io.NodeOutput([[_box(located) for located in objects] for objects in found], preview)


def _box(located: LocatedObject) -> dict:
    left, top, right, bottom = located.box
    sides = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    return sides | {"label": located.label, "score": located.score}


def clip_of(video, fps: float) -> PictureClip:
    """An IMAGE or VIDEO as a clip. fps: of an IMAGE. Raises InputError for anything else.

    Gap: a VIDEO is decoded as a whole, as core's Get Video Components does.
    """
    if hasattr(video, "get_components"):
        components = video.get_components()
        return PictureClip(checked_image(components.images, "video"), float(components.frame_rate))
    return PictureClip(checked_image(video, "video"), fps)


def _with_all_parts(frame: dict) -> dict:
    """Zeros in place of a part that is null: core's SDPose nodes read every part as numbers."""
    people = [
        person | {key: person.get(key) or [0.0] * 3 * count for key, count in PARTS.values()}
        for person in frame["people"]
    ]
    return frame | {"people": people}
