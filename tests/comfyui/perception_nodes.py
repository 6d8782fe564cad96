"""Runs in a process of its own, with ComfyUI on the path: nodes that perceive, and what core's own ones give to ours.
Prints what `test_perception_nodes.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/perception_nodes.py
"""

from __future__ import annotations

import importlib.util
import json
from fractions import Fraction

import latents  # noqa: F401 - before anything else of ComfyUI: it asks for the CPU
import numpy as np
import torch

# isort: split
from comfy_api.latest import InputImpl, Types
from inhabit.errors import InputError
from inhabit.media import parse_poses, to_float
from inhabit.nodes.masks import InhabitShapeAgnosticMask
from inhabit.nodes.perceive import InhabitPoseEstimator, _box
from inhabit.nodes.regions import InhabitHandFaceRegions
from inhabit.nodes.skeleton import InhabitSkeletonRenderer
from inhabit.perception.backends import POSE_ESTIMATORS, LocatedObject
from inhabit.scenes import render_scene

SIZE, FRAMES = 512, 4


def perceived() -> dict:
    """The estimator on a puppet, as IMAGE and as VIDEO, against the scene's truth."""
    reason = POSE_ESTIMATORS["mediapipe"]().available()
    if reason is not None:
        return {"reason": reason, "said": _said(torch.zeros(1, 64, 64, 3))}
    scene = render_scene(900_001, "walk", FRAMES, SIZE, SIZE)
    image = to_float(scene.driving)
    video = InputImpl.VideoFromComponents(Types.VideoComponents(images=image, frame_rate=Fraction(24)))
    pose, skeleton, character = InhabitPoseEstimator.execute(image, "mediapipe", "largest", 24.0).args
    again = InhabitPoseEstimator.execute(video, "mediapipe", "1", 5.0).args
    errors = []
    for frame, truth in zip(parse_poses(pose, SIZE, SIZE), parse_poses(scene.pose, SIZE, SIZE), strict=True):
        [person], [exact] = frame, truth
        both = (person.body[:, 2] > 0) & (exact.body[:, 2] > 0)
        errors.append(float(np.linalg.norm((person.body - exact.body)[both, :2], axis=1).mean()) / SIZE)
    shared = ((character > 0.5) & torch.from_numpy(scene.character > 127)).sum() / (
        (character > 0.5) | torch.from_numpy(scene.character > 127)
    ).sum()
    return {
        "error": max(errors),
        "shared": float(shared),
        "skeleton": list(skeleton.shape),
        "a video is the image": float((again[1] - skeleton).abs().max()),
        "nobody": _said(torch.full((2, 64, 64, 3), 0.5)),
        "drawn by core": _drawn_by_core(pose),
    }


def _said(image: torch.Tensor) -> str:
    try:
        InhabitPoseEstimator.execute(image, "mediapipe", "largest", 24.0)
    except InputError as error:
        return str(error)
    return ""


def _drawn_by_core(pose: list[dict]) -> float | None:
    """The share of pixels that core's SDPose node draws; None where this core has none."""
    if importlib.util.find_spec("comfy_extras.nodes_sdpose") is None:
        return None
    from comfy_extras.nodes_sdpose import SDPoseDrawKeypoints

    [drawn] = SDPoseDrawKeypoints.execute(pose, True, True, True, False, 4, 3, 0.3, True).args
    return float((drawn > 0).any(dim=-1).float().mean())


def sdpose() -> dict | None:
    """Core's own layout of what SDPose finds, drawn by our nodes where core draws it."""
    if importlib.util.find_spec("comfy_extras.nodes_sdpose") is None:
        return None
    from comfy_extras.nodes_sdpose import SDPoseDrawKeypoints, _to_openpose_frames

    random = np.random.default_rng(1)
    points = random.uniform(20, 236, (133, 2))
    frames = _to_openpose_frames([[points]], [[np.full(133, 0.9)]], 256, 256)
    ours = InhabitSkeletonRenderer.execute(frames, 256, 256).args[0]
    [theirs] = SDPoseDrawKeypoints.execute(frames, True, True, True, False, 4, 3, 0.3, True).args
    lit = [(picture > 0.1).any(dim=-1) for picture in (ours, theirs)]
    regions = InhabitHandFaceRegions.execute(frames, 256, 256, 1.0).args
    body = parse_poses(frames, 256, 256)[0][0].body
    return {
        "shared": float((lit[0] & lit[1]).sum() / lit[1].sum()),
        "nose": float(np.abs(body[0, :2] - points[0]).max()),
        "hands": float(regions[0].max()),
    }


def others() -> dict | None:
    """Masks of core's SAM 3 tracks, Depth Anything 3's pictures, and our boxes drawn by core; None in older cores."""
    if importlib.util.find_spec("comfy_extras.nodes_depth_anything_3") is None:
        return None
    from comfy.ldm.sam3.tracker import pack_masks
    from comfy_extras.nodes_depth_anything_3 import DA3Render
    from comfy_extras.nodes_rtdetr import DrawBBoxes
    from comfy_extras.nodes_sam3 import SAM3_TrackToMask

    square = torch.zeros(2, 1, 32, 32)
    square[..., 8:24, 8:24] = 1
    track = {"packed_masks": pack_masks(square), "orig_size": (64, 64), "n_frames": 2}
    [masks] = SAM3_TrackToMask.execute(track).args
    blocks = InhabitShapeAgnosticMask.execute(masks, 16, 0, 0, False, 1).args[0]
    ramp = torch.linspace(1, 3, 64).expand(2, 256, 64).repeat(1, 1, 4)
    options = {"output": "depth", "normalization": "min_max", "apply_sky_clip": False}
    [depth] = DA3Render.execute({"depth": ramp}, options).args
    pose = render_scene(900_001, "walk", 2, 256, 256).pose
    kept = InhabitSkeletonRenderer.execute(pose, 256, 256, depth).args[1]
    skeleton = InhabitSkeletonRenderer.execute(pose, 256, 256, depth).args[0]
    boxes = [[_box(LocatedObject((8.0, 8.0, 40.0, 24.0), "cup", 0.9))], []]
    [drawn] = DrawBBoxes.execute(boxes, torch.zeros(2, 64, 64, 3)).args
    lit = skeleton.amax(dim=-1) > 0.1
    return {
        "masked": float((blocks * masks).sum() / masks.sum()),
        "depth": float((kept[..., 0] - depth[..., 0] * lit).abs().max()),
        "drawn": [float(drawn[0, 16, 8].max()), float(drawn[0, 50, 50].max()), float(drawn[1].max())],
    }


if __name__ == "__main__":
    print(json.dumps({"perceived": perceived(), "sdpose": sdpose(), "others": others()}))
