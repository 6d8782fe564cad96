"""Training sets of rendered films, whose cuts are known; the trainer reads them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import open_video, write_video
from inhabit.perception.backends import MediaPipePose
from inhabit.pipeline.prepare import PrepareSettings, prepare
from inhabit.pipeline.prepare.clips import spans
from inhabit.pipeline.prepare.shots import look
from inhabit.scenes import render_scene
from inhabit.scenes.files import read_scene
from inhabit.training.data import FolderScenes
from inhabit.training.recipe import DataRecipe

REASON = MediaPipePose().available()
needs_weights = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SETTINGS = PrepareSettings(size=(96, 128), min_seconds=0.5)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    first, second = (render_scene(seed, "walk", 14, 320, 320).driving for seed in (11, 12))
    write_video(folder / "two.mp4", np.concatenate([first, second]), 24)
    write_video(folder / "rejects.mp4", np.concatenate([first[:6], np.repeat(second[:1], 14, axis=0)]), 24)
    write_video(folder / "dark.mp4", first // 24, 24)
    write_video(folder / "cut short.mkv", first, 24)
    whole = (folder / "cut short.mkv").read_bytes()
    (folder / "cut short.mkv").write_bytes(whole[: len(whole) // 2])
    noise = np.random.default_rng(0).integers(0, 255, (14, 64, 64, 3), np.uint8)
    write_video(folder / "noise.mp4", noise, 24)
    (folder / "broken.mp4").write_bytes((folder / "two.mp4").read_bytes()[:400])
    (folder / "two.txt").write_text("A walk.\npattern: wave\n")
    return folder


@pytest.fixture(scope="module")
def dataset(films, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "dataset"
    prepare(films, out, SETTINGS)
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clips(dataset: Path, source: str) -> list[dict]:
    return next(r for r in json.loads((dataset / "index.json").read_text()) if r["source"] == source)["clips"]


def test_cuts_are_found_at_their_frame(tmp_path):
    lengths = (9, 13, 7, 11)
    shots = [render_scene(seed, "walk", n, 128, 128).driving for seed, n in enumerate(lengths, 21)]
    write_video(tmp_path / "film.mp4", np.concatenate(shots), 24)
    edges = np.cumsum([0, *lengths]).tolist()
    assert look(open_video(tmp_path / "film.mp4")).shots() == list(zip(edges[:-1], edges[1:], strict=True))


def test_long_shots_are_cut_into_equal_clips():
    parts = spans(np.arange(100) / 25, 25, 1.5)
    assert parts == [(0, 34), (34, 67), (67, 100)]


@needs_weights
def test_every_clip_is_kept_or_has_its_reason(dataset):
    assert [clip["frames"] for clip in clips(dataset, "two.mp4") if "clip" in clip] == [[0, 14], [14, 28]]
    assert [clip["reason"] for clip in clips(dataset, "rejects.mp4")] == ["too short", "frozen"]
    (dark,) = clips(dataset, "dark.mp4")
    assert dark["reason"] in ("too dark", "nobody")
    broken = [r for r in json.loads((dataset / "index.json").read_text()) if r["source"] == "broken.mp4"]
    assert broken[0]["reason"].startswith("unreadable") and not broken[0]["clips"]
    assert not clips(dataset, "cut short.mkv")
    assert all("clip" not in clip for clip in clips(dataset, "noise.mp4"))
    report = (dataset / "report.html").read_text()
    assert report.count("<img") == 2 and "frozen" in report and "broken.mp4" in report


@needs_weights
def test_the_trainer_reads_the_clips(dataset):
    source = FolderScenes(DataRecipe(folder=str(dataset), width=96, height=128), 8)
    clip = source.clip(np.random.default_rng(0), 8, consecutive=True)
    assert clip.target.shape == (8, 128, 96, 3) and len(source.folders) == 2
    for folder in source.folders:
        scene = read_scene(folder)
        shown = scene.character > 127
        assert scene.meta["pattern"] == "wave" and shown.any(axis=(1, 2)).all()
        for people, mask in zip(clip_points(scene.pose), shown, strict=True):
            inside = [mask[y, x] for x, y in people if 0 <= x < 96 and 0 <= y < 128]
            assert np.mean(inside) > 0.6  # poses and masks were moved alike


def clip_points(poses: list[dict]) -> list[list[tuple[int, int]]]:
    from inhabit.media import parse_poses

    bodies = [people[0].body for people in parse_poses(poses, 96, 128)]
    return [[(int(x), int(y)) for x, y, seen in body if seen > 0] for body in bodies]


@needs_weights
def test_a_second_run_changes_nothing(films, dataset):
    times = {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.is_file()}
    prepare(films, dataset, SETTINGS)
    assert times == {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="other settings"):
        prepare(films, dataset, PrepareSettings())


@needs_weights
def test_shards_make_the_whole(films, dataset, tmp_path):
    for part in (1, 2):
        prepare(films, tmp_path / "parts", SETTINGS, shard=(part, 2))
    assert content(tmp_path / "parts") == content(dataset)


@needs_weights
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_run_is_completed_to_the_same_bytes(films, dataset, tmp_path):
    out = tmp_path / "killed"
    options = ["--size", "96x128", "--min-seconds", "0.5", "--videos", str(films), "--out", str(out)]
    running = subprocess.Popen([sys.executable, "-m", "inhabit", "prepare", *options], cwd=tmp_path)
    while running.poll() is None and not list(out.glob("*/meta.json")):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL and not (out / "index.json").exists()
    prepare(films, out, SETTINGS, workers=2)
    assert content(out) == content(dataset)


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    empty = tmp_path / "empty"
    with pytest.raises(InputError, match="no folder"):
        prepare(empty, tmp_path / "out", SETTINGS)
    empty.mkdir()
    with pytest.raises(InputError, match="no video"):
        prepare(empty, tmp_path / "out", SETTINGS)
    with pytest.raises(InputError, match="lies in"):
        prepare(empty, empty / "out", SETTINGS)
    (empty / "a.mp4").write_bytes(b"")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        prepare(empty, tmp_path / "out", SETTINGS)
