"""A steady window around the person: everything cut to it, and the result put back."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..errors import InputError
from ..media import parse_poses
from ..perception.person_crop import PersonCrop, cut_to, mask_boxes, person_boxes, person_crop, poses_cut_to
from ..pipeline.uncrop import put_back
from .inputs import check_video, checked_image, checked_mask, checked_poses, mask_of, same_frames
from .kinds import PoseKeypoint, rare, schema

Crop = io.Custom("INHABIT_CROP")


class InhabitCropToPerson(io.ComfyNode):
    """Small people are drawn best alone: `perception.person_crop`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitCropToPerson",
            display_name="Inhabit Crop to Person",
            category="Inhabit",
            search_aliases=["crop person", "zoom", "small person", "inpaint crop", "stitch", "follow crop"],
            description="Cuts pictures, masks and poses to a steady window around one person, all alike.",
            inputs=[
                io.Image.Input("image", tooltip="The driving video."),
                io.Int.Input("width", default=512, min=8, max=8192, step=8, tooltip="Of the pictures that come out."),
                io.Int.Input("height", default=512, min=8, max=8192, step=8, tooltip="Of the pictures that come out."),
                io.Float.Input(
                    "margin",
                    default=0.2,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Room on each side, in lengths of the person's box: for hair, clothes, what is held.",
                ),
                PoseKeypoint.Input("pose", optional=True, tooltip="Where the person is: the first one of each frame."),
                io.Mask.Input(
                    "mask", optional=True, tooltip="The person's pixels; tells where they are without a pose."
                ),
                io.Mask.Input("objects", optional=True, tooltip="A mask that is cut alike."),
                io.Image.Input(
                    "depth", optional=True, tooltip="Pictures that are cut alike: depth, a plate, any other."
                ),
                rare(
                    io.Float.Input,
                    "frame_rate",
                    default=24.0,
                    min=1.0,
                    max=240.0,
                    step=1.0,
                    optional=True,
                    tooltip="Frames a second: a window that moves does so over half a second.",
                ),
            ],
            outputs=[
                io.Image.Output("image_out", display_name="image"),
                Crop.Output("crop", tooltip="For Inhabit Uncrop."),
                PoseKeypoint.Output("pose_out", display_name="pose", tooltip="Needs the pose input."),
                io.Mask.Output("mask_out", display_name="mask", tooltip="Needs the mask input."),
                io.Mask.Output("objects_out", display_name="objects", tooltip="Needs the objects input."),
                io.Image.Output("depth_out", display_name="depth", tooltip="Needs the depth input."),
            ],
        )

    @classmethod
    def execute(
        cls, image, width, height, margin, pose=None, mask=None, objects=None, depth=None, frame_rate=24.0
    ) -> io.NodeOutput:
        image, size = checked_image(image, "image"), (width, height)
        mask = None if mask is None else mask_of(image, mask, "image", "mask")
        objects = None if objects is None else mask_of(image, objects, "image", "objects")
        depth = None if depth is None else checked_image(depth, "depth")
        if depth is not None:
            same_frames(image, depth, "image", "depth")
        poses = None if pose is None else checked_poses(pose)
        crop = person_crop(_boxes(image, poses, mask), _size(image), frame_rate, width / height, margin, multiple=1)
        return io.NodeOutput(
            cut_to(image, crop, size),
            crop,
            _missing("pose") if poses is None else poses_cut_to(poses, crop, size),
            *(
                _missing(name) if values is None else cut_to(values, crop, size)
                for name, values in (("mask", mask), ("objects", objects), ("depth", depth))
            ),
        )


class InhabitUncrop(io.ComfyNode):
    """What was drawn in the window, at its place in the whole picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitUncrop",
            display_name="Inhabit Uncrop",
            category="Inhabit",
            search_aliases=["put crop back", "stitch", "paste crop", "restore size"],
            description="Puts what was made of the window of Inhabit Crop to Person back into the whole picture.",
            inputs=[
                io.Image.Input("result", tooltip="Made of the window's pictures, as many; of any size."),
                io.Image.Input("image", tooltip="The whole video that the window was cut out of."),
                Crop.Input("crop", tooltip="From Inhabit Crop to Person."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Of the result's size: only there is it put back. Without: everywhere.",
                ),
            ],
            outputs=[io.Image.Output("image_out", display_name="image")],
        )

    @classmethod
    def execute(cls, result, image, crop, mask=None) -> io.NodeOutput:
        result, image = checked_image(result, "result"), checked_image(image, "image")
        _check_crop(crop, image)
        if len(result) != len(image):
            raise InputError(f"result has {len(result)} frames but image has {len(image)}; give both as many")
        weights = torch.ones(result.shape[:3]) if mask is None else mask_of(result, mask, "result", "mask")
        whole = torch.empty_like(image)
        for index, frames in enumerate(zip(result, weights, image, strict=True)):
            whole[index] = put_back(*frames, crop, index)
        return io.NodeOutput(whole)


def _boxes(image: Tensor, poses: list[dict] | None, mask: Tensor | None):
    if poses is not None:
        check_video("image", image, len(poses), *_size(image))
        return person_boxes(parse_poses(poses, *_size(image)))
    if mask is None:
        raise InputError("neither pose nor mask tells where the person is; connect one of them")
    return mask_boxes(checked_mask(mask, "mask").numpy())


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[2], image.shape[1]


def _missing(name: str) -> ExecutionBlocker:
    return ExecutionBlocker(f"{name} needs the {name} input")


def _check_crop(crop, image: Tensor) -> None:
    if not isinstance(crop, PersonCrop):
        raise InputError(f"crop is a {type(crop).__name__}; connect the crop of Inhabit Crop to Person")
    if len(crop) != len(image):
        raise InputError(f"image has {len(image)} frames but crop was made of {len(crop)}; give both as many")
    if crop.picture != _size(image):
        sizes = ("{}x{}".format(*size) for size in (_size(image), crop.picture))
        raise InputError("image is {} but crop was made of {}; resize one so that both agree".format(*sizes))
