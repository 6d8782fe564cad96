"""`inhabit animate` with pose files as people have them: their canvas, whom they show, and what is no pose."""

import json
import re

import numpy as np
import pytest
from inhabit.media import read_pose, write_lossless, write_pose, write_video
from inhabit.models import PRESETS
from inhabit.perception import draw_skeleton
from inhabit.pipeline.inputs import InputFiles, load_inputs

from .conftest import FRAMES, HEIGHT, WIDTH, figure_with_a_hand


def inputs(clip, **changes):
    given = {"reference": clip.folder / "reference.png", "driving": clip.folder / "driving.mp4"}
    return load_inputs(InputFiles(**given | changes), PRESETS["puppets"])


def without_canvas(clip, factor: float = 1.0):
    frames = [{"people": frame["people"]} for frame in read_pose(clip.folder / "pose.json")]
    for frame in frames:
        body = np.reshape(frame["people"][0]["pose_keypoints_2d"], (-1, 3)) * (factor, factor, 1)
        frame["people"] = [{"pose_keypoints_2d": body.ravel().tolist()}]
    write_pose(clip.folder / "free.json", frames)
    return clip.folder / "free.json"


def place(pictures: np.ndarray) -> np.ndarray:
    """The box of what is drawn, in shares of the picture."""
    y, x = np.nonzero(pictures[0].max(axis=-1) > 0.3)
    return np.array([x.min() / pictures.shape[2], x.max() / pictures.shape[2], y.min() / pictures.shape[1]])


def test_without_a_canvas_the_driving_videos_own_size_is_it(clip):
    named = inputs(clip, size=(96, 128)).conditions.skeleton.numpy()
    free = inputs(clip, pose=without_canvas(clip), size=(96, 128)).conditions.skeleton.numpy()
    assert np.array_equal(named, free)
    np.testing.assert_allclose(place(free), np.array([21 / WIDTH, 27 / WIDTH, 25 / HEIGHT]), atol=0.05)


def test_frames_without_a_canvas_among_others_are_told_and_take_theirs(clip, caplog):
    frames = json.loads((clip.folder / "pose.json").read_text())
    for frame in frames[1:]:
        del frame["canvas_width"], frame["canvas_height"]
    write_pose(clip.folder / "some.json", frames)
    skeleton = inputs(clip, pose=clip.folder / "some.json").conditions.skeleton
    assert (skeleton[0] == skeleton[2]).all()
    assert "some.json names no canvas in frames 1-2" in caplog.text and f"{WIDTH}x{HEIGHT}" in caplog.text


def test_one_side_of_a_canvas_is_told(clip, caplog):
    frames = json.loads((clip.folder / "pose.json").read_text())
    write_pose(clip.folder / "half.json", [{k: v for k, v in f.items() if k != "canvas_height"} for f in frames])
    assert (inputs(clip, pose=clip.folder / "half.json").conditions.skeleton == inputs(clip).conditions.skeleton).all()
    assert "half.json names only one side of its canvas: its pixels are read" in caplog.text


def test_a_canvas_of_another_shape_is_refused_in_whatever_frame(animate, clip):
    frames = json.loads((clip.folder / "pose.json").read_text())
    frames[2]["canvas_width"] *= 2
    write_pose(clip.folder / "wide.json", frames)
    code, error = animate(pose=clip.folder / "wide.json")
    assert code == 2 and f"wide.json is {2 * WIDTH}x{HEIGHT}, " in error and "crop" in error


def test_points_off_the_canvas_are_told(clip, caplog):
    inputs(clip, pose=without_canvas(clip, factor=4))
    assert "100% of the points of" in caplog.text and "set canvas_width and canvas_height" in caplog.text


def test_nobody_in_any_frame_is_refused(animate, clip):
    nobody = {"canvas_width": WIDTH, "canvas_height": HEIGHT, "people": []}
    faint = {**nobody, "people": [{"pose_keypoints_2d": [10, 10, 0.02] * 18}]}
    for frames in ([nobody] * FRAMES, [faint] * FRAMES, [nobody, {"people": None}, {"people": [{}]}]):
        write_pose(clip.folder / "nobody.json", frames)
        code, error = animate(pose=clip.folder / "nobody.json")
        assert code == 2 and f"nobody.json shows nobody in any of its {FRAMES} frames: give --pose" in error


