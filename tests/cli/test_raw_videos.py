"""`inhabit perceive` on videos as they come: nobody, one frame, a cut, somebody who leaves and returns, four people."""

from pathlib import Path

import numpy as np
import pytest
from inhabit.cli import main
from inhabit.media import Pose, parse_poses, read_mask, read_pose, write_lossless
from inhabit.perception.backends import MediaPipePose
from inhabit.scenes import Scene, render_scene

REASON = MediaPipePose().available()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SIDE = 256


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render_scene(900_001, "walk", 8, SIDE, SIDE)


@pytest.fixture
def perceive(tmp_path, capsys, caplog):
    """Function: frames → (status, what was told, folder of the results)."""

    def run(frames: np.ndarray, *options: str) -> tuple[int, str, Path]:
        video, out = tmp_path / "video.mkv", tmp_path / "out"
        write_lossless(video, frames, 24)
        status = main(["perceive", "--driving", str(video), "--out", str(out), *options])
        return status, capsys.readouterr().err + caplog.text, out

    return run


def poses(out: Path, size: tuple[int, int] = (SIDE, SIDE)) -> list[Pose | None]:
    return [people[0] if people else None for people in parse_poses(read_pose(out / "pose.json"), *size)]


def error(pose: Pose, scene: Scene, frame: int, shift: tuple[float, float] = (0, 0)) -> float:
    """Mean distance of the body's points to the truth, pixels."""
    [[truth]] = parse_poses(scene.pose[frame : frame + 1], *scene.driving.shape[2:0:-1])
    both = (truth.body[:, 2] > 0) & (pose.body[:, 2] > 0)
    return float(np.linalg.norm(truth.body[both, :2] + shift - pose.body[both, :2], axis=1).mean())


EMPTY = np.full((1, SIDE, SIDE, 3), 120, np.uint8)


def test_nobody_is_one_line_and_leaves_nothing(perceive):
    status, told, out = perceive(EMPTY.repeat(3, axis=0))
    assert status == 2 and "mediapipe finds nobody in any of the 3 frames" in told and not out.exists()


def test_one_frame_is_a_clip(perceive, scene):
    status, _, out = perceive(scene.driving[:1])
    [pose] = poses(out)
    assert status == 0 and error(pose, scene, 0) < 0.05 * SIDE and len(read_mask(out / "mask.mkv")) == 1


def test_somebody_who_leaves_and_returns_is_found_again(perceive, scene):
    away = 16  # frames, longer than any gap that is filled
    frames = np.concatenate([scene.driving[:4], EMPTY.repeat(away, axis=0), scene.driving[4:8]])
    status, told, out = perceive(frames)
    found = poses(out)
    assert status == 0 and f"no person in frames 4-{3 + away} of" in told and "somebody else" not in told
    assert [pose is not None for pose in found] == [True] * 4 + [False] * away + [True] * 4
    assert all(error(pose, scene, frame) < 0.05 * SIDE for frame, pose in enumerate(found[4 + away :], 4))
    assert not read_mask(out / "mask.mkv")[4 : 4 + away].any()


def test_after_a_cut_somebody_else_is_not_taken_for_the_first(perceive, scene):
    other = render_scene(900_005, "walk", 4, SIDE, SIDE)
    status, told, out = perceive(np.concatenate([scene.driving[:4], other.driving]))
    assert status == 0 and [pose is not None for pose in poses(out)] == [True] * 4 + [False] * 4
    assert "somebody else is seen than the one who is followed" in told and "give each shot by itself" in told


def test_one_of_four_people_in_a_row(perceive):
    people = [render_scene(900_010 + number, "walk", 2, SIDE, SIDE) for number in range(4)]
    row = np.concatenate([one.driving for one in people], axis=2)
    status, told, out = perceive(row, "--person", f"{2.5 * SIDE},{0.5 * SIDE}")
    assert status == 0, told
    for frame, pose in enumerate(poses(out, (4 * SIDE, SIDE))):
        assert error(pose, people[2], frame, (2 * SIDE, 0)) < 0.08 * SIDE
    mask = read_mask(out / "mask.mkv") > 0.5
    assert mask[:, :, 2 * SIDE : 3 * SIDE].sum() > 0.9 * mask.sum() > 0
