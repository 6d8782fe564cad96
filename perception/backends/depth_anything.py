"""Depth Anything V2 (Yang et al. 2024) by transformers, from a folder that `save_pretrained` could have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from ...weights.user_models import TRANSFORMERS, UserModel
from ..follow import Follow
from .user_networks import folder_of, load_network, load_processor

DEPTH_ANYTHING = UserModel(
    name="depth-anything-v2",
    page="https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf",
    licence="Small: Apache-2.0; Base and Large: CC BY-NC 4.0",
    files=TRANSFORMERS,
    usual=("depthanything/Depth-Anything-V2-Small-hf", "depth-anything-v2"),
)


class DepthAnything:
    """A `DepthEstimator`: inverse depth of every pixel, on a scale that is the network's own."""

    name = DEPTH_ANYTHING.name
    on_skeleton = False

    def available(self) -> str | None:
        """Why it cannot be used here, in one line with the fix; None where it can."""
        return DEPTH_ANYTHING.why_missing()

    def estimate(self, frames: Iterable[np.ndarray], follow: Follow | None = None) -> Iterator[np.ndarray]:
        """See `DepthEstimator`. Raises InputError, before the first frame is read, where it is not available."""
        from transformers import DepthAnythingForDepthEstimation, DPTImageProcessor

        folder = folder_of(DEPTH_ANYTHING)
        network = load_network(DepthAnythingForDepthEstimation, folder)
        processor = load_processor(DPTImageProcessor, folder)
        return (_depth(frame, network, processor) for frame in frames)


@torch.no_grad()
def _depth(frame: np.ndarray, network: torch.nn.Module, processor) -> np.ndarray:
    given = processor(images=frame, return_tensors="pt").to(network.device)
    found = processor.post_process_depth_estimation(network(**given), [frame.shape[:2]])
    return found[0]["predicted_depth"].float().cpu().numpy()