def test_frames_without_anybody_are_told_in_one_line(clip, caplog):
    frames = read_pose(clip.folder / "pose.json")
    frames[1]["people"] = []
    write_pose(clip.folder / "some.json", frames)
    inputs(clip, pose=clip.folder / "some.json")
    told = [record.message for record in caplog.records if "no person" in record.message]
    assert len(told) == 1 and "no person in frame 1 of" in told[0]
    caplog.clear()
    pictures = draw_skeleton(read_pose(clip.folder / "pose.json"), WIDTH, HEIGHT)
    pictures[:2] = 0
    write_lossless(clip.folder / "skeletons.mkv", pictures, 24)
    inputs(clip, pose=clip.folder / "skeletons.mkv")
    assert "no person in frames 0-1 of" in caplog.text


def test_openpose_folder_drives_as_the_list_does(clip):
    (clip.folder / "openpose").mkdir()
    for index, frame in enumerate(read_pose(clip.folder / "pose.json")):
        body = np.reshape(frame["people"][0]["pose_keypoints_2d"], (18, 3))
        middle = body[[8, 11]].mean(axis=0, keepdims=True)
        body25 = np.concatenate([body[:8], middle, body[8:], np.zeros((6, 3))])
        held = {"version": 1.3, "people": [{"pose_keypoints_2d": body25.ravel().tolist()}]}
        (clip.folder / "openpose" / f"clip_{index:012d}_keypoints.json").write_text(json.dumps(held))
    from_folder = inputs(clip, pose=clip.folder / "openpose").conditions.skeleton
    assert (from_folder == inputs(clip).conditions.skeleton).all()


def test_json_by_another_name_is_read(animate, clip):
    held = (clip.folder / "pose.json").read_text()
    (clip.folder / "pose.txt").write_text(held, encoding="utf-16")
    assert animate(pose=clip.folder / "pose.txt")[0] == 0


def figure() -> dict:
    """A whole person in the middle of a picture of 128 × 192."""
    x = [64, 64, 48, 40, 36, 80, 88, 92, 54, 52, 50, 74, 76, 78, 60, 68, 56, 72]
    y = [30, 50, 50, 76, 100, 50, 76, 100, 100, 140, 176, 100, 140, 176, 26, 26, 28, 28]
    points = np.column_stack([x, y, np.ones(18)])
    return {"canvas_width": 128, "canvas_height": 192, "people": [{"pose_keypoints_2d": points.ravel().tolist()}]}


