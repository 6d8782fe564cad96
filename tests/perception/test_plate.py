"""The clean plate against rendered scenes, whose place without anybody is known exactly."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.perception.plate import CleanPlate
from inhabit.scenes.renderer import SceneRenderer
from torch import Tensor

SIZE, FRAMES = 160, 32
CHARACTER = 0.1  # of 0…1, where a mask counts


@functools.cache
def walk(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Pictures, masks and places (H, W, …) 0…1 of a walk that a camera follows, and where it stood, in pixels."""
    renderer = SceneRenderer(seed, "walk", SIZE, SIZE, FRAMES)
    frames = [renderer.frame(index) for index in range(FRAMES)]
    pictures = [frame.image / 255 for frame in frames]
    masks = [np.maximum(frame.character, frame.object) / 255 for frame in frames]
    return pictures, masks, [renderer.place(index) / 255 for index in range(FRAMES)], renderer._travel


def through_a_still_picture(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """The same person cut out, and walking from side to side through one place."""
    pictures, masks, places, travel = walk(seed)
    shifts = np.rint(travel - travel.max() / 2).astype(int)
    place, moved, covers = places[0], [], []
    for picture, mask, shift in zip(pictures, masks, shifts, strict=True):
        cover = np.zeros_like(mask)
        layer = np.zeros_like(picture)
        start, stop = max(0, shift), min(SIZE, SIZE + shift)
        cover[:, start:stop] = mask[:, start - shift : stop - shift]
        layer[:, start:stop] = picture[:, start - shift : stop - shift]
        moved.append(np.where(cover[..., None] > CHARACTER, layer, place))
        covers.append(cover)
    return moved, covers, place


def tensors(pictures: list[np.ndarray]) -> list[Tensor]:
    return [torch.from_numpy(picture.astype(np.float32)) for picture in pictures]


def psnr_where(plate: CleanPlate, truths: list[np.ndarray], masks: list[np.ndarray]) -> float:
    """PSNR in dB of what is known inside the masks."""
    squares = []
    for (picture, known), truth, mask in zip(plate, truths, masks, strict=True):
        where = (mask > CHARACTER) & (known.numpy() > 0)
        squares.append(((picture.numpy() - truth)[where] ** 2).ravel())
    return float(-10 * np.log10(np.concatenate(squares).mean() + 1e-10))


def share_known(plate: CleanPlate, masks: list[np.ndarray], seen: list[np.ndarray]) -> float:
    """Share of what the masks hide and some frame shows that is known."""
    counts = [
        (((mask > CHARACTER) & visible & (known.numpy() > 0)).sum(), ((mask > CHARACTER) & visible).sum())
        for (_, known), mask, visible in zip(plate, masks, seen, strict=True)
    ]
    known, visible = np.sum(counts, axis=0)
    return known / visible


def test_still_camera():
    pictures, masks, place = through_a_still_picture(900_001)
    plate = CleanPlate(tensors(pictures), tensors(masks))
    ever = np.any([mask <= CHARACTER for mask in masks], axis=0)
    assert plate.camera == "still" and len(plate) == FRAMES
    assert psnr_where(plate, [place] * FRAMES, masks) >= 35
    assert share_known(plate, masks, [ever] * FRAMES) >= 0.8


@pytest.mark.parametrize("seed", [900_001, 900_002])
def test_moving_camera(seed):
    pictures, masks, places, travel = walk(seed)
    plate = CleanPlate(tensors(pictures), tensors(masks))
    shifts = np.rint(travel).astype(int)
    ever = np.zeros((SIZE, SIZE + shifts.max()), bool)
    for mask, shift in zip(masks, shifts, strict=True):
        ever[:, shift : shift + SIZE] |= mask <= CHARACTER
    assert plate.camera == "moving"
    assert psnr_where(plate, places, masks) >= 28
    assert share_known(plate, masks, [ever[:, shift : shift + SIZE] for shift in shifts]) >= 0.8


def test_zooming_and_turning_camera():
    pictures, masks, place = through_a_still_picture(900_002)
    views, covers, truths = [], [], []
    for index, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), 4 * np.sin(index / 6), 1.15 + 0.1 * index / FRAMES)
        for kept, image in ((views, picture), (covers, mask), (truths, place)):
            kept.append(cv2.warpAffine(image, turn, (SIZE, SIZE), flags=cv2.INTER_CUBIC).clip(0, 1))
    plate = CleanPlate(tensors(views), tensors(covers))
    assert plate.camera == "moving" and plate.known > 0.8
    assert psnr_where(plate, truths, covers) >= 28


