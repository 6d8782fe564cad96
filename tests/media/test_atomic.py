"""Output is whole or not there."""

import os

import pytest
from inhabit.media import atomic_file, atomic_folder


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
    (tmp_path / f".out.{os.getpid()}.part").mkdir()
    (tmp_path / f".out.{os.getpid()}.part" / "half.png").write_text("half")
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
