"""Pose files in every form that other packs write."""

import json

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import Pose, parse_poses, read_pose, to_keypoints, write_pose

WIDTH, HEIGHT = 80, 120
RANDOM = np.random.default_rng(3)


def random_part(points: int) -> np.ndarray:
    return np.column_stack([RANDOM.uniform(1, WIDTH, points), RANDOM.uniform(1, HEIGHT, points), np.ones(points)])


def flat(part: np.ndarray) -> list[float]:
    return part.ravel().tolist()


def frame(**parts) -> dict:
    return {"canvas_width": WIDTH, "canvas_height": HEIGHT, "people": [parts]}


def test_file_round_trip_keeps_every_point(tmp_path):
    pose = Pose(*(random_part(n).astype(np.float32) for n in (18, 21, 21, 70)))
    pose.body[4] = 0
    write_pose(tmp_path / "pose.json", [to_keypoints([pose], WIDTH, HEIGHT), to_keypoints([], WIDTH, HEIGHT)])
    frames = parse_poses(read_pose(tmp_path / "pose.json"), WIDTH, HEIGHT)
    assert [len(people) for people in frames] == [1, 0]
    for part in ("body", "left_hand", "right_hand", "face"):
        np.testing.assert_allclose(getattr(frames[0][0], part), getattr(pose, part), atol=1e-3)


def test_pixels_are_scaled_from_their_own_canvas():
    body = random_part(18)
    (person,) = parse_poses([frame(pose_keypoints_2d=flat(body))], WIDTH * 2, HEIGHT * 3)[0]
    np.testing.assert_allclose(person.body, body * (2, 3, 1), rtol=1e-5)


def test_normalised_coordinates_are_recognised():
    body = random_part(18)
    (person,) = parse_poses([frame(pose_keypoints_2d=flat(body / (WIDTH, HEIGHT, 1)))], WIDTH, HEIGHT)[0]
    np.testing.assert_allclose(person.body, body, rtol=1e-4)


def test_one_far_point_does_not_make_pixels_of_other_frames_normalised():
    near_corner = np.tile([0.5, 0.5, 1.0], (18, 1))
    frames = [frame(pose_keypoints_2d=flat(random_part(18))), frame(pose_keypoints_2d=flat(near_corner))]
    assert parse_poses(frames, WIDTH, HEIGHT)[1][0].body[0].tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("missing", [None, [], [0.0] * 63], ids=["null", "empty", "zeros"])
def test_missing_parts_have_score_zero(missing):
    parts = dict(pose_keypoints_2d=flat(random_part(18)), hand_left_keypoints_2d=missing)
    (person,) = parse_poses([frame(**parts)], WIDTH, HEIGHT)[0]
    assert not person.left_hand.any() and not person.right_hand.any() and not person.face.any()
    assert to_keypoints([person], WIDTH, HEIGHT)["people"][0]["hand_left_keypoints_2d"] is None


@pytest.mark.parametrize("points", [68, 70])
def test_faces_with_and_without_eye_points(points):
    face = random_part(points)
    (person,) = parse_poses([frame(pose_keypoints_2d=None, face_keypoints_2d=flat(face))], WIDTH, HEIGHT)[0]
    np.testing.assert_allclose(person.face[:points], face, rtol=1e-5)
    assert not person.face[points:].any()


def test_position_of_a_point_with_score_zero_is_ignored():
    body = random_part(18)
    body[3] = (7.0, 9.0, 0.0)
    (person,) = parse_poses([frame(pose_keypoints_2d=flat(body))], WIDTH, HEIGHT)[0]
    assert person.body[3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ([1.0] * 53, "53 numbers: give 54"),
        ([float("nan")] * 54, "NaN"),
        (["a"] * 54, "else than numbers"),
        ({"x": 1}, "else than numbers"),
        (7, "1 numbers"),
    ],
    ids=["wrong length", "NaN", "text", "dict", "number"],
)
def test_unusable_points_are_refused(part, message):
    with pytest.raises(InputError, match=message):
        parse_poses([frame(pose_keypoints_2d=part)], WIDTH, HEIGHT)


@pytest.mark.parametrize("people", [3, [3], {"a": 1}])
def test_people_that_are_none_are_refused(people):
    with pytest.raises(InputError, match="frame 1: 'people' must be a list"):
        parse_poses([frame(), {"people": people}], WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("not json", "not JSON"),
        ("[]", "0 pose frames"),
        ("[{}]", "no 'people'"),
        ('[{"people": [], "canvas_width": "wide"}]', "canvas of .*wide"),
    ],
)
def test_unusable_files_are_refused(tmp_path, text, message):
    path = tmp_path / "pose.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_pose(path)


def test_one_frame_may_stand_alone(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(frame(pose_keypoints_2d=flat(random_part(18)))))
    assert len(read_pose(tmp_path / "one.json")) == 1
