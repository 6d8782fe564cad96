"""A raw video: `inhabit animate` without a pose, and `inhabit perceive`; against the exact truth of rendered scenes."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from inhabit.cli import main
from inhabit.cli_values import PERCEIVED
from inhabit.media import Pose, open_video, parse_poses, read_mask, read_pose, read_video, write_lossless, write_video
from inhabit.media.pose import PARTS
from inhabit.models import PRESETS
from inhabit.perception.backends import POSE_ESTIMATORS, MediaPipePose, PersonInFrame
from inhabit.perception.follow import Follower
from inhabit.pipeline.inputs import InputFiles, load_inputs
from inhabit.pipeline.perceived import FILES, perceive
from inhabit.pipeline.perceived_depth import seen_size
from inhabit.scenes import render_scene, write_scene

REASON = MediaPipePose().available()
needs_weights = pytest.mark.skipif(REASON is not None, reason=str(REASON))
FRAMES, SIZE = 6, 320


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A folder `raw` with driving.mp4 alone, beside `scene`, which holds its truth."""
    folder = tmp_path_factory.mktemp("video")
    write_scene(render_scene(900_001, "walk", FRAMES, SIZE, SIZE), folder / "scene")
    (folder / "raw").mkdir()
    return Path(shutil.copy(folder / "scene" / "driving.mp4", folder / "raw"))


@pytest.fixture(scope="module")
def perceived(raw) -> Path:
    out = raw.parents[1] / "perceived"
    assert main(["perceive", "--driving", str(raw), "--out", str(out)]) == 0
    return out


