"""A video → how near every pixel is, on one scale through the whole clip."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..media import Clip, resize
from ..perception.backends import DEPTH_ESTIMATORS, DepthEstimator, LandmarkDepth
from ..perception.follow import Follow
from .fitting import Size
from .streams import LazyFrames, packed

logger = logging.getLogger(__name__)

LONGER_SIDE = 512  # pixels of the frames that estimators see, at most
OUTLIERS = 1.0  # percent of a frame's pixels at both ends that do not stretch the scale
SINGLE_FRAMES = 5.0  # percent of the frames at both ends that do not


def perceive_depth(video: Clip, estimator: DepthEstimator, follow: Follow | None = None) -> LazyFrames:
    """Depth (F, h, w), 0…1, 1 is near, at the size that the estimator saw; all frames share one scale.

    follow: see `DepthEstimator`.
    Every frame is kept in 256 steps between its own ends until the scale of the clip is known. Raises InputError where
    the estimator cannot be used.
    """
    reason = estimator.available()
    if reason is not None:
        raise InputError(reason)
    size = seen_size(video.size)
    logger.info("%s tells the depth of %s, looked at in %dx%d", estimator.name, video.path, *size)
    if estimator.on_skeleton:
        logger.warning("%s is a fallback: it ranks the limbs roughly, and knows nothing off them", estimator.name)
        return packed(_steps(plane, 0.0, 1.0) for plane in estimator.estimate(video.frames(size), follow))
    ends, percentiles = [], []

    def planes() -> Iterator[np.ndarray]:
        for plane in estimator.estimate(video.frames(size), follow):
            ends.append((float(plane.min()), float(plane.max())))
            percentiles.append(np.percentile(plane, (OUTLIERS, 100 - OUTLIERS)))
            yield _steps(plane, *ends[-1])

    kept = packed(planes())
    far = float(np.percentile([low for low, _ in percentiles], SINGLE_FRAMES))
    near = float(np.percentile([high for _, high in percentiles], 100 - SINGLE_FRAMES))

    def scaled(frames: list[int]) -> Tensor:
        low, high = torch.tensor([ends[frame] for frame in frames]).T[..., None, None]
        return ((low + kept[frames] * (high - low) - far) / max(near - far, 1e-6)).clamp(0, 1)

    return LazyFrames(kept.shape, scaled)


def depth_at(depth: LazyFrames, size: Size) -> LazyFrames:
    """The same (F, height, width) at another size (width, height)."""
    width, height = size

    def planes(frames: list[int]) -> Tensor:
        return torch.from_numpy(resize(depth[frames].numpy(), width, height)).clamp(0, 1)

    return LazyFrames((len(depth), height, width), planes)


def default_depth() -> DepthEstimator:
    """The first estimator that can be used here; the fallback where none can."""
    able = (kind() for kind in DEPTH_ESTIMATORS.values() if kind().available() is None)
    return next(able, None) or LandmarkDepth()


def seen_size(own: Size) -> Size:
    """(width, height) at which a picture of its own size is looked at: never larger, its longer side at most 512."""
    scale = min(1.0, LONGER_SIDE / max(own))
    return tuple(max(1, round(side * scale)) for side in own)


def _steps(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((plane - low) / max(high - low, 1e-6) * 255).clip(0, 255).astype(np.uint8)
