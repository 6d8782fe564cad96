"""The videos that memory is measured over: their length, and the peak of a process that animates one."""

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.evaluation import long_memory
from inhabit.evaluation.memory import status_mib
from inhabit.media import open_video


def test_the_first_second_is_repeated_to_the_length_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(long_memory, "FULL", (320, 180))
    long_memory._write_inputs(tmp_path, 75)
    video = open_video(tmp_path / "driving.mp4")
    np.testing.assert_allclose(video.times, np.arange(75) / 30, atol=1e-3)
    frames = list(video.frames())
    assert np.array_equal(frames[7], frames[37]) and not np.array_equal(frames[7], frames[8])


@pytest.mark.skipif(status_mib("VmHWM") is None, reason="Linux alone tells the peak memory of a process")
def test_a_second_of_video_has_a_peak():
    peaks = long_memory.memory_by_length([1])
    assert list(peaks) == ["1"] and 100 < peaks["1"] < 8192
    assert long_memory.table(peaks) == f"     1 s of 1080p at 128x72: {peaks['1']:.0f} MiB"


def test_where_no_peak_is_told_that_is_said(monkeypatch):
    monkeypatch.setattr(long_memory, "status_mib", lambda field: None)
    with pytest.raises(InputError, match="told by Linux alone"):
        long_memory.memory_by_length([1])
