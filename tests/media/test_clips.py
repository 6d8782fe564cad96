"""Clips are read frame by frame: the film and no cover, upright, square, of the size that is asked for."""

import io
import itertools
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import open_mask, open_video, read_mask, read_video, resize, write_lossless, write_video
from PIL import Image

from .films import film, grey_frame, numbers

RANDOM = np.random.default_rng(3)
STEADY = [index / 24 for index in range(40)]
NOISE = RANDOM.integers(0, 256, (30, 36, 48, 3), dtype=np.uint8)
MATRICES = [m for m in itertools.product((-1, 0, 1), repeat=4) if abs(m[0] * m[3] - m[1] * m[2]) == 1 and 0 in m]
MATRICES = [m for m in MATRICES if m.count(0) == 2]  # a b c d: the eight turns of a square


def with_matrix(path, matrix, to):
    """The .mp4 with another matrix in its track header (ISO/IEC 14496-12 §8.3.2)."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    assert struct.unpack(">9i", content[place : place + 36]) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    to.write_bytes(content)
    return to


@pytest.mark.parametrize("matrix", MATRICES)
def test_pictures_are_turned_as_each_of_the_eight_display_matrices_says(tmp_path, matrix):
    ramp = np.linspace(30, 220, 64)
    frame = np.stack([*np.meshgrid(ramp, ramp[:48]), np.full((48, 64), 90.0)], axis=-1).astype(np.uint8)
    frame[4:12, 4:20] = 250  # no symmetry
    write_video(tmp_path / "stored.mp4", np.stack([frame] * 2), 24)
    stored = read_video(tmp_path / "stored.mp4").frames[0]
    video = open_video(with_matrix(tmp_path / "stored.mp4", matrix, tmp_path / "turned.mp4"))
    a, b, c, d = matrix
    y, x = np.mgrid[:48, :64]
    across, down = a * x + c * y, b * x + d * y  # where each pixel goes, up to a shift
    expected = np.zeros((down.max() - down.min() + 1, across.max() - across.min() + 1, 3), np.uint8)
    expected[down - down.min(), across - across.min()] = stored
    assert video.size == video.stored_size == (expected.shape[1], expected.shape[0])
    assert np.array_equal(video.read()[0], expected)


def test_there_are_eight():
    assert len(MATRICES) == 8


def anamorphic(path, aspect):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 32, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for index in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 32, 3), 60 + index, np.uint8))))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("aspect", "width"), [((2, 1), 64), ((8, 9), 28), ((1, 1), 32), ((200, 201), 32), ((99, 1), 32)]
)
def test_pixels_are_made_square(tmp_path, aspect, width):
    video = open_video(anamorphic(tmp_path / "dv.mp4", Fraction(*aspect)))
    assert video.size == (width, 64) and video.stored_size == (32, 64)
    assert video.read().shape == (3, 64, width, 3) and video.read((16, 16)).shape == (3, 16, 16, 3)
    write_video(tmp_path / "out.mp4", video.frames(), video.fps)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 1


def test_a_cover_is_not_the_film(tmp_path):
    """Not even where it is larger and the film has one frame and is no default stream."""
    cover = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(cover, "JPEG")
    with av.open(str(tmp_path / "a.mkv"), "w", options={"default_mode": "passthrough"}) as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.disposition = 32, 32, "bgr0", 0
        container.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        frame = av.VideoFrame.from_ndarray(grey_frame(7)).reformat(format="bgr0")
        container.mux([*stream.encode(frame), *stream.encode()])
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert len(container.streams.video) == 2
    assert numbers(read_video(tmp_path / "a.mkv").frames) == [7]


def test_of_two_films_the_default_one_is_read(tmp_path):
    with av.open(str(tmp_path / "two.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=24) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "bgr0"
        streams[0].disposition, streams[1].disposition = 0, 1
        for index, stream in itertools.product(range(4), streams):
            frame = av.VideoFrame.from_ndarray(grey_frame(index + 10 * stream.index)).reformat(format="bgr0")
            container.mux(stream.encode(frame))
    assert numbers(read_video(tmp_path / "two.mkv").frames) == [10, 11, 12, 13]


@pytest.mark.parametrize("ending", ["webp", "png", "apng", "gif"])
def test_animated_pictures_are_read_with_their_times(tmp_path, ending):
    pictures = [Image.fromarray(grey_frame(index)) for index in range(4)]
    delays = [40, 120, 80, 40]  # ms
    options = {"lossless": True} if ending == "webp" else {}
    path = tmp_path / f"a.{ending}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, loop=0, **options)
    video = read_video(path)
    assert np.array_equal(video.frames, np.stack([grey_frame(index) for index in range(4)]))
    assert np.allclose(video.times, [0, 0.04, 0.16, 0.24]) and video.fps == pytest.approx(4 / 0.28)
    assert np.allclose(read_mask(path)[:, 0, 0] * 255, [20, 25, 30, 35])


def test_shrinking_while_reading_is_resizing_what_was_read(tmp_path):
    write_lossless(tmp_path / "a.mkv", NOISE, 24)
    video = open_video(tmp_path / "a.mkv")
    for size in ((16, 12), (96, 72), (48, 36)):
        assert np.array_equal(video.read(size), resize(NOISE, *size))
    expected = np.stack([cv2.resize(frame, (16, 12), interpolation=cv2.INTER_AREA) for frame in NOISE])
    assert np.array_equal(video.read((16, 12)), expected)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi", "h264"])
def test_any_stretch_of_a_film_is_the_same_frames(tmp_path, ending):
    video = open_video(film(tmp_path / f"a.{ending}", STEADY))
    assert len(video) == 40
    for start, stop in ((0, 5), (7, 9), (13, 14), (24, 40), (30, None), (12, 24)):
        assert numbers(np.stack(list(video.frames(start=start, stop=stop)))) == list(range(40)[start:stop])
    assert list(video.frames(start=40)) == []


def test_frames_are_written_one_by_one_and_in_chunks(tmp_path):
    for name, frames in (
        ("whole", NOISE),
        ("single", (frame for frame in NOISE)),
        ("chunks", (NOISE[start : start + 7] for start in range(0, 30, 7))),
    ):
        write_lossless(tmp_path / f"{name}.mkv", frames, 24)
        assert np.array_equal(read_video(tmp_path / f"{name}.mkv").frames, NOISE), name
        write_video(tmp_path / f"{name}.mp4", NOISE if name == "whole" else (frame for frame in NOISE), 24)
    assert (tmp_path / "single.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    grey = NOISE[..., 0]
    for name, frames in (("whole", grey), ("single", (frame for frame in grey)), ("chunks", [grey[:9], grey[9:]])):
        write_lossless(tmp_path / f"{name}.mkv", frames, 24)
        assert np.array_equal(np.rint(read_mask(tmp_path / f"{name}.mkv").numpy() * 255), grey), name


def test_frames_of_another_size_and_a_writer_that_stops_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="frame 1 of a.mp4 is 20x10, the first is 10x10"):
        write_video(tmp_path / "a.mp4", [np.zeros((10, 10, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)], 24)
    with pytest.raises(ZeroDivisionError):
        write_video(
            tmp_path / "a.mp4", (frame // (2 - index) for index, frame in enumerate(NOISE) if 1 / (2 - index)), 24
        )
    assert list(tmp_path.iterdir()) == []


def test_hidden_files_in_a_folder_are_no_frames(tmp_path):
    Image.fromarray(grey_frame(1)).save(tmp_path / "1.png")
    (tmp_path / "._1.png").write_bytes(b"another system's notes")
    assert len(open_video(tmp_path)) == 1 and len(open_mask(tmp_path)) == 1
