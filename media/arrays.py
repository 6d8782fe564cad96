"""8-bit numpy pictures ⇄ float torch pictures."""

import numpy as np
import torch
from torch import Tensor

from .opencv import cv2


def to_float(pixels: np.ndarray) -> Tensor:
    """uint8 (0…255), uint16 (0…65535) or float array (as it is) of any shape → float32 tensor of that shape, 0…1."""
    if np.issubdtype(pixels.dtype, np.floating):
        return torch.from_numpy(np.ascontiguousarray(pixels, np.float32))
    limit = np.iinfo(pixels.dtype).max
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(torch.float32).div_(limit)


def to_uint8(pixels: Tensor | np.ndarray) -> np.ndarray:
    """Float 0…1 (clamped, rounded) or uint8 of any shape → uint8 array of that shape; uint8 passes through."""
    if isinstance(pixels, Tensor):
        pixels = pixels.detach().cpu().float().numpy() if pixels.dtype != torch.uint8 else pixels.cpu().numpy()
    if pixels.dtype == np.uint8:
        return pixels
    return np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)


def resize(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    """Frames (F, H, W) or (F, H, W, 3), uint8 or float32 → the same at width × height: averaged down, bicubic up.

    A place at x lies at x · width / W afterwards, counted from the left edge, whichever sides shrink or grow.
    """
    if frames.shape[1:3] == (height, width):
        return frames
    whole = (np.ascontiguousarray(frame) for frame in frames)
    return np.stack([_resized(frame, width, height) for frame in whole])


def _resized(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """One side after the other where one shrinks and one grows: OpenCV's average would be off by up to 1/8 pixel."""
    least = min(width, frame.shape[1]), min(height, frame.shape[0])
    if least != frame.shape[1::-1]:
        frame = cv2.resize(frame, least, interpolation=cv2.INTER_AREA)
    if least != (width, height):
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC)
    return frame
