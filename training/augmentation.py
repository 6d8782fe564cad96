"""Augmentations of clips of uint8 pictures: AA2's masks, random scale and references, HIA's flips, and our own."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.random import Generator

from ..media.opencv import cv2
from ..media.pose import Pose
from ..perception.masks import inside
from .recipe import PlateRecipe

INFERENCE_BLOCK_PX = 10  # AA2 §3.2: k = size / 10 at inference

# Left and right change places in a mirrored picture: OpenPose-18 body and dlib-68 (+ 2 pupils) face.
BODY_MIRROR = np.array([0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16])
FACE_MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),  # outline, brows, nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),  # mouth
    69, 68,  # pupils
])  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """F frames of one scene and a reference, as uint8 arrays; masks 255 = inside.

    `driving` is the environment's source; `target` the answer (the same frames, or another character's).
    `character`, `object` belong to `driving`; `target_character`, `hands`, `face` to `target`.
    """

    driving: np.ndarray  # (F, H, W, 3)
    target: np.ndarray  # (F, H, W, 3)
    reference: np.ndarray  # (H', W', 3), of any size
    depth: np.ndarray  # (F, H, W) float32 0…1, 1 = near
    character: np.ndarray  # (F, H, W)
    object: np.ndarray
    target_character: np.ndarray
    hands: np.ndarray
    face: np.ndarray
    poses: list[list[Pose]]
    before: list[list[Pose]]  # the poses one frame before each, which tell the movement
    place: np.ndarray | None = None  # (F, H, W, 3) the driving pictures without anybody, where that is known


def mostly(mask: np.ndarray) -> np.ndarray:
    """Where more than half of a pixel is in a mask of 0…255: its colour and place are the character's own there.

    That is for what is shown and measured; what must be hidden, soft edges too, is `inside` of `perception.masks`.
    """
    return mask > 127


def mirror_pose(pose: Pose, width: int) -> Pose:
    """The pose as it appears in the horizontally mirrored picture: x → width − x, left and right exchanged."""

    def mirrored(points: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
        points = points.copy() if order is None else points[order]
        points[:, 0] = np.where(points[:, 2] > 0, width - points[:, 0], points[:, 0])
        return points

    return replace(
        pose,
        body=mirrored(pose.body, BODY_MIRROR),
        left_hand=mirrored(pose.right_hand),
        right_hand=mirrored(pose.left_hand),
        face=mirrored(pose.face, FACE_MIRROR[: len(pose.face)]),
    )


def flip(clip: Clip) -> Clip:
    """Everything mirrored horizontally (HIA A.4); keypoints keep their meaning (the left hand stays a left hand)."""
    width = clip.driving.shape[2]
    changed = {}
    for field in fields(Clip):
        value = getattr(clip, field.name)
        if isinstance(value, np.ndarray):
            axis = 1 if field.name == "reference" else 2
            changed[field.name] = np.ascontiguousarray(np.flip(value, axis))
    for name in ("poses", "before"):
        changed[name] = [[mirror_pose(pose, width) for pose in people] for people in getattr(clip, name)]
    return replace(clip, **changed)


def seen_place(rng: Generator, clip: Clip, recipe: PlateRecipe) -> tuple[np.ndarray, np.ndarray]:
    """A clean plate as inference may have one: (F, H, W, 3) uint8, and (F, H, W) 255 where it is known.

    # Not in paper: nothing of it in a share of the clips, all of it in another, in the rest all but the character's
    core, grown or shrunk, and a box or two; in some of them a pixel or two off, or in another light.
    """
    known = np.zeros_like(clip.character)
    if clip.place is None or rng.random() < recipe.none:
        return np.zeros_like(clip.driving), known
    known[:] = 255
    if rng.random() < recipe.partial:
        reach = int(rng.integers(-6, 7))
        kernel = np.ones((2 * abs(reach) + 1,) * 2, np.uint8)
        change = cv2.dilate if reach > 0 else cv2.erode
        known = np.stack([255 - change(mask, kernel) for mask in clip.character])
        height, width = known.shape[1:]
        for _ in range(int(rng.integers(3))):
            top, left = int(rng.integers(height)), int(rng.integers(width))
            known[:, top : top + int(rng.integers(4, height // 3)), left : left + int(rng.integers(4, width // 3))] = 0
    place = clip.place
    if rng.random() < recipe.wrong:
        place = np.roll(place, tuple(int(shift) for shift in rng.integers(-2, 3, 2)), axis=(1, 2))
        place = np.clip(place * rng.uniform(0.95, 1.05, 3), 0, 255).astype(np.uint8)
    return place, known


def blur_hands(clip: Clip, sigma: float) -> Clip:
    """The target's hands out of focus by a Gaussian of `sigma` pixels, fading into the picture around them.

    The driving pictures are blurred in the same places, so that what the hands hold is seen as the target shows it.
    # Not in paper: a real video's hands are blurred by more than their own movement, and its sharp ones are few.
    """
    weights = [cv2.GaussianBlur(cv2.dilate(mask, np.ones((5, 5), np.uint8)), (0, 0), 1.5) for mask in clip.hands]
    target = _blurred(clip.target, weights, sigma)
    driving = target if clip.driving is clip.target else _blurred(clip.driving, weights, sigma)
    return replace(clip, target=target, driving=driving)


def _blurred(pictures: np.ndarray, weights: list[np.ndarray], sigma: float) -> np.ndarray:
    blurred = [
        picture + (weight[..., None] / 255) * (cv2.GaussianBlur(picture, (0, 0), sigma).astype(np.float32) - picture)
        for picture, weight in zip(pictures, weights, strict=True)
    ]
    return np.rint(np.stack(blurred)).astype(np.uint8)


def scale_character(clip: Clip, factor: float) -> Clip:
    """Random scale augmentation (AA2 §3.2): character and object are cut out, scaled about the feet and pasted back.

    So are they in the driving pictures, and the object's mask, pose, depth and the target's regions follow: what the
    object guider sees is what the target shows. `character` alone stays unscaled, since the formulated mask comes from
    it. What the scaling uncovers is inpainted. See `same_outside` for the environment.
    """
    cut = np.maximum(clip.target_character, clip.object)
    if not cut.any():
        return clip
    matrix = _about_feet(cut, factor)
    size = cut.shape[2], cut.shape[1]

    def warp(frames: np.ndarray) -> np.ndarray:
        return np.stack([cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_LINEAR) for frame in frames])

    def recompose(pictures: np.ndarray, cut: np.ndarray) -> np.ndarray:
        pairs = zip(pictures, cut, warp(cut), strict=True)
        return np.stack([_recompose(*each, matrix, size) for each in pairs])

    target = recompose(clip.target, cut)
    own = np.maximum(clip.character, clip.object)
    moved = mostly(warp(np.maximum(cut, own)))
    return replace(
        clip,
        target=target,
        driving=target if clip.driving is clip.target else recompose(clip.driving, own),
        depth=np.where(moved, warp(clip.depth), clip.depth),
        object=warp(clip.object),
        target_character=warp(clip.target_character),
        hands=warp(clip.hands),
        face=warp(clip.face),
        poses=[[_warp_pose(pose, matrix) for pose in people] for people in clip.poses],
        before=[[_warp_pose(pose, matrix) for pose in people] for people in clip.before],
    )


def same_outside(clip: Clip, mask_FHW: np.ndarray) -> Clip:
    """The driving pictures as the target is wherever the formulated mask (F, H, W), 0 or 1, keeps them.

    So the environment never contradicts the target, and what the mask keeps is always to be kept; AA2 §3.2 takes the
    environment from the recomposed video itself.
    # Not in paper: where the target's character reaches beyond the mask (scaled, blurred, or another one than in the
    driving pictures) the environment therefore shows that part of it. The alternatives are to cut it off there, or to
    ask for something else than what is shown.
    """
    keep = mask_FHW[..., None] == 0
    return replace(clip, driving=np.where(keep, clip.target, clip.driving))


def _about_feet(mask_FHW: np.ndarray, factor: float) -> np.ndarray:
    """2×3 matrix scaling about the bottom centre of the clip's union box."""
    rows, columns = np.nonzero(mostly(mask_FHW.max(0)))
    if rows.size == 0:
        rows, columns = np.nonzero(mask_FHW.max(0))
    x, y = (columns.min() + columns.max()) / 2, float(rows.max())
    return np.array([[factor, 0, x * (1 - factor)], [0, factor, y * (1 - factor)]], np.float64)


