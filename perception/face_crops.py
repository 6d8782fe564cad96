"""Square pictures of the face, frame by frame, as animation models take them beside the pose."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .regions import hand_face_regions

ROOM = 1.5  # Not in paper: the square's side, in the longer side of the face's own box


def face_crops(poses: Sequence[dict], video: Tensor, size: int) -> Tensor:
    """Cut the first person's face out of a video (F, H, W, 3), 0…1, as squares (F, size, size, 3).

    poses: POSE_KEYPOINT dicts, one a frame. A frame without a face is cut where the nearest frame has one. A square
    that would reach out of the picture is moved inside, and is never larger than the picture's shorter side.
    Raises InputError where no frame has a face, and for poses as `parse_poses` does.
    """
    height, width = video.shape[1:3]
    first = [{**frame, "people": (frame.get("people") or [])[:1]} for frame in poses]
    faces = hand_face_regions(first, width, height, dilation=0).face > 0
    seen = faces.flatten(1).any(dim=1).nonzero().flatten()
    if not len(seen):
        raise InputError(f"pose has no face in any of its {len(poses)} frames, so that there is nothing to cut out")
    nearest = (torch.arange(len(poses))[:, None] - seen).abs().argmin(dim=1)
    squares = [_cut(frame, faces[seen[index]]) for frame, index in zip(video, nearest.tolist(), strict=True)]
    return torch.cat([_resized(square, size) for square in squares])


def _cut(frame: Tensor, face: Tensor) -> Tensor:
    """Return the square of a picture (H, W, 3) around the True of a mask (H, W)."""
    rows, columns = (face.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    extents = [(int(found[0]), int(found[-1]) + 1) for found in (rows, columns)]
    side = min(round(ROOM * max(end - start for start, end in extents)), *face.shape)
    starts = [
        min(max(0, round((start + end - side) / 2)), whole - side)
        for (start, end), whole in zip(extents, face.shape, strict=True)
    ]
    return frame[starts[0] : starts[0] + side, starts[1] : starts[1] + side]


def _resized(picture: Tensor, size: int) -> Tensor:
    """(H, W, 3) → (1, size, size, 3)."""
    channels_first = picture.movedim(-1, 0)[None]
    resized = functional.interpolate(channels_first, (size, size), mode="bilinear", antialias=True)
    return resized.movedim(1, -1).clamp(0, 1)
