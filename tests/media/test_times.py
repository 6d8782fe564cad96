"""Frames and sound have one clock, in what is read and in what is written."""

import av
import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import read_video, write_lossless, write_video
from inhabit.media.timing import frame_times

from .films import SIDE, film, grey_frame, numbers, onset, picture_times

FRAME = 1 / 24
VARIABLE = [0.0, 0.033, 0.1, 0.15, 0.3, 0.333, 0.5, 0.55, 0.8, 1.0, 1.033, 1.5]
STEADY = [index / 24 for index in range(24)]


def frames(count: int) -> np.ndarray:
    return np.stack([grey_frame(index) for index in range(count)])


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts"])
def test_times_of_a_variable_rate_are_read(tmp_path, ending):
    video = read_video(film(tmp_path / f"phone.{ending}", VARIABLE))
    assert np.allclose(video.times, VARIABLE, atol=0.0011) and numbers(video.frames) == list(range(12))
    assert video.fps == pytest.approx(11 / 1.5, rel=1e-3)


@pytest.mark.parametrize(("writer", "ending"), [(write_video, "mp4"), (write_video, "mkv"), (write_lossless, "mkv")])
def test_times_of_a_variable_rate_are_written(tmp_path, writer, ending):
    path = tmp_path / f"out.{ending}"
    writer(path, frames(12), 24, times=np.array(VARIABLE) + 7)
    shown = np.array(picture_times(path))
    assert np.allclose(shown - shown[0], VARIABLE, atol=1e-4 if ending == "mp4" else 0.0011)
    assert np.allclose(read_video(path).times, VARIABLE, atol=0.0011)


def test_the_last_frame_is_shown_as_long_as_a_usual_one(tmp_path):
    for name, times in (("steady", STEADY), ("variable", VARIABLE)):
        write_video(tmp_path / f"{name}.mp4", frames(len(times)), 24, times=np.array(times))
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert container.duration / av.time_base == pytest.approx(times[-1] + FRAME, abs=0.002)


def test_steady_times_make_a_video_of_constant_rate(tmp_path):
    film(tmp_path / "a.mkv", STEADY)  # counts milliseconds
    video = read_video(tmp_path / "a.mkv")
    assert video.fps == 24 and np.array_equal(video.times, np.arange(24) / 24)
    write_video(tmp_path / "b.mp4", video.frames, video.fps, times=video.times)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].average_rate == 24
        assert {packet.duration for packet in container.demux(video=0) if packet.size} == {512}


def test_another_number_of_times_than_of_frames_is_refused(tmp_path):
    for count in (3, 5):
        with pytest.raises(InputError, match="4 times"):
            write_video(tmp_path / "a.mp4", iter(frames(count)), 24, times=np.arange(4.0))
    with pytest.raises(InputError, match="0 times"):
        write_video(tmp_path / "a.mp4", frames(3), 24, times=[])
    for times in ([0.0, 2.0, 1.0], [0.0, 1.0, 1.0], [0.0, np.nan, 1.0], [0.0, 1.0, np.inf]):
        with pytest.raises(InputError, match="go back or are no numbers"):
            write_video(tmp_path / "a.mp4", frames(3), 24, times=np.array(times))
    assert list(tmp_path.iterdir()) == []


def test_a_stream_without_times_has_the_nominal_rate(tmp_path):
    video = read_video(film(tmp_path / "raw.h264", STEADY))
    assert len(video.times) == 24 and np.allclose(np.diff(video.times), 1 / video.fps)
    assert numbers(video.frames) == list(range(24))


