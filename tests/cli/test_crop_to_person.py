"""`inhabit animate` in a window around a small person: what is drawn, where it lands, and what stays untouched."""

from pathlib import Path

import numpy as np
import pytest
from inhabit.media import parse_poses, read_mask, read_video, write_image, write_lossless, write_pose
from inhabit.media.cropped import CroppedClip
from inhabit.media.video import open_video
from inhabit.models import PRESETS
from inhabit.pipeline.inputs import InputFiles, load_inputs
from inhabit.scenes import render_scene

PUPPETS = PRESETS["puppets"]
WIDTH, HEIGHT, SIDE, FRAMES = 480, 272, 128, 4


@pytest.fixture
def wide(tmp_path) -> Path:
    """A wide picture with a puppet scene of 128 pixels in it, which goes 60 pixels to the right a frame."""
    scene = render_scene(900_001, "walk", FRAMES, SIDE, SIDE)
    random = np.random.default_rng(3)
    ground = random.integers(60, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    driving = np.broadcast_to(ground, (FRAMES, HEIGHT, WIDTH, 3)).copy()
    mask = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    poses = []
    for frame in range(FRAMES):
        left, top = 40 + 60 * frame, 80
        window = np.s_[top : top + SIDE, left : left + SIDE]
        driving[frame][window], mask[frame][window] = scene.driving[frame], scene.character[frame]
        person = scene.pose[frame]["people"][0]
        body = np.reshape(person["pose_keypoints_2d"], (-1, 3)) + (left, top, 0)
        poses.append(
            {"canvas_width": WIDTH, "canvas_height": HEIGHT, "people": [{"pose_keypoints_2d": body.ravel().tolist()}]}
        )
    folder = tmp_path / "wide"
    folder.mkdir()
    write_lossless(folder / "driving.mkv", driving, 12)
    write_lossless(folder / "mask.mkv", mask, 12)
    write_pose(folder / "pose.json", poses)
    write_image(folder / "reference.png", scene.reference)
    return folder


def inputs(folder: Path, **options):
    return load_inputs(InputFiles(folder / "reference.png", folder / "driving.mkv", **options), PUPPETS)


def test_everything_is_cut_to_the_same_window(wide):
    whole, window = inputs(wide, crop_to_person=False), inputs(wide, crop_to_person=True)
    crop = window.crop
    assert whole.crop is None and crop.picture == (WIDTH, HEIGHT) and crop.size[0] < WIDTH / 2
    for frame in range(FRAMES):
        rows, columns = crop.window(frame)
        np.testing.assert_array_equal(window.conditions.driving[frame], whole.conditions.driving[frame, rows, columns])
        drawn, expected = window.conditions.skeleton[frame], whole.conditions.skeleton[frame, rows, columns]
        assert ((drawn > 0) == (expected > 0)).float().mean() > 0.9  # lines are as thick as the picture asks
        character = read_mask(wide / "mask.mkv")[frame, rows, columns] > 0.5
        assert window.conditions.mask[frame][character].all()
    assert window.conditions.mask.mean() > 3 * whole.conditions.mask.mean()


def test_the_window_has_the_size_that_is_asked_for(wide):
    window = inputs(wide, crop_to_person=True, size=(96, 128))
    assert window.conditions.size == (128, 96)
    assert window.crop.size[0] / window.crop.size[1] == pytest.approx(0.75, rel=0.06)


def test_small_people_are_cropped_to_unless_that_is_refused(wide, caplog):
    caplog.set_level("INFO")
    tall = [{**frame, "people": [small(frame)]} for frame in _poses(wide)]
    write_pose(wide / "pose.json", tall)
    assert inputs(wide).crop is not None and "are worked on" not in caplog.text
    assert "around them is worked on and put back into 480x272" in caplog.text
    assert inputs(wide, crop_to_person=False).crop is None


def _poses(folder: Path) -> list[dict]:
    from inhabit.media import read_pose

    return read_pose(folder / "pose.json")


def small(frame: dict) -> dict:
    """The frame's person at three quarters of the size."""
    body = np.reshape(frame["people"][0]["pose_keypoints_2d"], (-1, 3))
    middle = body[body[:, 2] > 0].mean(axis=0) * (1, 1, 0)
    return {"pose_keypoints_2d": ((body - middle) * (0.75, 0.75, 1) + middle).ravel().tolist()}


def test_the_result_is_put_back_and_every_other_pixel_stays(animate, wide):
    out = wide / "result.mkv"
    options = {"driving": wide / "driving.mkv", "pose": None, "mask": None, "depth": None, "object_mask": None}
    code, error = animate(**options, reference=wide / "reference.png", out=out, crop_to_person=True)
    assert code == 0, error
    before, after = read_video(wide / "driving.mkv").frames, read_video(out).frames
    crop = inputs(wide, crop_to_person=True).crop
    character = read_mask(wide / "mask.mkv") > 0.5
    for frame in range(FRAMES):
        inside = np.zeros((HEIGHT, WIDTH), bool)
        inside[crop.window(frame)] = True
        assert np.array_equal(before[frame][~inside], after[frame][~inside])
        assert (before[frame] != after[frame]).any(axis=-1)[character[frame]].mean() > 0.9


def test_a_moving_window_of_a_video_is_its_pixels(wide):
    video = open_video(wide / "driving.mkv")
    corners = [(3, 5), (10, 0), (200, 100), (7, 9)]
    windows = CroppedClip(video, corners, (64, 32), video.size)
    whole = read_video(wide / "driving.mkv").frames
    assert len(windows) == FRAMES
    for (left, top), frame, found in zip(corners[1:], whole[1:], windows.frames(start=1), strict=True):
        assert np.array_equal(found, frame[top : top + 32, left : left + 64])


def test_one_mask_for_all_frames_is_cut_where_each_frames_window_is(wide):
    whole = np.zeros((HEIGHT, WIDTH), np.uint8)
    whole[:, : WIDTH // 2] = 255
    write_image(wide / "left.png", whole)
    window = inputs(wide, crop_to_person=True, mask=wide / "left.png")
    rows, columns = window.crop.window(0)
    assert columns.stop < WIDTH / 2 and window.crop.window(FRAMES - 1)[1].start > WIDTH / 2 - 96
    covered = [float(mask.mean()) for mask in window.conditions.mask]
    assert len(covered) == FRAMES and covered[0] == 1 and covered == sorted(covered, reverse=True) and covered[-1] < 0.5


def test_a_skeleton_video_is_cut_like_its_driving_video(wide):
    skeleton = (inputs(wide, crop_to_person=False).conditions.skeleton.numpy() * 255).round().astype(np.uint8)
    write_lossless(wide / "skeletons.mkv", skeleton, 12)
    window = inputs(wide, crop_to_person=True, pose=wide / "skeletons.mkv", mask=wide / "mask.mkv")
    for frame in range(FRAMES):
        rows, columns = window.crop.window(frame)
        np.testing.assert_allclose(window.conditions.skeleton[frame], skeleton[frame, rows, columns] / 255, atol=1e-6)


def test_a_crop_without_a_driving_video_is_refused(animate, wide):
    code, error = animate(
        driving=None, mask=None, depth=None, object_mask=None, pose=wide / "pose.json", crop_to_person=True
    )
    assert code == 2 and "--crop-to-person needs --driving" in error


def test_a_perceived_person_is_looked_at_again_in_the_window(wide, monkeypatch, tmp_path, caplog):
    from inhabit.perception.backends import MediaPipePose

    reason = MediaPipePose().available()
    if reason is not None:
        pytest.skip(reason)
    raw = tmp_path / "raw.mkv"
    scene = render_scene(900_002, "walk", FRAMES, 160, 160)
    pictures = np.full((FRAMES, 480, 854, 3), 120, np.uint8)
    pictures[:, 200:360, 500:660] = scene.driving
    write_lossless(raw, pictures, 12)
    caplog.set_level("INFO")
    given = InputFiles(wide / "reference.png", raw, size=(128, 128))
    found = load_inputs(given, PUPPETS)
    assert found.crop is not None and caplog.text.count("mediapipe finds the person") == 2
    zoom = 128 / found.crop.size[0]
    [[truth]] = parse_poses(scene.pose[:1], 160, 160)
    joints = (truth.body[truth.body[:, 2] > 0, :2] + (500, 200) - found.crop.corners[0]) * zoom
    lit = found.conditions.skeleton[0].amax(dim=-1) > 0.2
    inside = joints[((joints >= 0) & (joints < 128)).all(axis=1)].astype(int)
    near = [bool(lit[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5].any()) for x, y in inside]
    assert len(inside) > 12 and np.mean(near) > 0.9
