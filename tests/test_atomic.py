"""Output is whole or not there."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from inhabit.atomic import atomic_file, atomic_folder
from inhabit.errors import InputError
from inhabit.media import read_video, write_image, write_lossless, write_video


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_file_leaves_the_old_one(tmp_path, error):
    goal = tmp_path / "out.mp4"
    goal.write_text("old")
    with pytest.raises(error), atomic_file(goal) as temporary:
        temporary.write_text("half")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert goal.read_text() == "old"


def test_file_appears_with_its_parents_and_same_suffix(tmp_path):
    with atomic_file(tmp_path / "a" / "b.mp4") as temporary:
        assert temporary.suffix == ".mp4"
        temporary.write_text("whole")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.mp4"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_folder_leaves_nothing(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "out") as temporary:
        (temporary / "half.png").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_no_hindrance(tmp_path):
    with atomic_folder(tmp_path / "gone") as temporary:
        name = temporary.name
    (tmp_path / "gone").rename(tmp_path / name)
    (tmp_path / name / "half.png").write_text("half")
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "made.txt").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made.txt"]


def test_folder_is_merged_into_one_that_exists(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.txt").write_text("mine")
    (out / "made.txt").write_text("old")
    with atomic_folder(out) as temporary:
        (temporary / "made.txt").write_text("new")
    assert {path.name: path.read_text() for path in out.iterdir()} == {"kept.txt": "mine", "made.txt": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("in_the_way", ["a folder", "a file"])
def test_nothing_is_replaced_where_something_of_another_kind_is_in_the_way(tmp_path, in_the_way):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("old")
    with pytest.raises(InputError, match="b.txt is in the way"), atomic_folder(out) as temporary:
        (temporary / "a.txt").write_text("new")
        if in_the_way == "a folder":
            (out / "b.txt").mkdir()
            (temporary / "b.txt").write_text("new")
        else:
            (out / "b.txt").write_text("old")
            (temporary / "b.txt").mkdir()
    assert (out / "a.txt").read_text() == "old" and sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_all_files_of_a_folder_are_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    flushed, fsync = [], os.fsync

    def noted(number):
        flushed.append((os.fstat(number).st_ino, (tmp_path / "out").exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", noted)
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "scenes").mkdir()
        for name in ("a", "scenes/b"):
            (temporary / name).write_text("new")
    made = [tmp_path / "out" / "a", tmp_path / "out" / "scenes" / "b", tmp_path / "out"]
    assert {(path.stat().st_ino, False) for path in made} == {one for one in flushed if not one[1]}
    assert [number for number, named in flushed if named] == [tmp_path.stat().st_ino], "then its name"


NAMES = ["a" * 251 + ".mp4", "ä" * 125 + "b.mkv", "." + "c" * 254, "d" * 20 + "." + "e" * 234]


@pytest.mark.parametrize("name", NAMES, ids=["plain", "umlauts", "hidden", "long ending"])
def test_names_of_255_bytes(tmp_path, name):
    assert len(name.encode()) == 255
    with atomic_file(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with atomic_folder(tmp_path / "in" / name) as temporary:
        (temporary / "a").write_text("whole")
    assert [path.name for path in (tmp_path / "in").iterdir()] == [name]


def test_videos_and_pictures_with_the_longest_names(tmp_path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    write_video(tmp_path / ("v" * 251 + ".mp4"), frames, 8)
    write_lossless(tmp_path / ("v" * 251 + ".mkv"), frames, 8)
    write_image(tmp_path / ("v" * 251 + ".png"), frames[0])
    assert all(len(read_video(path).frames) in (1, 2) for path in tmp_path.iterdir())


HOLD = """
import sys, time
from inhabit.atomic import atomic_file, atomic_folder
with atomic_file(sys.argv[1] + "/held.mp4") as file, atomic_folder(sys.argv[1] + "/held") as folder:
    file.write_bytes(b"half")
    (folder / "half").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path):
    """Another process that is half way through a file and a folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_what_killed_runs_left_is_swept_and_nothing_of_living_ones(tmp_path, held):
    before = {path.name for path in tmp_path.iterdir()}
    assert len(before) == 2
    with atomic_file(tmp_path / "mine.txt") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == before | {"mine.txt"}
    held.send_signal(signal.SIGKILL)
    held.wait()
    (tmp_path / "film.part").write_text("of a browser")
    (tmp_path / ".other.99999.part.mp4").write_text("of something else")
    with atomic_file(tmp_path / "mine.txt") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "film.part", ".other.99999.part.mp4"}


def test_what_another_machine_began_is_swept_when_it_is_old(tmp_path):
    left = [tmp_path / f".inhabit.0badcafe.{index}.{os.getpid()}.part.mp4" for index in range(2)]
    for path in left:
        path.write_text("half")
    os.utime(left[0], (time.time() - 3 * 24 * 3600,) * 2)
    with atomic_folder(tmp_path / "mine"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [left[1].name, "mine"]


def test_what_this_process_holds_is_not_swept(tmp_path):
    with atomic_file(tmp_path / "a.txt") as first, atomic_file(tmp_path / "b.txt") as second:
        first.write_text("a")
        second.write_text("b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]