def odd(path, tenths: list[int]):
    """Frames at these tenths of a second, as they come: of a picture format, whose packets any muxer takes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuvj420p"
        packets = []
        for index in range(len(tenths)):
            packets += stream.encode(av.VideoFrame.from_ndarray(grey_frame(index), format="rgb24"))
        for index, packet in enumerate([*packets, *stream.encode()]):
            packet.pts, packet.dts = tenths[index], index - 100
            container.mux(packet)
    return path


def test_times_that_stand_still_or_go_back_are_mended_with_a_word_a_reading(tmp_path, caplog):
    odd(tmp_path / "odd.mkv", [0, 1, 2, 2, 4, 3, 6, 7])
    for _ in range(2):
        caplog.clear()
        video = read_video(tmp_path / "odd.mkv")
        assert numbers(video.frames) == list(range(8)) and np.allclose(video.times, np.arange(8) / 10, atol=0.0011)
        assert len(caplog.records) == 1 and "2 of 8 frames have no time of their own" in caplog.text


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_clock_that_stood_still_is_spread_and_can_be_written(tmp_path, ending):
    video = read_video(odd(tmp_path / "still.mkv", [0, 1, *[2] * 20, 4, 5]))
    expected = [0, 0.1, *np.linspace(0.2, 0.4, 21), 0.5]
    assert np.allclose(video.times, expected, atol=0.0011)
    write_video(tmp_path / f"out.{ending}", video.frames, video.fps, times=video.times)
    assert np.allclose(picture_times(tmp_path / f"out.{ending}"), expected, atol=0.0021)


def test_times_nearer_than_the_files_clock_can_tell_are_written(tmp_path):
    times = np.array([*np.arange(20) * 1e-6, *np.arange(1, 21) / 7])
    write_video(tmp_path / "out.mp4", frames(40), 24, times=times)
    shown = picture_times(tmp_path / "out.mp4")
    assert len(shown) == 40 and (np.diff(shown) > 0).all() and np.allclose(shown, times, atol=20 / 90_000)


@pytest.mark.parametrize(
    ("told", "times"),
    [
        ([0, 5, 5, 5, 5, 6], [0, 5, 5.25, 5.5, 5.75, 6]),
        ([0, 1, 2, None, None, None], [0, 1, 2, 3, 4, 5]),  # none comes later
        ([0, 9, 9, 9, 30], [0, 9, 10, 11, 30]),  # never further apart than usual
        ([50, 51, 20, 21, 23], [0, 1, 2, 3, 5]),  # another clock
        ([50, 51, 51, 20, 22], [0, 1, 2, 3, 5]),
        ([0, *[1] * 30, 90], [0, *range(1, 31), 90]),  # stands still for longer than clocks are said to jump
    ],
)
def test_frames_without_a_time_of_their_own_are_spread_evenly(told, times):
    found, _, _ = frame_times(told, 1)
    assert np.allclose(found, times)


def test_edit_lists_of_pictures_are_honoured(tmp_path):
    film(tmp_path / "whole.mp4", STEADY)
    with av.open(str(tmp_path / "whole.mp4")) as whole, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0], opaque=True)
        shift = round(5 * FRAME / whole.streams.video[0].time_base)  # five frames of the first group are not shown
        for packet in whole.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                cut.mux(packet)
    video = read_video(tmp_path / "cut.mp4")
    assert numbers(video.frames) == list(range(5, 24)) and np.allclose(video.times, STEADY[:19], atol=1e-3)


CLOCKS = {
    "together": (0.0, 0.0),
    "pictures half a second later": (0.5, 0.0),
    "sound half a second later": (0.0, 0.5),
    "an odd clock": (1.4, 1.4),
}


@pytest.mark.parametrize("ending", ["mkv", "ts", "mp4"])
@pytest.mark.parametrize("clock", CLOCKS)
def test_sound_stays_in_step_with_the_pictures(tmp_path, ending, clock):
    pictures_from, sound_from = CLOCKS[clock]
    heard_at = 1.0 + pictures_from  # on the source's clock: one second after its first frame
    source = film(
        tmp_path / f"in.{ending}", [pictures_from + time for time in VARIABLE + [1.8]], heard_at, sound_from=sound_from
    )
    assert onset(source) - picture_times(source)[0] == pytest.approx(1.0, abs=0.03)
    video = read_video(source)
    for made in (tmp_path / "out.mp4", tmp_path / "out.mkv"):
        write_video(made, video.frames, video.fps, sound_of=source, times=video.times)
        assert onset(made) - picture_times(made)[0] == pytest.approx(1.0, abs=0.03), made.name
        assert np.allclose(np.array(picture_times(made)) - picture_times(made)[0], VARIABLE + [1.8], atol=0.002)


@pytest.mark.parametrize(
    ("codec", "ending", "in_mp4", "in_mkv"),
    [
        ("pcm_s16le", "mov", "aac", "pcm_s16le"),
        ("vorbis", "mkv", "aac", "vorbis"),
        ("adpcm_ms", "avi", "aac", "aac"),
        ("libmp3lame", "mkv", "mp3float", "mp3float"),
        ("flac", "mkv", "flac", "flac"),
    ],
)
def test_sound_of_every_kind_is_kept(tmp_path, codec, ending, in_mp4, in_mkv):
    no_b_frames = {"bf": "0"}  # .avi has no place for their times
    source = film(tmp_path / f"in.{ending}", STEADY, 0.5, codec, encoding=no_b_frames)
    video = read_video(source)
    for made, kept in ((tmp_path / "out.mp4", in_mp4), (tmp_path / "out.mkv", in_mkv)):
        write_video(made, video.frames, video.fps, sound_of=source, times=video.times)
        with av.open(str(made)) as container:
            assert container.streams.audio[0].codec_context.name == kept
        assert onset(made) - picture_times(made)[0] == pytest.approx(0.5, abs=0.03), made.name


def test_sound_and_pictures_alternate_and_the_index_is_in_front(tmp_path):
    times = [index / 4 for index in range(240)]  # a minute
    source = film(tmp_path / "in.mkv", [0.0, 59.0], 1.0)
    write_video(tmp_path / "out.mp4", (grey_frame(index % 40) for index in range(240)), 4, source, np.array(times))
    content = (tmp_path / "out.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [packet for packet in container.demux() if packet.size]
        last = {"video": 0.0, "audio": 0.0}
        for packet in sorted(packets, key=lambda packet: packet.pos):
            last[packet.stream.type] = float(packet.dts * packet.time_base)
            assert abs(last["video"] - last["audio"]) < 1.5


@pytest.mark.parametrize(("first", "second", "taken"), [(0, 1, 1), (1, 0, 0), (1 | 8, 0, 1), (8, 8, 0)])
def test_the_default_sound_is_taken_and_no_commentary(tmp_path, first, second, taken):
    source = tmp_path / "two.mkv"
    film(tmp_path / "plain.mkv", STEADY, 0.2, tracks=2)  # the second beeps 0.3 s later
    with av.open(str(tmp_path / "plain.mkv")) as plain, av.open(str(source), "w") as container:
        copies = {stream.index: container.add_stream_from_template(stream, opaque=True) for stream in plain.streams}
        copies[1].disposition, copies[2].disposition = first, second
        for packet in plain.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                container.mux(packet)
    write_video(tmp_path / "out.mp4", frames(24), 24, sound_of=source)
    assert onset(tmp_path / "out.mp4") == pytest.approx(0.2 + 0.3 * taken, abs=0.03)
