"""Pose files in the forms that people have: other layouts of the body, nested and wrapped lists, nulls, encodings."""

import json

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import holds_poses, parse_poses, read_pose

WIDTH, HEIGHT = 80, 120
RANDOM = np.random.default_rng(7)

# Where each layout has the 18 points of OpenPose, by name, as OpenPose and COCO publish them.
OPENPOSE = "nose neck rsho relb rwri lsho lelb lwri rhip rkne rank lhip lkne lank reye leye rear lear".split()
BODY_25 = (
    "nose neck rsho relb rwri lsho lelb lwri midhip rhip rkne rank lhip lkne lank reye leye rear lear "
    "lbigtoe lsmalltoe lheel rbigtoe rsmalltoe rheel"
).split()
COCO = "nose leye reye lear rear lsho rsho lelb relb lwri rwri lhip rhip lkne rkne lank rank".split()
FEET = ["foot"] * 6
FACE, HAND = ["face"] * 68, ["finger"] * 21
LAYOUTS = {
    "BODY_25": BODY_25,
    "18 and feet": OPENPOSE + FEET,
    "COCO": COCO,
    "whole body 134": OPENPOSE + FEET + FACE + HAND + HAND,
    "whole body 133": COCO + FEET + FACE + HAND + HAND,
}


def random_points(count: int) -> np.ndarray:
    return np.column_stack([RANDOM.uniform(1, WIDTH, count), RANDOM.uniform(1, HEIGHT, count), np.full(count, 0.9)])


def frame(points, **more) -> dict:
    flat = points.ravel().tolist() if isinstance(points, np.ndarray) else points
    return {"canvas_width": WIDTH, "canvas_height": HEIGHT, "people": [{"pose_keypoints_2d": flat, **more}]}


def only_person(frames):
    ((person,),) = parse_poses(frames, WIDTH, HEIGHT)
    return person


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_of_the_body_are_mapped_by_name(names):
    points = random_points(len(names))
    person = only_person([frame(points)])
    by_name = dict(zip(names, points, strict=True))
    by_name.setdefault("neck", (points[names.index("lsho")] + points[names.index("rsho")]) / 2)
    np.testing.assert_allclose(person.body, [by_name[name] for name in OPENPOSE], rtol=1e-5)
    if "face" in names:
        start = names.index("face")
        np.testing.assert_allclose(person.face[:68], points[start : start + 68], rtol=1e-5)
        np.testing.assert_allclose(person.left_hand, points[-42:-21], rtol=1e-5)
        np.testing.assert_allclose(person.right_hand, points[-21:], rtol=1e-5)
    else:
        assert not person.face.any() and not person.left_hand.any()


def test_own_hands_go_before_those_of_the_whole_body():
    whole, hand = random_points(134), random_points(21)
    person = only_person([frame(whole, hand_left_keypoints_2d=hand.ravel().tolist())])
    np.testing.assert_allclose(person.left_hand, hand, rtol=1e-5)
    np.testing.assert_allclose(person.right_hand, whole[113:], rtol=1e-5)


def test_a_missing_shoulder_leaves_no_neck():
    points = random_points(17)
    points[5] = 0
    assert only_person([frame(points)]).body[1].tolist() == [0, 0, 0]


def without_scores(points):
    return points[:, :2].ravel().tolist()