class Scripted:
    """Finds a body in the frames that `seen` names, its mask the left half of the picture."""

    name, seen = "scripted", ()

    def available(self) -> str | None:
        return None

    def estimate(self, frames: Iterable[np.ndarray], follow: Follower | None = None) -> Iterator[PersonInFrame]:
        for index, frame in enumerate(frames):
            height, width = frame.shape[:2]
            parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
            parts["body"][:] = np.linspace((0.2 * width, 0.2 * height, 1), (0.4 * width, 0.8 * height, 1), 18)
            mask = np.zeros((height, width), np.float32)
            if index in self.seen:
                mask[:, : width // 2] = 0.9
            yield PersonInFrame(Pose(**parts) if index in self.seen else None, mask)


@pytest.fixture
def scripted(monkeypatch):
    """Put the scripted estimator in the place of the usual one."""
    monkeypatch.setitem(POSE_ESTIMATORS, "mediapipe", Scripted)

    def sees(*frames: int) -> None:
        monkeypatch.setattr(Scripted, "seen", frames)

    return sees


def plain(path: Path, frames: int, width: int = 48, height: int = 64) -> Path:
    write_video(path, np.full((frames, height, width, 3), 120, np.uint8), 24)
    return path


@needs_weights
def test_the_body_and_the_mask_are_the_puppets(raw, perceived):
    truth = parse_poses(read_pose(raw.parents[1] / "scene" / "pose.json"), SIZE, SIZE)
    errors = []
    for (found,), (there,) in zip(parse_poses(read_pose(perceived / "pose.json"), SIZE, SIZE), truth, strict=True):
        both = (there.body[:, 2] > 0) & (found.body[:, 2] > 0)
        assert both.sum() >= 12
        height = np.ptp(there.body[there.body[:, 2] > 0, 1])
        errors.append(np.linalg.norm(found.body[both, :2] - there.body[both, :2], axis=1).mean() / height)
    assert len(errors) == FRAMES and np.mean(errors) <= 0.05
    masks = [read_mask(folder / "mask.mkv") > 0.5 for folder in (perceived, raw.parents[1] / "scene")]
    assert masks[0].shape == masks[1].shape == (FRAMES, SIZE, SIZE)
    shared = (masks[0] & masks[1]).sum(dim=(1, 2)) / (masks[0] | masks[1]).sum(dim=(1, 2))
    assert shared.min() >= 0.85


@needs_weights
def test_a_raw_video_is_animated(animate, clip, raw, caplog):
    code, error = animate(driving=raw, size="64x64")
    assert code == 0, error
    assert read_video(clip.out / "result.mkv").frames.shape == (FRAMES, 64, 64, 3)
    assert f"mediapipe finds the person of {raw}: pose and mask, looked at in {SIZE}x{SIZE}" in caplog.text
    assert list(raw.parent.iterdir()) == [raw]


@needs_weights
def test_files_of_perceive_are_what_animate_perceives(clip, raw, perceived, tmp_path):
    beside = tmp_path / "beside"
    shutil.copytree(perceived, beside)
    shutil.copy(raw, beside)
    read, found = (
        load_inputs(InputFiles(clip.folder / "reference.png", driving), PRESETS["puppets"]).conditions
        for driving in (beside / raw.name, raw)
    )
    assert read_pose(perceived / "pose.json") == perceive(open_video(raw), MediaPipePose()).keypoints
    assert np.array_equal(read.skeleton, found.skeleton) and np.array_equal(read.mask, found.mask)


def test_missing_weights_are_one_line_with_the_command(animate, clip, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("INHABIT_MODELS", str(tmp_path / "none"))
    (clip.folder / "pose.json").unlink()
    code, error = animate()
    last = error.splitlines()[-1]
    assert code == 2 and "no pose.json beside" in last and last.startswith("inhabit: error: ")
    assert "inhabit fetch-weights --what mediapipe" in last or "pip install ai-edge-litert" in last
    out = tmp_path / "out-of-perceive"
    assert main(["perceive", "--driving", str(clip.folder / "driving.mp4"), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert MediaPipePose().available() in error and error.count("\n") == 1 and not out.exists()


def test_a_video_of_nobody_is_one_line(animate, clip, scripted, tmp_path, capsys):
    scripted()
    driving = plain(tmp_path / "empty.mp4", 3)
    code, error = animate(driving=driving)
    assert code == 2 and f"scripted finds nobody in any of the 3 frames of {driving}: give" in error.splitlines()[-1]
    assert main(["perceive", "--driving", str(driving), "--out", str(tmp_path / "none")]) == 2
    assert "finds nobody" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_gaps_are_filled_or_told_once(animate, clip, scripted, tmp_path, caplog):
    scripted(*range(5), *range(8, 12), *range(32, 40))
    driving = plain(tmp_path / "gaps.mp4", 40)
    code, error = animate(driving=driving)
    assert code == 0, error
    assert "short gaps without the person, frames 5-7, are filled" in caplog.text
    assert [line.count("frames 12-31") for line in caplog.messages if "no person" in line] == [1]
    assert len(read_video(clip.out / "result.mkv").frames) == 40


def test_a_mask_or_a_pose_that_is_given_wins(clip, scripted, tmp_path, caplog):
    scripted(0, 1, 2)
    driving = plain(tmp_path / "driving.mp4", 3)
    conditions = {
        name: load_inputs(InputFiles(clip.folder / "reference.png", driving, **given), PRESETS["puppets"]).conditions
        for name, given in {
            "raw": {},
            "mask": {"mask": clip.folder / "mask.mkv"},
            "pose": {"pose": clip.folder / "pose.json", "mask": clip.folder / "mask.mkv"},
        }.items()
    }
    assert conditions["raw"].mask[:, :, :24].all() and not conditions["raw"].mask[:, :, 24:].any()
    assert np.array_equal(conditions["mask"].mask, conditions["pose"].mask)
    assert np.array_equal(conditions["mask"].skeleton, conditions["raw"].skeleton)
    assert not np.array_equal(conditions["pose"].skeleton, conditions["raw"].skeleton)
    told = [line.split(": ")[1].split(",")[0] for line in caplog.messages if "finds the person" in line]
    assert told == ["pose and mask", "pose"]


def test_large_videos_are_looked_at_small_and_told_in_their_own_pixels(scripted, tmp_path):
    assert [seen_size(own) for own in ((1920, 1080), (300, 40), (7, 3000))] == [(512, 288), (300, 40), (1, 512)]
    scripted(0, 1)
    driving, out = plain(tmp_path / "large.mp4", 2, width=1024, height=600), tmp_path / "out"
    assert main(["perceive", "--driving", str(driving), "--out", str(out)]) == 0
    [[person], _] = parse_poses(read_pose(out / "pose.json"), 1024, 600)
    assert read_pose(out / "pose.json")[0]["canvas_width"] == 1024
    assert np.allclose(person.body[[0, 17], :2], [(0.2 * 1024, 0.2 * 600), (0.4 * 1024, 0.8 * 600)], atol=1e-2)
    mask = read_mask(out / "mask.mkv")
    assert mask.shape == (2, 600, 1024) and mask[:, :, :510].min() > 0.9 and mask[:, :, 514:].max() < 0.1


def test_perceive_writes_what_is_asked_and_replaces_only_its_own(clip, scripted, tmp_path, capsys):
    assert tuple(FILES) == PERCEIVED
    scripted(0, 1, 2)
    driving, out = clip.folder / "driving.mp4", tmp_path / "out"
    for _ in range(2):
        assert main(["perceive", "--driving", str(driving), "--out", str(out), "--what", "mask"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["mask.mkv", "perceived.json"]
    assert json.loads((out / "perceived.json").read_text())["model"] == "scripted"
    before = (clip.folder / "pose.json").read_bytes()
    assert main(["perceive", "--driving", str(driving), "--out", str(clip.folder)]) == 2
    assert "holds a pose.json that was not written by this command" in capsys.readouterr().err
    assert (clip.folder / "pose.json").read_bytes() == before
    for given, told in (("pose,hat", "'hat' cannot be perceived"), ("", "cannot be perceived")):
        assert main(["perceive", "--driving", str(driving), "--out", str(tmp_path / "no"), "--what", given]) == 2
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1 and not (tmp_path / "no").exists()
    write_lossless(tmp_path / "mask.mkv", np.zeros((3, 64, 48, 3), np.uint8), 24)
    assert main(["perceive", "--driving", str(tmp_path / "mask.mkv"), "--out", str(tmp_path)]) == 2


@needs_weights
def test_one_of_two_people_is_perceived_and_one_who_is_not_there_is_told(tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    pair = [render_scene(seed, "walk", 3, 256, 256) for seed in (900_001, 900_002)]
    both = tmp_path / "both.mkv"
    write_lossless(both, np.concatenate([scene.driving for scene in pair], axis=2), 8)
    for person, scene, shift in (("1", pair[0], 0), ("384,128", pair[1], 256)):
        out = tmp_path / person
        assert main(["perceive", "--driving", str(both), "--out", str(out), "--person", person]) == 0
        assert "up to 2 people are in" in caplog.text
        poses = parse_poses(read_pose(out / "pose.json"), 512, 256)
        for [found], [truth] in zip(poses, parse_poses(scene.pose, 256, 256), strict=True):
            seen = (found.body[:, 2] > 0) & (truth.body[:, 2] > 0)
            assert np.abs(found.body[seen, :2] - truth.body[seen, :2] - (shift, 0)).mean() < 12
    assert main(["perceive", "--driving", str(both), "--out", str(tmp_path / "3"), "--person", "3"]) == 2
    assert "person 3 from the left is in no frame of" in capsys.readouterr().err and not (tmp_path / "3").exists()
