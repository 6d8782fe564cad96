"""8-bit numpy pictures ⇄ float torch pictures."""

import numpy as np
import torch
from torch import Tensor


def to_float(pixels: np.ndarray) -> Tensor:
    """uint8 (0…255) or uint16 (0…65535) array of any shape → float32 tensor of that shape, 0…1."""
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