def _recompose(image: np.ndarray, cut: np.ndarray, scaled: np.ndarray, matrix: np.ndarray, size: tuple) -> np.ndarray:
    uncovered = ((cut > 0) & (scaled < 255)).astype(np.uint8)
    base = image
    if uncovered.any():
        hole = cv2.dilate((cut > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        base = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)
    warped = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = scaled[..., None].astype(np.float32) / 255
    return np.rint(base * (1 - alpha) + warped * alpha).astype(np.uint8)


def _warp_pose(pose: Pose, matrix: np.ndarray) -> Pose:
    def moved(points: np.ndarray) -> np.ndarray:
        points = points.copy()
        present = points[:, 2] > 0
        centres = points[present, :2] - 0.5  # keypoints count from pixel edges, OpenCV's matrix from pixel centres
        points[present, :2] = centres @ matrix[:, :2].T + matrix[:, 2] + 0.5
        return points

    return replace(
        pose,
        body=moved(pose.body),
        left_hand=moved(pose.left_hand),
        right_hand=moved(pose.right_hand),
        face=moved(pose.face),
    )


def random_blocks(rng: Generator, mask_FHW: np.ndarray, inference_share: float) -> tuple[int, int] | None:
    """Numbers of blocks (k_h, k_w) for AA2 §3.2, eq. 2, k_h in 1…h and k_w in 1…w of the clip's largest box in pixels.

    None with probability `inference_share`: inference's own blocks of about 10 px.
    """
    if rng.random() < inference_share:
        return None
    height, width = _largest_box(mask_FHW)
    # Not in paper: log-uniform, since half of all uniform draws would give blocks of one or two pixels.
    return tuple(int(round(np.exp(rng.uniform(0, np.log(max(side, 1)))))) for side in (height, width))


def _largest_box(mask_FHW: np.ndarray) -> tuple[int, int]:
    heights, widths = [1], [1]
    for mask in inside(torch.from_numpy(mask_FHW)).numpy():
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        if rows.size:
            heights.append(int(rows[-1] - rows[0] + 1))
            widths.append(int(columns[-1] - columns[0] + 1))
    return max(heights), max(widths)


def random_background(rng: Generator, height: int, width: int) -> np.ndarray:
    """Smooth random colours with a little texture, uint8 (H, W, 3)."""
    coarse = rng.integers(0, 256, (*rng.integers(1, 6, 2), 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    picture += rng.normal(0, rng.uniform(0, 8), (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def reference_from_frame(rng: Generator, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The character of one frame, centre-cropped with a margin, on a random background (AA2 §4.1)."""
    height, width = mask.shape
    rows, columns = (np.flatnonzero(mostly(mask).any(axis)) for axis in (1, 0))
    background = random_background(rng, height, width).astype(np.float32)
    if not rows.size:
        raise ValueError("the frame shows no character")
    box_height, box_width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    scale = rng.uniform(0.8, 0.95) * min(height / box_height, width / box_width)
    x, y = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    matrix = np.array([[scale, 0, (width - 1) / 2 - scale * x], [0, scale, (height - 1) / 2 - scale * y]])
    picture = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, (width, height))[..., None].astype(np.float32) / 255
    return np.rint(background * (1 - alpha) + picture * alpha).astype(np.uint8)
