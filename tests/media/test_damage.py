"""Files that are cut short or damaged are told, with how many frames of how many can be read."""

import logging
import re

import av
import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import open_video, read_video, write_video

from .films import film, numbers, picture_times
from .sound import sound_packets

STEADY = [index / 24 for index in range(40)]


def in_front(path, tmp_path):
    """The same .mp4 with its index in front, as cameras' uploads have it."""
    with (
        av.open(str(path)) as source,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as to,
    ):
        stream = to.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                to.mux(packet)
    return tmp_path / "front.mp4"


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_file_that_is_cut_short_is_told(tmp_path, caplog, ending):
    path = film(tmp_path / f"whole.{ending}", STEADY, 0.2)
    path = in_front(path, tmp_path) if ending == "mp4" else path
    assert len(read_video(path).frames) == 40 and caplog.text == ""
    content = path.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    cut.write_bytes(content[: places[24] + 9])  # in the middle of the 25th
    video = read_video(cut)
    told = re.search(rf"cut.{ending} is .*: (\d+) of (\d+) frames can be read", caplog.text)
    assert told and int(told[1]) == len(video.frames) < 38 and int(told[2]) == pytest.approx(40, abs=1)
    assert numbers(video.frames)[:10] == list(range(10)) and np.allclose(video.times[:10], STEADY[:10], atol=0.002)


def test_subtitles_that_outlast_the_pictures_are_no_damage(tmp_path, caplog):
    film(tmp_path / "plain.mkv", STEADY, 0.2)
    (tmp_path / "words.srt").write_text(
        "1\n00:00:00,500 --> 00:00:01,000\nOne\n\n2\n00:00:04,000 --> 00:00:05,000\nTwo\n"
    )
    with (
        av.open(str(tmp_path / "plain.mkv")) as plain,
        av.open(str(tmp_path / "words.srt")) as words,
        av.open(str(tmp_path / "both.mkv"), "w") as both,
    ):
        sources = [*plain.streams, *words.streams]
        copies = {stream: both.add_stream_from_template(stream, opaque=True) for stream in sources}
        for packet in [*plain.demux(), *words.demux()]:
            if packet.size:
                packet.stream = copies[packet.stream]
                both.mux(packet)
    with av.open(str(tmp_path / "both.mkv")) as both:
        assert both.duration / av.time_base == pytest.approx(5, abs=0.01)
    assert numbers(read_video(tmp_path / "both.mkv").frames) == list(range(40)) and caplog.text == ""


def test_frames_that_cannot_be_decoded_are_stood_in_for_and_told(tmp_path, caplog):
    path = film(tmp_path / "whole.mp4", STEADY)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        lost = [(packet.pos, packet.size) for packet in packets if packet.is_keyframe][1]
    content[lost[0] : lost[0] + lost[1]] = bytes(7 * place % 251 for place in range(lost[1]))
    (tmp_path / "hurt.mp4").write_bytes(content)
    video = read_video(tmp_path / "hurt.mp4")
    assert len(video.frames) == len(video.times) == 40 and np.allclose(video.times, STEADY)
    told = re.search(r"hurt.mp4 is damaged: (\d+) of 40 frames can be read", caplog.text)
    assert told and int(told[1]) < 40
    clip = open_video(tmp_path / "hurt.mp4")
    caplog.clear()
    assert np.array_equal(clip.read(), clip.read()) and len(caplog.records) == 1
    assert numbers(video.frames)[:8] == list(range(8)) and numbers(video.frames)[24:] == list(range(24, 40))


def test_a_recording_without_its_index_is_refused_for_what_it_is(tmp_path):
    content = film(tmp_path / "whole.mp4", STEADY).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: content.find(b"moov") - 4])
    with pytest.raises(InputError, match=r"cut.mp4 is cut short: its index \(moov\) is missing"):
        open_video(tmp_path / "cut.mp4")


def test_a_file_without_one_readable_frame_is_refused(tmp_path):
    path = film(tmp_path / "whole.mp4", STEADY)
    content = bytearray(path.read_bytes())
    begin, end = content.find(b"mdat") + 4, content.find(b"moov") - 4
    content[begin:end] = bytes(end - begin)
    (tmp_path / "empty.mp4").write_bytes(content)
    with pytest.raises(InputError, match="empty.mp4 holds 0 frames that can be read"):
        read_video(tmp_path / "empty.mp4")


def test_text_and_playlists_are_no_videos(tmp_path):
    (tmp_path / "pose.txt").write_text('[{"people": []}]\n' * 50)
    film(tmp_path / "a.ts", STEADY)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n")
    for name in ("pose.txt", "list.m3u8"):
        with pytest.raises(InputError, match=f"{name} is text, not a video"):
            open_video(tmp_path / name)


def test_what_is_wrong_is_told_once_a_reading(tmp_path, caplog):
    content = film(tmp_path / "whole.mkv", STEADY).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    for _ in range(2):
        caplog.clear()
        read_video(tmp_path / "cut.mkv")
        assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(("codec", "ending"), [("aac", "mp4"), ("pcm_s16le", "mkv")])
def test_a_hurt_source_gives_the_rest_of_its_sound(tmp_path, codec, ending):
    content = bytearray(film(tmp_path / f"whole.{ending}", STEADY, 1.5, codec).read_bytes())
    middle = len(content) // 3
    content[middle : middle + 300] = bytes(7 * place % 251 for place in range(300))
    (tmp_path / f"hurt.{ending}").write_bytes(content)
    video = read_video(tmp_path / f"hurt.{ending}")
    write_video(tmp_path / "out.mp4", video.frames, video.fps, tmp_path / f"hurt.{ending}", video.times)
    assert len(picture_times(tmp_path / "out.mp4")) == len(video.frames)
    assert sound_packets(tmp_path / "out.mp4")
