"""ViTPose (Xu et al. 2022) by transformers, of 17 or 133 points; people's boxes by RT-DETR. Both from the user's files.

Gap: of several data sets that a ViTPose+ was trained on, the first is asked for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from ...errors import InputError
from ...weights.user_models import TRANSFORMERS, UserModel
from ..follow import Follow
from .coco_layouts import BODY_POINTS, WHOLE_POINTS
from .protocols import PersonInFrame
from .top_down import follow_person
from .user_networks import folder_of, load_network, load_processor

VITPOSE = UserModel(
    name="vitpose",
    page="https://huggingface.co/usyd-community/vitpose-base-simple",
    licence="Apache-2.0",
    files=TRANSFORMERS,
)
RT_DETR = UserModel(
    name="rt-detr",
    page="https://huggingface.co/PekingU/rtdetr_r50vd",
    licence="Apache-2.0",
    files=TRANSFORMERS,
)
SEEN, A_PERSON = 0.3, 0.5  # scores of a point and of a box from which they count
PERSON_LABEL = 0  # of COCO


class VitPose:
    """A `PoseEstimator`."""

    name = VITPOSE.name

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        if importlib.util.find_spec("scipy") is None:
            return "vitpose: transformers cuts its crops with scipy, which is not installed: pip install scipy"
        return VITPOSE.why_missing() or RT_DETR.why_missing()

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[PersonInFrame]:
        """See `PoseEstimator`. Raises InputError, before the first frame is read, where it is not available."""
        from transformers import (
            RTDetrForObjectDetection,
            RTDetrImageProcessor,
            VitPoseForPoseEstimation,
            VitPoseImageProcessor,
        )

        reason = self.available()
        if reason is not None:
            raise InputError(reason)
        folder, finder = folder_of(VITPOSE), folder_of(RT_DETR)
        network = load_network(VitPoseForPoseEstimation, folder)
        if network.config.num_labels not in (BODY_POINTS, WHOLE_POINTS):
            raise InputError(f"{folder} tells {network.config.num_labels} points: give a ViTPose of 17 or 133")
        processor = load_processor(VitPoseImageProcessor, folder)
        detector = load_network(RTDetrForObjectDetection, finder)
        detector_processor = load_processor(RTDetrImageProcessor, finder)
        return follow_person(
            frames,
            lambda frame: people_boxes(frame, detector, detector_processor),
            lambda frame, box: points(frame, box, network, processor),
            SEEN,
            follow,
        )


@torch.no_grad()
def people_boxes(frame: np.ndarray, network: torch.nn.Module, processor) -> np.ndarray:
    """Boxes (N, 4) left, top, right, bottom of people in a frame, in pixels."""
    given = processor(images=frame, return_tensors="pt").to(network.device)
    found = processor.post_process_object_detection(
        network(**given), threshold=A_PERSON, target_sizes=[frame.shape[:2]]
    )[0]
    return found["boxes"][found["labels"] == PERSON_LABEL].cpu().numpy()


@torch.no_grad()
def points(frame: np.ndarray, box: np.ndarray, network: torch.nn.Module, processor) -> np.ndarray:
    """(17 or 133, 3) of the person in a box: continuous pixels, whose centres lie at .5, and score."""
    boxes = [np.array([[*box[:2], *(box[2:] - box[:2])]], np.float32)]
    given = processor(images=frame, boxes=boxes, return_tensors="pt").to(network.device)
    if getattr(network.config.backbone_config, "num_experts", 1) > 1:
        given["dataset_index"] = torch.zeros(1, dtype=torch.long, device=network.device)
    found = processor.post_process_pose_estimation(network(**given), boxes=boxes)[0][0]
    return np.column_stack([found["keypoints"].numpy() + 0.5, found["scores"].numpy()])
