"""The other commands, end to end at the smallest size, and the help of all."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from inhabit.cli import main
from inhabit.evaluation import demo
from inhabit.evaluation.sheet import CELL
from inhabit.media import read_depth, read_image, read_mask, read_pose, read_video, write_lossless
from inhabit.pipeline.perceived import default_estimator

COMMANDS = ("scene", "animate", "perceive", "demo", "train", "convert", "bench", "report", "sheet", "fetch-weights")


def test_scene_writes_what_the_contract_names(tmp_path, capsys):
    arguments = "--seed 900001 --kind object --frames 2 --size 104x96".split()
    assert main(["scene", "--out", str(tmp_path / "scene"), *arguments]) == 0
    folder = tmp_path / "scene"
    for name in ("driving.mp4", "target.mp4"):
        assert read_video(folder / name).frames.shape == (2, 96, 104, 3)
    for name in ("mask.mkv", "object.mkv", "hands.mkv", "face.mkv"):
        assert read_mask(folder / name).shape == (2, 96, 104)
    assert read_depth(folder / "depth.mkv").shape == (2, 96, 104)
    assert len(read_pose(folder / "pose.json")) == 2 and read_image(folder / "reference.png").shape[0] == 1
    assert json.loads((folder / "meta.json").read_text())["seed"] == 900001
    assert "scene" in capsys.readouterr().out


def test_demo_leaves_a_comparison_and_nothing_else(tmp_path, checkpoint, capsys):
    arguments = ["--model", str(checkpoint), "--frames", "2", "--size", "96x96"]
    assert main(["demo", "--out", str(tmp_path / "demo"), *arguments]) == 0
    names = {"reference.png", "driving.mp4", "result.mp4", "target.mp4", "sheet.png", "metrics.json"}
    seen = {"seen-driving.mp4", "seen-result.mp4", "seen-sheet.png"}
    estimated = default_estimator().available() is None
    assert {path.name for path in (tmp_path / "demo").iterdir()} == names | (seen if estimated else set())
    if estimated:
        assert read_video(tmp_path / "demo" / "seen-driving.mp4").frames.shape == (2, 512, 512, 3)
        assert read_video(tmp_path / "demo" / "seen-result.mp4").frames.shape == (2, 96, 96, 3)
    metrics = json.loads((tmp_path / "demo" / "metrics.json").read_text())
    assert set(metrics["result"]) >= {"character", "outside", "frame"}
    assert set(metrics["result"]["character"]) == {"psnr", "ssim"} and len(metrics["baselines"]) == 3
    assert all(
        len(read_video(tmp_path / "demo" / f"{name}.mp4").frames) == 2 for name in ("driving", "result", "target")
    )
    assert "pasted reference" in capsys.readouterr().out


def test_report_measures_and_refuses_in_one_line(tmp_path, checkpoint, capsys):
    out = tmp_path / "report"
    small = ["--scenes", "1", "--frames", "2", "--size", "96", "--no-switches", "--device", "cpu"]
    assert main(["report", "--out", str(out), "--model", str(checkpoint), *small]) == 0
    assert capsys.readouterr().out.strip() == (out / "report.md").read_text().strip()
    assert len(json.loads((out / "report.json").read_text())["scenes"]) == 1
    for wrong in (
        ["--model", str(tmp_path / "none.safetensors")],
        ["--scenes", "0"],
        ["--long-videos", "0"],
        ["--device", "tpu"],
    ):
        assert main(["report", "--out", str(tmp_path / "no"), *wrong]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("inhabit: error: ") and wrong[1] in line
    assert not (tmp_path / "no").exists()


def test_sheet_draws_videos_and_names_the_greatest_jump(tmp_path, capsys):
    frames = torch.full((6, 16, 16, 3), 0.2)
    frames[4:] = 0.7
    write_lossless(tmp_path / "clip.mkv", frames, fps=24)
    assert main(["sheet", "--out", str(tmp_path / "sheet.png"), f"a jump={tmp_path / 'clip.mkv'}"]) == 0
    line = "a jump: 6 frames, change a frame 0.0996 on average, 0.4980 at most, after frame 3"
    assert line in capsys.readouterr().out
    assert read_image(tmp_path / "sheet.png").shape[2] > 6 * CELL


def test_sheet_takes_paths_with_an_equals_sign_and_every_row(tmp_path, capsys):
    folder = tmp_path / "size=16"
    folder.mkdir()
    write_lossless(folder / "clip.mkv", torch.zeros(2, 16, 16, 3), fps=24)
    rows = [f"first={folder / 'clip.mkv'}", f"second={folder / 'clip.mkv'}", str(folder / "clip.mkv")]
    assert main(["sheet", "--out", str(tmp_path / "sheet.png"), *rows]) == 0
    told = [line.split(": 2 frames")[0] for line in capsys.readouterr().out.splitlines() if ": 2 frames" in line]
    assert told == ["first", "second", str(folder / "clip.mkv")]
    assert main(["sheet", "--out", str(tmp_path / "no.png"), *rows, rows[0]]) == 2
    assert "first is the label of 2 rows: give each" in capsys.readouterr().err and not (tmp_path / "no.png").exists()


OF_A_STEP = (
    "--preset sd15",
    "--device cpu",
    "--dtype float16",
    "--size 64x64",
    "--frames 4",
    "--rounds 1",
    "--compile",
)
OF_THE_REPORT = ("--scenes 2", "--frames 4", "--seed 1", "--steps 2", "--guidance 2", "--no-switches")


@pytest.mark.parametrize(
    ("command", "unread"),
    [("bench --lengths 2", option) for option in OF_A_STEP]
    + [(f"report --out x {mode} 1", option) for mode in ("--hands", "--long-videos") for option in OF_THE_REPORT],
)
def test_options_that_a_command_does_not_read_are_refused(tmp_path, monkeypatch, capsys, command, unread):
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), *unread.split()]) == 2
    mode = command.split()[-2]
    assert f"{unread.split()[0]} says nothing to {mode}: leave one of them out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [["--columns", "0"], ["row=missing.mp4"]])
def test_sheet_refuses_in_one_line(tmp_path, capsys, wrong):
    write_lossless(tmp_path / "clip.mkv", torch.zeros(1, 16, 16, 3), fps=24)
    assert main(["sheet", "--out", str(tmp_path / "sheet.png"), str(tmp_path / "clip.mkv"), *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "sheet.png").exists()


def test_train_makes_a_model_that_animate_takes(tmp_path, animate, clip):
    """Two steps of a stage, stopped at its end; then the file is used."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
        model:
          preset: puppets
          overrides: {unet.block_out_channels: [16, 16, 32], unet.norm_groups: 8, unet.heads: 2,
                      unet.motion_modules.norm_groups: 8, unet.motion_modules.heads: 2,
                      autoencoder.encoder_channels: 16, autoencoder.decoder_channels: 16}
        data: {width: 96, height: 96, scene_frames: 4}
        workers: 0
        stages: [{name: start, kind: autoencoder, steps: 9, clips: 1, frames: 2}]
        """
    )
    arguments = [
        "--recipe",
        str(recipe),
        "--out",
        str(tmp_path / "run"),
        "--set",
        "stages.start.steps=2",
        "--device",
        "cpu",
    ]
    assert main(["train", *arguments]) == 0
    code, error = animate(model=tmp_path / "run" / "model.safetensors", steps=1)
    assert code == 0, error


def test_a_terminated_command_leaves_nothing_half_written(tmp_path, monkeypatch, capsys):
    def render(*arguments):
        [unfinished] = tmp_path.iterdir()
        assert unfinished.name.endswith(".part")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)  # until the signal arrives
        raise AssertionError("SIGTERM did not end the command")

    monkeypatch.setattr(demo, "render_scene", render)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 143
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_full_gpu_is_one_line(tmp_path, monkeypatch, capsys):
    def render(*arguments):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\n...")

    monkeypatch.setattr(demo, "render_scene", render)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    assert capsys.readouterr().err == "inhabit: error: the GPU's memory does not suffice: give a smaller --size\n"
    monkeypatch.setattr(demo, "render_scene", lambda *arguments: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        main(["demo", "--out", str(tmp_path / "demo")])


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_explains_and_shows_an_example(capsys, command):
    assert main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert (
        all(name in shown for name in COMMANDS)
        if not command
        else f"inhabit {command[0]} --" in shown.split("example:")[1]
    )


def test_help_loads_no_heavy_library():
    code = "import sys; from inhabit.cli import main; main(['animate', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
