"""`inhabit animate` killed in the middle, and `--resume`: the bytes of a run that nobody disturbed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from inhabit.cli import main
from inhabit.media import read_pose, write_image, write_lossless, write_pose
from inhabit.media.video import read_video
from inhabit.pipeline.resume import SUFFIX, Progress, request_of
from safetensors import safe_open

STEPS = 12


@pytest.fixture
def longer(clip) -> list[str]:
    """Options of a run over 21 frames, three windows of the tiny model."""
    frames = read_video(clip.folder / "driving.mp4").frames
    folder = clip.folder / "longer"
    folder.mkdir()
    write_lossless(folder / "long.mkv", frames.repeat(7, axis=0), 8)
    write_pose(folder / "long.json", read_pose(clip.folder / "pose.json") * 7)
    mask = np.zeros((64, 48), np.uint8)
    mask[24:44, 16:32] = 255
    write_image(folder / "one.png", mask)
    names = {"driving": "longer/long.mkv", "pose": "longer/long.json", "mask": "longer/one.png"}
    names["reference"] = "reference.png"
    given = [text for option, name in names.items() for text in (f"--{option}", str(clip.folder / name))]
    return ["animate", *given, "--steps", str(STEPS), "--device", "cpu"]


def done(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return int(file.metadata()["done"])


def killed(arguments: list[str], kept: Path, after: int) -> None:
    """Run the command in a process of its own and kill it once so many parts are done."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "inhabit", *arguments], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (kept.exists() and done(kept) >= after):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read().decode()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(("way", "after"), [("windows", 2), ("clips", 1)])
def test_a_killed_run_goes_on_to_the_same_bytes(longer, clip, checkpoint, caplog, way, after):
    caplog.set_level("INFO")
    torch.set_num_threads(1)
    options = [*longer, "--model", str(checkpoint), "--long-video", way]
    whole, cut = clip.out / "whole.mkv", clip.out / "cut.mkv"
    assert main([*options, "--out", str(whole)]) == 0
    kept = cut.with_name(cut.name + SUFFIX)
    killed([*options, "--out", str(cut)], kept, after)
    assert not cut.exists() and after <= done(kept) < {"windows": STEPS, "clips": 4}[way]
    assert main([*options, "--out", str(cut), "--resume"]) == 0
    assert "the run goes on behind part" in caplog.text
    assert cut.read_bytes() == whole.read_bytes()
    assert {path.name for path in clip.out.iterdir()} == {"whole.mkv", "cut.mkv"}


def test_another_request_is_refused_by_what_differs(longer, clip, checkpoint, capsys):
    out = clip.out / "result.mkv"
    options = [*longer, "--model", str(checkpoint), "--out", str(out)]
    killed(options, out.with_name(out.name + SUFFIX), 1)
    for changed, told in (
        (["--seed", "7"], "(seed: 0 then, 7 now)"),
        (["--guidance", "2"], "(guidance: None then, 2.0 now)"),
        (["--driving", str(clip.folder / "driving.mp4")], "driving: ["),
    ):
        assert main([*options, *changed, "--resume"]) == 2
        error = capsys.readouterr().err
        assert told in error and "give the same, or leave out --resume" in error
    write_pose(
        clip.folder / "longer" / "long.json", read_pose(clip.folder / "pose.json") * 7
    )  # written again: another file
    assert main([*options, "--resume"]) == 2 and "pose: ['long.json'" in capsys.readouterr().err
    assert main(options) == 0 and not out.with_name(out.name + SUFFIX).exists()


def test_nothing_to_resume_is_told_and_a_broken_file_refused(longer, clip, checkpoint, capsys, caplog):
    caplog.set_level("INFO")
    out = clip.out / "result.mkv"
    options = [*longer, "--model", str(checkpoint), "--out", str(out), "--resume"]
    assert main(options) == 0 and "nothing to resume" in caplog.text
    kept = out.with_name(out.name + SUFFIX)
    kept.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00nonsense")
    assert main(options) == 2
    assert f"{kept} cannot be read" in capsys.readouterr().err and kept.exists()


def test_what_is_kept_is_what_was_given(tmp_path):
    progress = Progress(tmp_path / "a", {"steps": 3})
    latents = torch.randn(5, 4, 3, 2)
    assert progress.start(True) is None
    progress.save(2, latents.permute(0, 1, 3, 2))
    part, found = progress.start(True)
    assert part == 2 and torch.equal(found, latents.permute(0, 1, 3, 2)) and progress.start(False) is None
    progress.finish()
    assert not list(tmp_path.iterdir())


def test_a_request_tells_files_by_size_and_time(tmp_path):
    from inhabit.pipeline.inputs import InputFiles

    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    before = request_of(InputFiles(path))
    assert before == request_of(InputFiles(path))
    path.write_bytes(b"12")
    assert before != request_of(InputFiles(path))
