"""Videos and pictures written are the ones read back."""

import cv2
import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.media import (
    read_depth,
    read_image,
    read_mask,
    read_video,
    to_float,
    to_uint8,
    write_image,
    write_lossless,
    write_video,
)

from .sound import sound_packets, video_with_sound

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("shape", [(5, 33, 41), (5, 33, 41, 3)], ids=["gray", "rgb"])
def test_lossless_video_reads_back_exactly(tmp_path, shape):
    pixels = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    write_lossless(tmp_path / "a.mkv", pixels, 24)
    read = read_video(tmp_path / "a.mkv").frames if len(shape) == 4 else read_mask(tmp_path / "a.mkv").numpy() * 255
    assert np.array_equal(np.rint(read), pixels)


def test_16_bit_depth_reads_back_to_its_last_bit(tmp_path):
    depth = torch.from_numpy(RANDOM.random((4, 18, 22), dtype=np.float32))
    write_lossless(tmp_path / "depth.mkv", depth, 24)
    assert (read_depth(tmp_path / "depth.mkv") - depth).abs().max() < 0.51 / 65535


def test_h264_keeps_colour_size_and_rate(tmp_path):
    ramp = np.linspace(30, 220, 64)
    frame = np.stack([*np.meshgrid(ramp, ramp[:48]), np.full((48, 64), 128.0)], axis=-1).astype(np.uint8)
    write_video(tmp_path / "a.mp4", np.stack([frame] * 6), 30)
    read = read_video(tmp_path / "a.mp4")
    assert (read.frames.shape, read.fps) == ((6, 48, 64, 3), 30.0)
    assert np.abs(read.frames.astype(int) - frame).mean() < 1.5


def test_h264_pads_odd_sizes_with_the_last_row_and_column(tmp_path):
    frames = np.full((3, 17, 21, 3), 128, np.uint8)
    write_video(tmp_path / "odd.mp4", frames, 24)
    assert read_video(tmp_path / "odd.mp4").frames.shape == (3, 18, 22, 3)


def test_folder_is_read_in_natural_order(tmp_path):
    for value in (2, 10, 1):
        write_image(tmp_path / f"frame{value}.png", np.full((8, 8, 3), value, np.uint8))
    assert read_video(tmp_path).frames[:, 0, 0, 0].tolist() == [1, 2, 10]


def test_16_bit_png_mask_and_colour_order_of_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4), 32768, np.uint16))
    assert read_mask(tmp_path / "deep.png")[0, 0, 0].item() == pytest.approx(32768 / 65535)
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((4, 4, 3), (255, 0, 0), np.uint8))  # OpenCV counts blue first
    assert read_image(tmp_path / "blue.png")[0, 0, 0].tolist() == [0.0, 0.0, 1.0]


def test_a_mask_painted_in_one_colour_is_as_bright_as_that_colour(tmp_path):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[..., 0] = 255
    write_lossless(tmp_path / "rgb.mkv", frames, 24)
    assert read_mask(tmp_path / "rgb.mkv").unique().tolist() == [1.0]


def test_float_and_uint8_round_trip():
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(to_float(pixels)), pixels)
    assert to_uint8(torch.tensor([-1.0, 2.0])).tolist() == [0, 255]


@pytest.mark.parametrize("content", [None, b"", b"this is no video" * 100], ids=["missing", "empty", "text"])
def test_what_is_no_video_is_refused_by_name(tmp_path, content):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="clip.mp4") as raised:
        read_video(path)
    assert "\n" not in str(raised.value)


def test_empty_folder_and_mixed_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="0 pictures"):
        read_video(tmp_path)
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "b.png", np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(InputError, match="8x8, 9x8"):
        read_video(tmp_path)


GREY, COLOURS = np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("ending", ["webm", "gif", "wav", "ogg", "xyz", "png", ""])
def test_names_of_other_kinds_than_mp4_and_mkv_are_refused(tmp_path, ending):
    with pytest.raises(InputError, match=r"use a name that ends in .mp4 or .mkv"):
        write_video(tmp_path / f"a.{ending}", COLOURS, 24)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0, -24, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    for writer in (write_video, write_lossless):
        with pytest.raises(InputError, match=f"is {fps}: give frames per second above 0"):
            writer(tmp_path / "a.mkv", COLOURS, fps)
    assert list(tmp_path.iterdir()) == []


def test_a_rate_of_a_frame_in_hours_is_kept(tmp_path):
    write_video(tmp_path / "a.mp4", COLOURS, 1 / 7200)
    assert read_video(tmp_path / "a.mp4").fps == pytest.approx(1 / 7200)


def test_frames_of_another_kind_are_refused(tmp_path):
    for writer, frames, told in (
        (write_video, GREY, r"shape \(8, 8\)"),
        (write_video, np.zeros((2, 8, 8, 4)), r"shape \(8, 8, 4\)"),
        (write_lossless, np.zeros((2, 8, 8, 4)), r"shape \(8, 8, 4\)"),
        (write_lossless, [COLOURS[0], GREY[0]], "frame 1 of a.mkv is 8x8 grey, the first is 8x8: give"),
        (write_video, [np.zeros((8, 7, 3)), np.zeros((8, 8, 3))], "frame 1 of a.mkv is 8x8, the first is 7x8: give"),
    ):
        with pytest.raises(InputError, match=told):
            writer(tmp_path / "a.mkv", frames, 24)
    assert list(tmp_path.iterdir()) == []


def test_no_frames_are_not_written(tmp_path):
    with pytest.raises(InputError, match="0 frames"):
        write_video(tmp_path / "a.mp4", np.zeros((0, 8, 8, 3), np.uint8), 24)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("writer", "ending"), [(write_video, "mp4"), (write_video, "mkv"), (write_lossless, "mkv")])
def test_the_sound_of_another_video_is_copied_packet_by_packet(tmp_path, writer, ending):
    source = video_with_sound(tmp_path / "source.mp4")
    frames = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), np.uint8)
    writer(tmp_path / f"made.{ending}", frames, 8, sound_of=source)
    expected, got = sound_packets(source), sound_packets(tmp_path / f"made.{ending}")
    assert len(expected) > 20 and [data for _, data in got] == [data for _, data in expected]
    assert np.allclose([time for time, _ in got], [time for time, _ in expected], atol=30)  # .mkv shifts the priming
    assert read_video(tmp_path / f"made.{ending}").frames.shape == frames.shape


def test_a_source_without_sound_gives_none(tmp_path):
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    write_video(tmp_path / "silent.mp4", frames, 8)
    write_image(tmp_path / "picture.png", frames[0])
    for source in (tmp_path / "silent.mp4", tmp_path / "picture.png", tmp_path):
        write_video(tmp_path / "made.mp4", frames, 8, sound_of=source)
        assert sound_packets(tmp_path / "made.mp4") == []


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_equal_frames_make_equal_files(tmp_path, name):
    frames = cv2.GaussianBlur(np.random.default_rng(0).random((232, 200, 24)).astype(np.float32), (0, 0), 3)
    frames = np.moveaxis(cv2.normalize(frames, None, 0, 1, cv2.NORM_MINMAX), 2, 0).reshape(8, 3, 232, 200)
    frames = np.ascontiguousarray(np.moveaxis(frames, 1, -1))
    written = set()
    for _ in range(6):
        write = write_lossless if name.endswith("mkv") else write_video
        write(tmp_path / name, frames, 12)
        written.add((tmp_path / name).read_bytes())
    assert len(written) == 1
