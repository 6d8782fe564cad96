"""Input that cannot be used: one clear line with the value and the fix, exit status 2, nothing half-written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from inhabit.cli import main
from inhabit.media import read_video, write_image, write_lossless, write_video
from inhabit.pipeline import request
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
FRAMES, HEIGHT, WIDTH = 3, 64, 48


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def video(path: Path, frames=FRAMES, height=HEIGHT, width=WIDTH, value=128) -> Path:
    write_video(path, np.full((frames, height, width, 3), value, np.uint8), 24)
    return path


def mask_video(path: Path, frames=FRAMES, height=HEIGHT, width=WIDTH, value=255) -> Path:
    write_lossless(path, np.full((frames, height, width), value, np.uint8), 24)
    return path


def picture(path: Path, height: int, width: int) -> Path:
    write_image(path, np.full((height, width, 3), 90, np.uint8))
    return path


def array(path: Path, values: np.ndarray) -> Path:
    np.save(path, values.astype(np.float32))
    return path


def depth_with_nan() -> np.ndarray:
    depth = np.full((FRAMES, HEIGHT, WIDTH), 0.5)
    depth[1, 2, 3] = np.nan
    return depth


def short_pose(folder: Path) -> Path:
    return written(folder / "short.json", json.dumps(json.loads((folder / "pose.json").read_text())[:1]).encode())


def folder_of(path: Path) -> Path:
    path.mkdir()
    return path


def empty_video(path: Path) -> Path:
    """A valid container whose video stream has no frame."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "gray"
        container.start_encoding()
    return path


def truncated(checkpoint: Path, path: Path) -> Path:
    return written(path, checkpoint.read_bytes()[:-1000])


def other_kind(path: Path) -> Path:
    save_file({"lora_unet_mid.weight": torch.zeros(2, 2)}, path)
    return path


# name of the case: option → (how its file is made in the scene folder f, words that the message must hold)
CASES = {
    "missing driving": ("driving", lambda f, c: f / "gone.mp4", "gone.mp4 does not exist: check"),
    "missing reference": ("reference", lambda f, c: f / "gone.png", "gone.png does not exist: check"),
    "missing mask": ("mask", lambda f, c: f / "gone.mkv", "gone.mkv does not exist: check"),
    "missing checkpoint": ("model", lambda f, c: f / "gone.safetensors", "gone.safetensors does not exist: check"),
    "not a video": ("driving", lambda f, c: written(f / "text.mp4", b"no video at all " * 99), "text.mp4 .* give"),
    "not a picture": (
        "reference",
        lambda f, c: written(f / "text.png", b"no picture"),
        r"text.png .*\(10 bytes\): give",
    ),
    "zero bytes": ("driving", lambda f, c: written(f / "empty.mp4", b""), "empty.mp4 .* give"),
    "zero frames": ("driving", lambda f, c: empty_video(f / "none.mkv"), "none.mkv holds 0 frames: give"),
    "zero pictures": ("driving", lambda f, c: folder_of(f / "frames"), "frames holds 0 pictures: put"),
    "truncated video": (
        "driving",
        lambda f, c: written(f / "half.mp4", (f / "driving.mp4").read_bytes()[:300]),
        "half.mp4 .* give",
    ),
    "mask of another length": ("mask", lambda f, c: mask_video(f / "m.mkv", 5), "m.mkv has 5 frames, .* has 3: give"),
    "object mask of another length": (
        "object-mask",
        lambda f, c: mask_video(f / "o.mkv", 9),
        "o.mkv has 9 frames, .* has 3: give",
    ),
    "depth of another length": ("depth", lambda f, c: mask_video(f / "d.mkv", 1), "d.mkv has 1 frames, .* has 3: give"),
    "pose of another length": ("pose", lambda f, c: short_pose(f), "short.json has 1 frames, .* has 3: give"),
    "mask of another shape": ("mask", lambda f, c: mask_video(f / "m.mkv", width=96), "is 96x64, .* is 48x64: crop"),
    "empty mask": ("mask", lambda f, c: mask_video(f / "m.mkv", value=0), "m.mkv is empty in every frame"),
    "pose that is no JSON": ("pose", lambda f, c: written(f / "p.json", b"{"), "p.json is not JSON .* give"),
    "pose that is no skeleton": ("pose", lambda f, c: video(f / "p.mp4"), "100% of .*p.mp4 is not black: give"),
    "reference of 1 px": ("reference", lambda f, c: picture(f / "r.png", 1, 1), "r.png is 1x1 pixels: give .* 32x32"),
    "driving size": ("driving", lambda f, c: video(f / "odd.mp4", height=60), "odd.mp4 is 48x60, .* --size 48x64"),
    "size option": ("size", lambda f, c: "50x64", "--size is 50x64, .* give --size 48x64"),
    "size that is no size": ("size", lambda f, c: "big", "'big' is no size: give WIDTHxHEIGHT"),
    "NaN depth": ("depth", lambda f, c: array(f / "d.npy", depth_with_nan()), "d.npy has NaN .* frame 1: give"),
    "depth out of range": (
        "depth",
        lambda f, c: array(f / "d.npy", np.full((FRAMES, HEIGHT, WIDTH), 7)),
        "from 7 to 7: scale",
    ),
    "truncated checkpoint": (
        "model",
        lambda f, c: truncated(c, f / "t.safetensors"),
        r"t.safetensors \(\d+ bytes\) .*: copy",
    ),
    "empty checkpoint": (
        "model",
        lambda f, c: written(f / "e.safetensors", b""),
        r"e.safetensors \(0 bytes\) .*: copy",
    ),
    "checkpoint of another kind": (
        "model",
        lambda f, c: other_kind(f / "l.safetensors"),
        "l.safetensors is not an Inhabit",
    ),
    "steps": ("steps", lambda f, c: 0, "0 .*give"),
    "guidance": ("guidance", lambda f, c: "nan", "guidance is nan: give"),
    "gamma": ("gamma", lambda f, c: 2, "gamma is 2.0; give a value above 0 and at most 1"),
    "gamma, no number": ("gamma", lambda f, c: "much", "'much' is no gamma: give a number"),
    "window": ("window", lambda f, c: 99, "99 frames"),
    "overlap": ("overlap", lambda f, c: 8, "overlap of 8 frames"),
    "seed": ("seed", lambda f, c: -1, "seed is -1; give"),
    "unneeded CLIP": ("clip-vision", lambda f, c: f / "clip", "clip is given, but model tiny reads none: leave it out"),
    "missing VAE": ("vae", lambda f, c: f / "vae.safetensors", "vae.safetensors does not exist: check"),
    "VAE of another kind": ("vae", lambda f, c: other_kind(f / "v.safetensors"), "v.safetensors is not a .*give"),
    "output format": ("out", lambda f, c: f.parent / "out" / "result.gif", "result.gif names no video: give .* .mp4"),
    "unknown device": ("device", lambda f, c: "tpu", "invalid choice: 'tpu'"),
}