@pytest.mark.parametrize("light", [1.0, 0.3])
@pytest.mark.parametrize("width", [128, 512])
def test_drawn_skeletons_pass_also_dim_and_after_lossy_compression(clip, width, light):
    import av

    path, pictures = clip.folder / "skeletons.mp4", draw_skeleton([figure()] * FRAMES, width, width * 3 // 2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = width, width * 3 // 2, "yuv420p"
        for picture in (pictures * light).astype(np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    skeleton = inputs(clip, driving=None, pose=path, size=(64, 96)).conditions.skeleton
    assert (skeleton.amax(dim=-1) > 0.1).flatten(1).any(dim=1).all()


def disc(colour) -> np.ndarray:
    """A filled figure on black, FRAMES × 96 × 64."""
    y, x = np.mgrid[:96, :64]
    inside = ((x - 32) / 16) ** 2 + ((y - 50) / 36) ** 2 < 1
    return np.broadcast_to(np.where(inside[..., None], colour, 0), (FRAMES, 96, 64, 3)).astype(np.uint8)


def noise() -> np.ndarray:
    return np.random.default_rng(2).integers(30, 256, (96, 64, 3))


NO_SKELETONS = {
    "mask": (lambda: disc(255), "100% of what is not black is grey"),
    "mask in red": (lambda: disc((255, 0, 0)), "of one hue"),
    "depth": (lambda: disc(np.linspace(40, 220, 96)[:, None, None]), "is grey"),
    "cut-out person": (lambda: disc(noise()), "shows filled areas"),
    "footage": (lambda: np.broadcast_to(noise(), (FRAMES, 96, 64, 3)).astype(np.uint8), "100% of .* is not black"),
    "black": (lambda: disc(0), "is black in every frame"),
}


@pytest.mark.parametrize("lossy", [False, True], ids=["lossless", "lossy"])
@pytest.mark.parametrize(("pictures", "message"), NO_SKELETONS.values(), ids=NO_SKELETONS)
def test_what_shows_no_drawn_skeletons_is_refused(animate, clip, pictures, message, lossy):
    path = clip.folder / ("no.mp4" if lossy else "no.mkv")
    (write_video if lossy else write_lossless)(path, pictures(), 24)
    code, error = animate(driving=None, pose=path)
    last = error.splitlines()[-1]
    assert code == 2 and last.startswith("inhabit: error: ") and "no.m" in last
    assert re.search(message, last) and "give --pose a video of skeletons drawn on black" in last


def test_hands_are_measured_on_the_models_own_scale_of_sharpness(clip):
    """s / (s + t) of an ordinary hand's t and of four times that, from one and the same s."""
    write_pose(clip.folder / "hands.json", [figure_with_a_hand(20)] * FRAMES)
    files = InputFiles(
        clip.folder / "reference.png",
        clip.folder / "driving.mp4",
        clip.folder / "hands.json",
        mask=clip.folder / "mask.mkv",
        hand_sharpness="measured",
    )
    config, found = PRESETS["puppets"], []
    for typical in (500.0, 2000.0):
        motion = config.pose.model_copy(update={"typical_sharpness": typical})
        found.append(load_inputs(files, config.model_copy(update={"pose": motion})).conditions.blur[0, ..., 2].max())
    variance = [typical * share / (1 - share) for typical, share in zip((500.0, 2000.0), found, strict=True)]
    assert found[0] > found[1] > 0 and float(variance[0]) == pytest.approx(float(variance[1]), rel=1e-3)


def crowd(clip, order=(0, 1)) -> dict:
    """The clip with a second, smaller person on the right in every frame but the last, in that order of the list."""
    frames = read_pose(clip.folder / "pose.json")
    for index, frame in enumerate(frames):
        body = np.reshape(frame["people"][0]["pose_keypoints_2d"], (-1, 3))
        size = np.array([frame["canvas_width"], frame["canvas_height"], 1])
        small = np.where(body[:, 2:] > 0, (body / size * 0.5 + (0.45, 0.25, 0.5)) * size, 0)
        people = [frame["people"][0], {"pose_keypoints_2d": small.ravel().tolist()}]
        frame["people"] = [people[number] for number in (order if index < len(frames) - 1 else (0,))]
    write_pose(clip.folder / "crowd.json", frames)
    return {"pose": clip.folder / "crowd.json"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_several_people_the_largest_is_followed_and_the_others_told(clip, caplog, order):
    caplog.set_level("INFO")
    drawn = inputs(clip, **crowd(clip, order)).conditions.skeleton.numpy()
    alone = inputs(clip).conditions.skeleton.numpy()
    bodies = [slice(None), slice(0, FRAMES)]
    np.testing.assert_array_equal(drawn[bodies[1]] > 0, alone[bodies[1]] > 0)
    assert "crowd.json shows up to 2 people: the largest person is followed" in caplog.text


@pytest.mark.parametrize("person", ["2", f"{0.7 * WIDTH:g},{0.5 * HEIGHT:g}"])
def test_another_person_is_chosen_and_missed_where_they_are_not(clip, caplog, person):
    drawn = inputs(clip, **crowd(clip), person=person).conditions.skeleton.numpy()
    expected = place(inputs(clip).conditions.skeleton.numpy()) * 0.5 + (0.45, 0.45, 0.25)
    np.testing.assert_allclose(place(drawn), expected, atol=0.08)
    assert not drawn[-1].any() and f"is not among the people in frame {FRAMES - 1} of" in caplog.text


def test_a_person_who_is_not_there_is_refused(animate, clip):
    code, error = animate(**crowd(clip), person="3")
    assert code == 2 and "person 3 from the left is in no frame of" in error and "which shows up to 2" in error
    code, error = animate(**crowd(clip), person="second")
    assert code == 2 and "'second'" in error


def test_skeleton_videos_have_no_people_to_choose_from(animate, clip):
    skeleton = (inputs(clip).conditions.skeleton.numpy() * 255).astype(np.uint8)
    write_lossless(clip.folder / "skeletons.mkv", skeleton, 8)
    code, error = animate(pose=clip.folder / "skeletons.mkv", person="2")
    assert code == 2 and "skeletons.mkv is a video of skeletons, where person 2 from the left cannot be told" in error
