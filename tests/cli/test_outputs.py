"""What is written replaces nothing that was read, and what cannot be written is told before any work."""

import os
import shutil

import numpy as np
import pytest
from inhabit.cli import main
from inhabit.errors import InputError
from inhabit.media import read_video, write_image, write_lossless
from inhabit.media.outputs import check_output
from inhabit.pipeline import request

from .conftest import FRAMES, HEIGHT, WIDTH


def relative(path, tmp_path):
    return os.path.relpath(path)


def linked(path, tmp_path):
    (tmp_path / "link.mp4").symlink_to(path)
    return tmp_path / "link.mp4"


def hard_linked(path, tmp_path):
    os.link(path, tmp_path / "hard.mp4")
    return tmp_path / "hard.mp4"


def through_a_linked_folder(path, tmp_path):
    (tmp_path / "folder").symlink_to(path.parent)
    return tmp_path / "folder" / path.name


WAYS = [lambda path, _: path, relative, linked, hard_linked, through_a_linked_folder]


@pytest.mark.parametrize("way", WAYS)
def test_the_driving_video_is_not_replaced(animate, clip, tmp_path, monkeypatch, way):
    monkeypatch.chdir(clip.out)
    driving = clip.folder / "driving.mp4"
    before = driving.read_bytes()
    code, error = animate(out=way(driving, tmp_path))
    last = error.splitlines()[-1]
    assert code == 2 and "--driving names, which would be lost: give another name" in last, error
    assert driving.read_bytes() == before


@pytest.mark.parametrize("name", ["mask", "depth", "object"])
def test_files_beside_the_driving_video_are_not_replaced_either(animate, clip, name):
    before = (clip.folder / f"{name}.mkv").read_bytes()
    code, error = animate(out=clip.folder / f"{name}.mkv")
    assert code == 2 and f"{name}.mkv is what --{name}" in error
    assert (clip.folder / f"{name}.mkv").read_bytes() == before


def test_nor_is_anything_put_into_a_folder_of_frames(animate, clip):
    frames = clip.folder / "frames"
    frames.mkdir()
    for index, picture in enumerate(read_video(clip.folder / "driving.mp4").frames):
        write_image(frames / f"{index}.png", picture)
    code, error = animate(driving=frames, out=frames / "result.mkv")
    assert code == 2 and "frames, the folder that --driving names: give another place" in error
    assert len(list(frames.iterdir())) == FRAMES


def test_a_model_is_not_replaced(animate, clip, checkpoint, tmp_path):
    model = tmp_path / "model.mkv"
    shutil.copy(checkpoint, model)
    before = model.read_bytes()
    code, error = animate(model=model, out=model)
    assert code == 2 and "--model names" in error and model.read_bytes() == before


LONG = "é" * 125 + "a.mkv"  # 255 bytes


def test_a_name_of_255_bytes_works_and_one_more_is_told_before_anything_is_read(animate, clip, monkeypatch):
    assert animate(out=clip.out / LONG)[0] == 0
    assert [path.name for path in clip.out.iterdir()] == [LONG]
    monkeypatch.setattr(request, "open_inputs", lambda *_: pytest.fail("read for nothing"))
    for out in (clip.out / f"a{LONG}", clip.out / ("b" * 256) / "result.mkv"):
        code, error = animate(out=out)
        assert code == 2 and "256 bytes long, and 255 is the most" in error.splitlines()[-1]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("folder.mkv", "is a folder"),
        ("file/result.mkv", "is no folder"),
        ("pipe.mkv", "a pipe, no file"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_read(animate, clip, monkeypatch, out, message):
    (clip.out / "folder.mkv").mkdir()
    (clip.out / "file").write_bytes(b"")
    os.mkfifo(clip.out / "pipe.mkv")
    monkeypatch.setattr(request, "open_inputs", lambda *_: pytest.fail("read for nothing"))
    code, error = animate(out=clip.out / out)
    assert code == 2
    assert message in error.splitlines()[-1]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom folders can be closed to")
def test_a_closed_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no folder you can write to"):
        check_output(tmp_path / "result.mkv")


def refused(capsys, arguments: list[str], message: str) -> None:
    assert main(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("inhabit: error: ") and message in last


def test_sheet_replaces_none_of_its_videos(tmp_path, capsys):
    write_lossless(tmp_path / "clip.mkv", np.zeros((2, HEIGHT, WIDTH, 3), np.uint8), 24)
    write_image(tmp_path / "reference.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    before = (tmp_path / "reference.png").read_bytes()
    given = ["sheet", f"row={tmp_path / 'clip.mkv'}", "--reference", str(tmp_path / "reference.png"), "--out"]
    refused(capsys, [*given, str(tmp_path / "reference.png")], "is what --reference names")
    refused(capsys, [*given, str(tmp_path / "clip.mkv")], "is what row names")
    assert (tmp_path / "reference.png").read_bytes() == before


@pytest.mark.parametrize("command", ["scene", "demo"])
def test_scene_and_demo_replace_no_pictures_of_the_user(tmp_path, capsys, command):
    (tmp_path / "reference.png").write_bytes(b"mine")
    given = [command, "--out", str(tmp_path), "--frames", "1", "--size", "96x96"]
    refused(capsys, given, "holds a reference.png that was not written by this command")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_report_replaces_no_text_of_the_user(tmp_path, capsys):
    (tmp_path / "report.md").write_bytes(b"mine")
    refused(capsys, ["report", "--out", str(tmp_path)], "holds a report.md that was not written by this command")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_convert_writes_nothing_into_a_folder_that_it_reads(tmp_path, capsys):
    (tmp_path / "unet").mkdir()
    given = ["convert", "--kind", "sd15", str(tmp_path), "--out", str(tmp_path / "unet" / "a.safetensors")]
    refused(capsys, given, f"lies in {tmp_path}, the folder that FILE names: give another place")


def test_a_scene_is_written_again_into_its_folder(tmp_path):
    for seed in ("1", "2"):
        assert main(["scene", "--out", str(tmp_path / "s"), "--seed", seed, "--frames", "1", "--size", "96x96"]) == 0


def test_train_does_not_replace_the_model_it_starts_from(tmp_path, capsys, checkpoint):
    (tmp_path / "run").mkdir()
    shutil.copy(checkpoint, tmp_path / "run" / "model.safetensors")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    given = ["train", "--recipe", "tiny", "--out", str(tmp_path / "run")]
    refused(capsys, [*given, "--set", f"init={tmp_path / 'run' / 'model.safetensors'}"], "is what init names")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("command", ["scene", "demo", "report", "train"])
def test_a_file_where_a_folder_is_wanted_is_told(tmp_path, capsys, command):
    (tmp_path / "file").write_bytes(b"mine")
    refused(
        capsys,
        [command, "--out", str(tmp_path / "file"), *(["--recipe", "tiny"] if command == "train" else [])],
        "file is a file: give the name of a folder",
    )