def test_an_exposure_that_flickers_and_noise():
    pictures, masks, place = through_a_still_picture(900_001)
    random = np.random.default_rng(0)
    gains = 1 + 0.08 * random.standard_normal(FRAMES)
    noisy = [
        (gain * picture + 0.01 * random.standard_normal(picture.shape)).clip(0, 1)
        for gain, picture in zip(gains, pictures, strict=True)
    ]
    plate = CleanPlate(tensors(noisy), tensors(masks))
    assert plate.camera == "still"
    assert psnr_where(plate, [(gain * place).clip(0, 1) for gain in gains], masks) >= 35


def test_what_is_not_hidden_stays_exactly():
    pictures, masks, _ = through_a_still_picture(900_001)
    frames = tensors(pictures)
    for frame, mask, (picture, known) in zip(frames, masks, CleanPlate(frames, tensors(masks), margin=3), strict=True):
        far = torch.from_numpy(cv2.distanceTransform((mask <= CHARACTER).astype(np.uint8), cv2.DIST_L2, 5) > 4)
        assert torch.equal(picture[far], frame[far]) and known[far].eq(1).all()


def test_a_person_who_never_moves_hides_what_stays_unknown():
    frames = torch.rand(1, 48, 64, 3).expand(5, -1, -1, -1)
    masks = torch.zeros(5, 48, 64)
    masks[:, 10:30, 20:40] = 1
    plate = CleanPlate(frames, masks)
    for picture, known in plate:
        assert known[10:30, 20:40].eq(0).all()
        torch.testing.assert_close(picture, frames[0], rtol=0, atol=0.5 / 255 + 1e-6)  # samples have 8 bits
        assert known[:7].eq(1).all() and known[:, 44:].eq(1).all()
    assert plate.known < 0.2


@pytest.mark.parametrize(("value", "share"), [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("count", [1, 4])
def test_empty_and_full_masks(value, share, count):
    frames = torch.rand(count, 40, 40, 3)
    plate = CleanPlate(frames, torch.full((count, 40, 40), value))
    assert plate.known == share
    for frame, (picture, known) in zip(frames, plate, strict=True):
        assert torch.equal(picture, frame) and known.eq(share).all()


def test_two_shots_are_not_mixed(caplog):
    """After a cut nothing is taken from before it: what is hidden there stays unknown in place of wrong."""
    first = through_a_still_picture(900_001)[0][:8]
    second = walk(900_002)[0][:8]
    masks = np.zeros((16, SIZE, SIZE), np.float32)
    masks[8:, 60:100, 60:100] = 1
    plate = CleanPlate(tensors(first + second), torch.from_numpy(masks))
    _, known = plate[12]
    assert known[66:94, 66:94].eq(0).float().mean() > 0.5
    assert "cannot be followed" in caplog.text


def test_wrong_lengths_and_sizes_are_told():
    frames, masks = torch.zeros(3, 16, 16, 3), torch.zeros(3, 16, 16)
    with pytest.raises(InputError, match="mask has 2 frames, the driving video 3"):
        CleanPlate(frames, masks[:2])
    with pytest.raises(InputError, match="no frames"):
        CleanPlate(frames[:0], masks[:0])
    with pytest.raises(InputError, match=r"\(16, 16, 3\) and its mask \(16, 8\)"):
        CleanPlate(frames, masks[..., :8])
    with pytest.raises(InputError, match="margin is -1"):
        CleanPlate(frames, masks, margin=-1)
