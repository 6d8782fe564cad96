"""The videos that memory is measured over: their length, and the peak of a process that animates one."""

import numpy as np
import pytest
from inhabit.evaluation import long_memory
from inhabit.evaluation.memory import status_mib
from inhabit.media import open_video

pytestmark = pytest.mark.skipif(status_mib("VmHWM") is None, reason="Linux alone tells the peak memory of a process")


def test_the_first_second_is_repeated_to_the_length_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(long_memory, "FULL", (320, 180))
    long_memory._write_inputs(tmp_path, 75)
    video = open_video(tmp_path / "driving.mp4")
    np.testing.assert_allclose(video.times, np.arange(75) / 30, atol=1e-3)
    frames = list(video.frames())
    assert np.array_equal(frames[7], frames[37]) and not np.array_equal(frames[7], frames[8])
