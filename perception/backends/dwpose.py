"""DWPose (Yang et al. 2023) of 133 points, and YOLOX for people's boxes, both as TorchScript files of the user's.

TorchScript is read by torch.jit alone, which runs the network's own operators and unpickles no Python objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...media.opencv import cv2
from ...weights.user_models import UserModel
from ..follow import Follow
from .protocols import PersonInFrame
from .top_down import follow_person
from .user_networks import device, folder_of

POSE_FILE, PEOPLE_FILE = "dw-ll_ucoco_384_bs5.torchscript.pt", "yolox_l.torchscript.pt"
DWPOSE = UserModel(
    name="dwpose",
    page="https://huggingface.co/hr16/DWPose-TorchScript-BatchSize5 and https://huggingface.co/hr16/yolox-onnx",
    licence="Apache-2.0",
    files=((POSE_FILE,), (PEOPLE_FILE,)),
    usual=("dwpose", "DWPose"),
)
WIDTH, HEIGHT, BATCH = 288, 384, 5  # of the pose network's input
STEPS = 2  # bins a pixel, of SimCC
PADDING = 1.25
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SEEN = 0.3
SIDE, GREY, STRIDES = 640, 114, (8, 16, 32)  # of YOLOX
A_PERSON, SAME_BOX = 0.3, 0.45
PERSON_CLASS = 0


class DWPose:
    """A `PoseEstimator`."""

    name = DWPOSE.name

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        return DWPOSE.why_missing()

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[PersonInFrame]:
        """See `PoseEstimator`. Raises InputError, before the first frame is read, where it is not available."""
        folder = folder_of(DWPOSE)
        pose, people = (_load(folder / name) for name in (POSE_FILE, PEOPLE_FILE))
        return follow_person(
            frames, lambda frame: people_boxes(frame, people), lambda frame, box: points(frame, box, pose), SEEN, follow
        )


def _load(path) -> torch.jit.ScriptModule:
    try:
        return torch.jit.load(str(path), map_location=device()).eval()
    except RuntimeError as error:
        raise InputError(f"{path} is no TorchScript file: {str(error).strip().splitlines()[0]}") from error


@torch.no_grad()
def people_boxes(frame: np.ndarray, network: torch.jit.ScriptModule) -> np.ndarray:
    """Boxes (N, 4) left, top, right, bottom of people in a frame, in pixels."""
    height, width = frame.shape[:2]
    scale = min(SIDE / height, SIDE / width)
    small = cv2.resize(frame, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_LINEAR)
    given = np.full((SIDE, SIDE, 3), GREY, np.float32)
    given[: small.shape[0], : small.shape[1]] = small[..., ::-1]  # YOLOX was trained on BGR, 0…255
    found = network(torch.from_numpy(given).permute(2, 0, 1)[None].to(device()))[0].float().cpu()
    return decoded_people(found).numpy() / scale


def decoded_people(found: Tensor) -> Tensor:
    """YOLOX's raw output (cells, 5 + classes) → boxes (N, 4) of people in pixels of its input, the surest first."""
    from torchvision.ops import nms

    cells, strides = [], []
    for stride in STRIDES:
        side = SIDE // stride
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        cells.append(torch.stack([columns, rows], dim=-1).reshape(-1, 2))
        strides.append(torch.full((side * side, 1), stride))
    cell, stride = torch.cat(cells), torch.cat(strides)
    middle, half = (found[:, :2] + cell) * stride, found[:, 2:4].exp() * stride / 2
    scores = found[:, 4] * found[:, 5 + PERSON_CLASS]
    sure = scores > A_PERSON
    boxes = torch.cat([middle - half, middle + half], dim=1)[sure]
    return boxes[nms(boxes, scores[sure], SAME_BOX)]


@torch.no_grad()
def points(frame: np.ndarray, box: np.ndarray, network: torch.jit.ScriptModule) -> np.ndarray:
    """(133, 3) of the person in a box: continuous pixels, whose centres lie at .5, and score."""
    centre, sides = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * PADDING
    scale = max(sides[0] / WIDTH, sides[1] / HEIGHT, 1e-6)  # of the picture's pixels in one of the input's
    corner = centre - scale * np.array([WIDTH, HEIGHT]) / 2
    matrix = np.column_stack([np.eye(2) / scale, (0.5 - corner) / scale - 0.5])
    crop = cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR).astype(np.float32)
    given = torch.from_numpy((crop - np.float32(MEAN)) / np.float32(DEVIATION)).permute(2, 0, 1)
    across, down = network(given.expand(BATCH, -1, -1, -1).contiguous().to(device()))  # traced for a batch of five
    place, score = decoded_points(across[0].float().cpu(), down[0].float().cpu())
    return np.column_stack([corner + (place.numpy() + 0.5) * scale, score.numpy()])


def decoded_points(across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """SimCC's two rows of bins (133, bins) → places (133, 2) in the input's pixels, and scores (133,)."""
    (width, column), (height, row) = across.max(dim=1), down.max(dim=1)
    return torch.stack([column, row], dim=1) / STEPS, torch.minimum(width, height)
