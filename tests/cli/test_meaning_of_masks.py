"""`inhabit animate` with masks as people have them: one for all frames, a frame short, lost, inverted; and --size."""

import logging

import numpy as np
import pytest
import torch
from inhabit.media import read_pose, write_image, write_lossless, write_pose, write_video
from inhabit.models import PRESETS
from inhabit.perception import shape_agnostic_mask
from inhabit.pipeline.inputs import InputFiles, load_inputs

from .conftest import FRAMES, HEIGHT, WIDTH


def conditions(clip, **changes):
    given = {"reference": clip.folder / "reference.png", "driving": clip.folder / "driving.mp4"}
    return load_inputs(InputFiles(**given | changes), PRESETS["puppets"]).conditions


def warnings(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def person(frames: int = FRAMES) -> np.ndarray:
    mask = np.zeros((frames, HEIGHT, WIDTH), np.uint8)
    mask[:, 20:44, 16:32] = 255
    return mask


def longer(clip, frames: int) -> None:
    """Make the clip's driving video and poses `frames` long."""
    write_video(clip.folder / "driving.mp4", np.full((frames, HEIGHT, WIDTH, 3), 90, np.uint8), 24)
    write_pose(clip.folder / "pose.json", read_pose(clip.folder / "pose.json")[:1] * frames)
    for name in ("depth.mkv", "object.mkv", "mask.mkv"):
        (clip.folder / name).unlink()


def one_picture(folder):
    write_image(folder / "one.png", np.repeat(person(1)[0][..., None], 3, axis=-1))
    return folder / "one.png"


def one_frame(folder):
    write_lossless(folder / "one.mkv", person(1), 24)
    return folder / "one.mkv"


def one_array(folder):
    np.save(folder / "one.npy", person(1)[0] > 0)
    return folder / "one.npy"


@pytest.mark.parametrize("one", [one_picture, one_frame, one_array])
def test_one_mask_holds_for_all_frames(clip, caplog, one):
    path = one(clip.folder)
    caplog.set_level(logging.INFO)
    given = conditions(clip, mask=path, object_mask=path)
    assert torch.equal(given.mask, shape_agnostic_mask(torch.from_numpy(person() / 255.0)).float())
    assert torch.equal(given.object_mask, torch.from_numpy(person() / 255.0).float())
    assert f"one{path.suffix} is one picture: it holds for all {FRAMES} frames" in caplog.text


def test_one_depth_does_not(animate, clip):
    write_lossless(clip.folder / "d.mkv", person(1), 24)
    code, error = animate(depth=clip.folder / "d.mkv")
    assert code == 2 and "d.mkv has 1 frames" in error


@pytest.mark.parametrize("option", ["mask", "object_mask", "depth", "pose"])
@pytest.mark.parametrize("more", [-1, 1])
def test_one_frame_less_or_more_is_told_and_used(clip, caplog, option, more):
    frames, length = 6, 6 + more
    longer(clip, frames)
    write_lossless(clip.folder / "person.mkv", person(frames), 24)
    moving = np.stack([np.roll(plane, index, axis=1) for index, plane in enumerate(person(length))])
    path = clip.folder / ("other.json" if option == "pose" else "other.mkv")
    if option == "pose":
        write_pose(path, read_pose(clip.folder / "pose.json")[:1] * length)
    else:
        write_lossless(path, moving, 24)
    used = conditions(clip, **{"mask": clip.folder / "person.mkv", option: path})
    assert used.frames == frames
    word = "its last one is used twice" if more < 0 else "its last one is left out"
    assert [f"--{option.replace('_', '-')} {path} has {length} frames" in text for text in warnings(caplog)] == [True]
    assert word in caplog.text
    if option == "object_mask":
        shown = [*range(5), 4] if more < 0 else list(range(6))
        assert torch.equal(used.object_mask, torch.from_numpy(moving[shown] / 255.0).float())


@pytest.mark.parametrize("option", ["mask", "object_mask", "depth", "pose"])
@pytest.mark.parametrize("length", [4, 8])
def test_two_frames_less_or_more_are_refused(animate, clip, option, length):
    longer(clip, 6)
    write_lossless(clip.folder / "person.mkv", person(6), 24)
    path = clip.folder / ("other.json" if option == "pose" else "other.mkv")
    if option == "pose":
        write_pose(path, read_pose(clip.folder / "pose.json")[:1] * length)
    else:
        write_lossless(path, person(length), 24)
    code, error = animate(**{"mask": clip.folder / "person.mkv", option: path})
    assert code == 2 and f"has {length} frames, " in error and "has 6: give one for every frame" in error


def test_frames_in_which_the_mask_is_empty_are_told(clip, caplog):
    longer(clip, 9)
    lost = person(9)
    lost[[0, 3, 4, 5]] = 0
    write_lossless(clip.folder / "lost.mkv", lost, 24)
    conditions(clip, mask=clip.folder / "lost.mkv")
    [told] = warnings(caplog)
    assert "lost.mkv is empty in frames 0, 3-5, where there is a skeleton" in told


def test_empty_where_nobody_is_is_no_fault(clip, caplog):
    longer(clip, 4)
    frames, lost = read_pose(clip.folder / "pose.json"), person(4)
    frames[2]["people"], lost[2] = [], 0
    write_pose(clip.folder / "pose.json", frames)
    write_lossless(clip.folder / "lost.mkv", lost, 24)
    conditions(clip, mask=clip.folder / "lost.mkv")
    assert [text for text in warnings(caplog) if "lost.mkv" in text] == []


def test_an_inverted_mask_is_told_with_the_fix(clip, caplog):
    write_lossless(clip.folder / "inverted.mkv", 255 - person(), 24)
    conditions(clip, mask=clip.folder / "inverted.mkv")
    [told] = warnings(caplog)
    assert "inverted.mkv looks inverted: it covers 8" in told and "in frames 0-2; give one that is white on" in told


def test_a_mask_of_somebody_else_is_told(clip, caplog):
    other = person()
    other[1] = np.roll(other[1], 25, axis=1)
    write_lossless(clip.folder / "other.mkv", other, 24)
    conditions(clip, mask=clip.folder / "other.mkv")
    [told] = warnings(caplog)
    assert "other.mkv misses the skeleton in frame 1: white must be on the character" in told


def test_a_mask_that_fits_is_not_spoken_of(clip, caplog):
    write_lossless(clip.folder / "person.mkv", person(), 24)
    conditions(clip, mask=clip.folder / "person.mkv")
    assert warnings(caplog) == []


@pytest.mark.parametrize("value", [26, 100, 255])
def test_one_threshold_says_what_is_empty_and_what_is_covered(animate, clip, value):
    """A pixel counts above a tenth of white: a mask of 26 of 255 covers as a white one does, one of 25 is empty."""
    write_lossless(clip.folder / "faint.mkv", person() // 255 * np.uint8(value), 24)
    covered = conditions(clip, mask=clip.folder / "faint.mkv").mask
    assert torch.equal(covered, shape_agnostic_mask(torch.from_numpy(person() / 255.0)).float())
    write_lossless(clip.folder / "nothing.mkv", person() // 255 * np.uint8(25), 24)
    code, error = animate(mask=clip.folder / "nothing.mkv")
    assert code == 2 and "nothing.mkv is empty in every frame" in error


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((48, 64), None),
        ((24, 32), None),
        ((96, 128), None),
        ((64, 64), "33% wider; --size 56x72"),
        ((40, 80), "% narr"),
    ],
)
def test_a_size_of_another_shape_is_told_with_the_nearest(clip, caplog, size, told):
    assert conditions(clip, size=size).size == size[::-1]
    said = [text for text in warnings(caplog) if text.startswith("--size")]
    assert len(said) == (told is not None)
    if told:
        assert f"--size {size[0]}x{size[1]} changes the shape of " in said[0] and told in said[0]
        assert f"which is {WIDTH}x{HEIGHT}" in said[0]