@pytest.mark.parametrize(("option", "make", "message"), CASES.values(), ids=CASES)
def test_animate_refuses(animate, clip, checkpoint, option, make, message):
    code, error = animate(**{option: make(clip.folder, checkpoint)})
    lines = [line for line in error.splitlines() if line.startswith("inhabit: error: ")]
    assert code == 2
    assert len(lines) == 1 and error.endswith(lines[0] + "\n"), error
    assert re.search(message, lines[0]), lines[0]
    assert list(clip.out.iterdir()) == []


def test_missing_parts_are_named_by_their_option(animate, clip, monkeypatch, tmp_path):
    monkeypatch.setenv("INHABIT_MODELS", str(tmp_path / "empty"))  # where nothing can find the pose
    for name, option in (("pose.json", "--pose"), ("mask.mkv", "--mask")):
        (clip.folder / name).rename(clip.folder / "away")
        code, error = animate()
        assert code == 2 and f"give {option}" in error and name in error
        (clip.folder / "away").rename(clip.folder / name)
    code, error = animate(driving=None)
    assert code == 2 and "give --driving" in error
    code, error = animate(driving=clip.folder / "elsewhere" / "driving.mp4")
    assert code == 2 and "driving.mp4 does not exist: check" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_cuda_that_is_not_there(animate, clip):
    code, error = animate(device="cuda")
    assert code == 2 and "--device cpu" in error and list(clip.out.iterdir()) == []


def test_old_output_survives_a_refusal(animate, clip):
    (clip.out / "result.mkv").write_bytes(b"an older result")
    assert animate(reference=clip.folder / "gone.png")[0] == 2
    assert (clip.out / "result.mkv").read_bytes() == b"an older result"


def test_a_folder_that_cannot_be_written_is_named_before_sampling(animate, clip, monkeypatch):
    (clip.out / "file").write_bytes(b"")
    monkeypatch.setattr(request, "draw", lambda *_: pytest.fail("sampled for nothing"))
    code, error = animate(out=clip.out / "file" / "result.mkv")
    last = error.splitlines()[-1]
    assert code == 2 and last.startswith("inhabit: error: ") and "file is no folder" in last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "'dance'"),
        (["animate"], "--reference, --out"),
        (["scene", "--out", "x", "--kind", "fly"], "fly"),
        (["scene", "--out", "x", "--frames", "0"], "0"),
        (["scene", "--out", "x", "--size", "8x8"], "8"),
        (["train", "--recipe", "gone.yaml", "--out", "x"], "gone.yaml does not exist; give"),
        (["bench", "--preset", "huge"], "'huge'"),
        (
            ["demo", "--out", "x", "--model", "gone.safetensors", "--frames", "1"],
            "gone.safetensors does not exist: check the path",
        ),
    ],
)
def test_every_command_refuses_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    last = error.splitlines()[-1]
    assert last.startswith("inhabit: error: ") and message in last
    assert "usage" not in error and list(tmp_path.iterdir()) == []


def test_the_pack_folder_runs_uninstalled_under_any_name(tmp_path):
    """`python <pack folder>` with a hyphenated name, from elsewhere, in a process of its own without site-packages."""
    (tmp_path / "ComfyUI-Inhabit").symlink_to(ROOT, target_is_directory=True)
    command = [sys.executable, "-S", str(tmp_path / "ComfyUI-Inhabit")]
    wrong = ["animate", "--reference", "r.png", "--out", "o.mp4", "--device", "tpu"]
    done = subprocess.run([*command, *wrong], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"inhabit: error: .*'tpu'.*\n", done.stderr)
    shown = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and "animate" in shown.stdout
    bare = subprocess.run([*command, "bench"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert bare.returncode == 2
    assert re.fullmatch(r"inhabit: error: .* needs \S+, which is not installed: .*\n", bare.stderr), bare.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ComfyUI-Inhabit"]


def test_clip_is_valid_in_itself(animate, clip):
    """The control of all cases above: unchanged, the clip animates."""
    code, error = animate()
    assert code == 0, error
    assert len(read_video(clip.out / "result.mkv").frames) == FRAMES