FORMS = {  # of the same 18 points
    "rows": lambda points: points.tolist(),
    "rows without scores": lambda points: points[:, :2].tolist(),
    "one list around": lambda points: [points.tolist()],
    "flat without scores": without_scores,
    "text": lambda points: [str(value) for value in points.ravel()],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lists_may_be_nested_without_scores_or_text(form):
    points = random_points(18)
    person = only_person([frame(form(points))])
    np.testing.assert_allclose(person.body[:, :2], points[:, :2], rtol=1e-5)
    assert (person.body[:, 2] > 0.5).all()


def nulls_flat(points):
    flat = points.ravel().tolist()
    flat[6:9] = [None, None, None]
    return flat


def null_row(points):
    rows = points.tolist()
    rows[2] = None
    return rows


def placed(*point):
    def form(points):
        points = points.copy()
        points[2] = point
        return points

    return form


NO_POINTS = {  # how point 2 is written as missing
    "null numbers": nulls_flat,
    "null row": null_row,
    "origin": placed(0, 0, 1),
    "minus one": placed(-1, -1, 0.8),
    "score 0": placed(30, 40, 0),
    "score 0.02": placed(30, 40, 0.02),
    "negative score": placed(30, 40, -1),
}


@pytest.mark.parametrize("form", NO_POINTS.values(), ids=NO_POINTS)
def test_what_is_no_point(form):
    points = random_points(18)
    person = only_person([frame(form(points))])
    assert person.body[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(np.delete(person.body, 2, 0), np.delete(points, 2, 0), rtol=1e-5)


def test_missing_points_do_not_tell_pixels_from_shares():
    """A clip in 0…1 whose missing points carry pixels of nowhere is still one in 0…1."""
    points = random_points(18) / (WIDTH, HEIGHT, 1)
    points[3] = (500, 500, 0.01)
    body = only_person([frame(points)]).body
    np.testing.assert_allclose(body[0, :2], points[0, :2] * (WIDTH, HEIGHT), rtol=1e-4)


def test_frames_without_a_canvas_refer_to_the_one_given():
    points = random_points(18)
    free = {"people": frame(points)["people"]}
    half = {**free, "canvas_width": 7}
    named = {**free, "canvas_width": str(2 * WIDTH), "canvas_height": 2 * HEIGHT}
    poses = parse_poses([free, half, named], WIDTH, HEIGHT, canvas=(4 * WIDTH, 4 * HEIGHT))
    for (person,), factor in zip(poses, (4, 4, 2), strict=True):
        np.testing.assert_allclose(person.body[:, :2] * factor, points[:, :2], rtol=1e-4)


PERSON = frame(random_points(18))["people"][0]
FRAME, NOBODY = {"people": [PERSON]}, {"people": []}
WRAPPED = {  # what the file holds → people in each frame
    "list": ([FRAME, NOBODY, FRAME], [1, 0, 1]),
    "wrapped once": ([[FRAME, NOBODY, FRAME]], [1, 0, 1]),
    "wrapped twice": ([[[FRAME, NOBODY, FRAME]]], [1, 0, 1]),
    "each wrapped": ([[FRAME], [NOBODY], [FRAME]], [1, 0, 1]),
    "each wrapped, none empty": ([[FRAME], [], [FRAME]], [1, 0, 1]),
    "frames": ({"frames": [FRAME, NOBODY, FRAME]}, [1, 0, 1]),
    "poses": ({"version": 1, "poses": [FRAME, None]}, [1, 0]),
    "in a list of one": ([{"frames": [FRAME, FRAME]}], [1, 1]),
    "by number": ({"10": NOBODY, "2": FRAME, "1": FRAME}, [1, 1, 0]),
    "people alone": ([[PERSON, PERSON], [PERSON]], [2, 1]),
    "person a frame": ([PERSON, None, PERSON], [1, 0, 1]),
    "null people": ([{"people": None}, FRAME], [0, 1]),
    "null person": ([{"people": [None, PERSON]}], [1]),
}


@pytest.mark.parametrize(("held", "people"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped_lists_hold_the_same_frames(tmp_path, held, people):
    path = tmp_path / "pose.json"
    path.write_text(json.dumps(held))
    assert [len(frame) for frame in parse_poses(read_pose(path), WIDTH, HEIGHT)] == people


def test_canvas_beside_a_list_of_frames_is_that_of_its_frames(tmp_path):
    (tmp_path / "pose.json").write_text(json.dumps({"canvas_width": 160, "canvas_height": 240, "frames": [FRAME]}))
    ((person,),) = parse_poses(read_pose(tmp_path / "pose.json"), WIDTH, HEIGHT)
    np.testing.assert_allclose(person.body[0, :2] * 2, PERSON["pose_keypoints_2d"][:2], rtol=1e-5)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["pose.json", "pose.txt", "pose"])
def test_encodings_and_other_endings(tmp_path, encoding, name):
    path = tmp_path / name
    path.write_bytes(json.dumps([FRAME, NOBODY]).encode(encoding))
    assert holds_poses(path) and read_pose(path) == [FRAME, NOBODY]


def test_one_frame_a_line(tmp_path):
    (tmp_path / "pose.jsonl").write_text("\n".join(json.dumps(frame) for frame in (FRAME, NOBODY)) + "\n")
    assert holds_poses(tmp_path / "pose.jsonl") and read_pose(tmp_path / "pose.jsonl") == [FRAME, NOBODY]


def test_folder_of_openpose_is_read_in_order_of_its_numbers(tmp_path):
    for number in (10, 9, 2):
        named = {"version": 1.3, "people": [PERSON] * number}
        (tmp_path / f"clip_{number}_keypoints.json").write_text(json.dumps(named))
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "clip_2_rendered.png").write_bytes(b"")
    assert holds_poses(tmp_path)
    assert [len(frame["people"]) for frame in read_pose(tmp_path)] == [2, 9, 10]


def test_a_broken_file_of_a_folder_is_named(tmp_path):
    (tmp_path / "clip_0_keypoints.json").write_text(json.dumps(FRAME))
    (tmp_path / "clip_1_keypoints.json").write_text("{")
    with pytest.raises(InputError, match="clip_1_keypoints.json is not JSON"):
        read_pose(tmp_path)


def test_pictures_and_videos_are_no_pose_files(tmp_path):
    (tmp_path / "skeleton.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "pose.json").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "0.png").write_bytes(b"\x89PNG")
    (tmp_path / "frames" / "settings.json").write_text("{}")
    assert not any(holds_poses(tmp_path / name) for name in ("skeleton.mp4", "pose.json", "frames"))


@pytest.mark.parametrize("points", [[[1, 2, 3, 4]] * 18, [[1, 2]] * 19, [[1, 2, 3], [4, 5]] * 9, [0.5] * 60])
def test_lists_of_another_shape_are_refused_in_one_line(points):
    with pytest.raises(InputError, match=r"pose frame 0: pose_keypoints_2d holds .* give 54 or 75") as caught:
        only_person([frame(points)])
    assert "\n" not in str(caught.value)
