"""Frames of a whole video that are not in memory as floats: packed, read again, or made when they are asked for.

All of them are indexed as a tensor (F, …) is on its first axis, and give float32 tensors on the CPU.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..media import to_float

CHUNK = 16  # frames that exist at once where a whole video is gone through


class LazyFrames:
    """Frames that are made by `make(indices)` → (len(indices), …) float32 when they are asked for.

    shape: (F, …) of all of them.
    """

    def __init__(self, shape: tuple[int, ...], make: Callable[[list[int]], Tensor]) -> None:
        self.shape, self._make = torch.Size(shape), make

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | list[int]) -> Tensor:
        """One frame (…) by its number, or several (f, …) by a slice or a list of numbers."""
        every = range(len(self))
        if isinstance(index, int):
            return self._make([every[index]])[0]
        return self._make(list(every[index]) if isinstance(index, slice) else [every[number] for number in index])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[number] for number in range(len(self)))

    def tensor(self) -> Tensor:
        """All frames at once (F, …)."""
        whole = torch.empty(self.shape)
        for part in chunks(len(self), CHUNK):
            whole[part] = self[part]
        return whole

    def max(self) -> Tensor:
        """The largest value of all frames."""
        return torch.stack([self[part].max() for part in chunks(len(self), CHUNK)]).max()


def chunks(frames: int, length: int) -> Iterator[slice]:
    """Slices of at most `length` that cover 0 … frames - 1 in order."""
    return (slice(start, min(start + length, frames)) for start in range(0, frames, length))


def packed(pictures: Iterable[np.ndarray]) -> LazyFrames:
    """Keep pictures of one shape and type compressed without loss: drawn ones and masks take a few percent so.

    pictures: uint8, bool or float32 arrays (…), at least one; they come back as floats, 0…1 of 255 for uint8.
    """
    kept, shape, dtype = [], None, None
    for picture in pictures:
        shape, dtype = picture.shape, picture.dtype
        kept.append(zlib.compress(np.ascontiguousarray(picture).data, level=1))

    def make(indices: list[int]) -> Tensor:
        whole = np.stack([np.frombuffer(zlib.decompress(kept[index]), dtype).reshape(shape) for index in indices])
        return torch.from_numpy(whole).float() if dtype == np.bool_ else to_float(whole)

    return LazyFrames((len(kept), *shape), make)


class ReadAgain(LazyFrames):
    """Pictures of a file, decoded anew each time they are gone through: nothing is kept but the next one.

    count: how many there are. read: given a frame's number, starts there and gives uint8 (H, W, 3) arrays, one a frame.
    Meant for going forward; going back starts reading again.
    """

    def __init__(self, count: int, size: tuple[int, int], read: Callable[[int], Iterator[np.ndarray]]) -> None:
        width, height = size
        super().__init__((count, height, width, 3), self._pictures)
        self._read, self._reader, self._next = read, iter(()), count + 1

    def _pictures(self, indices: list[int]) -> Tensor:
        found, wanted = {}, set(indices)
        if min(indices) < self._next:
            self._reader, self._next = self._read(min(indices)), min(indices)
        while self._next <= max(indices):
            picture = next(self._reader)
            if self._next in wanted:
                found[self._next] = picture
            self._next += 1
        if self._next == len(self):
            self._reader, self._next = iter(()), len(self) + 1  # lets go of the file
        return to_float(np.stack([found[index] for index in indices]))
