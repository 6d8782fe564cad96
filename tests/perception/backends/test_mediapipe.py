"""The estimator against rendered scenes, whose truth is exact; and what it says where it cannot work."""

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import parse_poses
from inhabit.perception.backends import POSE_ESTIMATORS, MediaPipePose, PersonInFrame, litert
from inhabit.perception.backends.mediapipe_files import MEDIAPIPE
from inhabit.perception.backends.protocols import REAL_SCORES
from inhabit.scenes import Scene, render_scene
from inhabit.weights import installed

REASON = MediaPipePose().available()
needs_weights = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SIZE, FRAMES, SEEDS = 512, 8, (900_001, 900_002, 900_003)


@pytest.fixture(scope="module")
def walks() -> list[tuple[Scene, list[PersonInFrame]]]:
    scenes = [render_scene(seed, "walk", FRAMES, SIZE, SIZE) for seed in SEEDS]
    return [(scene, list(MediaPipePose("full").estimate(scene.driving))) for scene in scenes]


@pytest.fixture(scope="module")
def walk(walks) -> tuple[Scene, list[PersonInFrame]]:
    return walks[0]


@needs_weights
def test_the_body_of_walking_puppets_is_found_in_every_frame(walks):
    errors = []
    for scene, found in walks:
        for person, (truth,) in zip(found, parse_poses(scene.pose, SIZE, SIZE), strict=True):
            both = (truth.body[:, 2] > 0) & (person.pose.body[:, 2] > 0)
            height = np.ptp(truth.body[truth.body[:, 2] > 0, 1])
            assert both.sum() >= 12 and set(np.unique(person.pose.body[:, 2])) <= {0, 1}
            errors.append(np.linalg.norm(truth.body[both, :2] - person.pose.body[both, :2], axis=1).mean() / height)
    assert len(errors) == 24 and np.mean(errors) <= 0.03


@needs_weights
def test_its_mask_is_the_puppets(walks):
    shared = []
    for scene, found in walks:
        for person, truth in zip(found, scene.character > 127, strict=True):
            mask = person.mask > 0.5
            assert person.mask.dtype == np.float32 and 0 <= person.mask.min() and person.mask.max() <= 1
            shared.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(shared) >= 0.95 and min(shared) > 0.8


@needs_weights
def test_faces_and_hands_lie_on_the_puppets(walk):
    scene, found = walk
    truths = [people[0] for people in parse_poses(scene.pose, SIZE, SIZE)]
    pairs = {"face": [], "left_hand": [], "right_hand": []}
    for person, truth in zip(found, truths, strict=True):
        for part, errors in pairs.items():
            there, here = getattr(truth, part), getattr(person.pose, part)
            both = (there[:, 2] > 0) & (here[:, 2] > 0)
            if both.any():
                errors.append(np.linalg.norm(there[both, :2] - here[both, :2], axis=1).mean())
    assert len(pairs["face"]) == FRAMES and np.mean(pairs["face"]) < 0.02 * SIZE
    hands = pairs["left_hand"] + pairs["right_hand"]
    assert len(hands) >= FRAMES // 2 and np.mean(hands) < 0.05 * SIZE


@needs_weights
def test_a_frame_is_a_pose_keypoint_with_the_real_scores_beside(walk):
    _, found = walk
    frame = found[0].keypoints()
    assert (frame["canvas_width"], frame["canvas_height"]) == (SIZE, SIZE)
    [person] = frame["people"]
    assert set(person["pose_keypoints_2d"][2::3]) <= {0.0, 1.0} and len(person["pose_keypoints_2d"]) == 54
    real = person[REAL_SCORES]["pose_keypoints_2d"]
    assert len(real) == 18 and all(0 <= score <= 1 for score in real) and set(real) - {0.0, 1.0}
    [[again]] = parse_poses([frame], SIZE, SIZE)
    assert np.abs(again.body - found[0].pose.body).max() < 0.001


@needs_weights
def test_frames_are_taken_one_by_one_and_nobody_is_nobody(walk):
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for index in range(3):
            taken.append(index)
            yield np.full((96, 128, 3), 90, np.uint8)

    people = MediaPipePose("full").estimate(frames())
    assert taken == []
    first = next(people)
    assert taken == [0] and first.pose is None and first.mask.shape == (96, 128) and not first.mask.any()
    assert first.keypoints() == {"canvas_width": 128, "canvas_height": 96, "people": []}


@needs_weights
@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 3000, 3), (301, 7, 3)])
def test_pictures_of_any_size_are_taken(shape):
    [person] = MediaPipePose("full").estimate([np.full(shape, 200, np.uint8)])
    assert person.mask.shape == shape[:2] and np.isfinite(person.mask).all()


@needs_weights
@pytest.mark.parametrize(
    "frame", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), "u1")]
)
def test_frames_of_another_kind_are_refused(frame):
    with pytest.raises(InputError, match="give uint8 .height, width, 3., RGB"):
        next(MediaPipePose("full").estimate([frame]))


@needs_weights
def test_whoever_comes_back_is_found_again(walk):
    scene, found = walk
    empty = np.zeros_like(scene.driving[0])
    people = [*MediaPipePose("full").estimate([scene.driving[0], empty, scene.driving[0]])]
    assert [person.pose is None for person in people] == [False, True, False]
    assert np.allclose(people[2].pose.body, found[0].pose.body, atol=1e-3)


@needs_weights
def test_left_and_right_change_places_in_a_mirror(walk):
    scene, found = walk
    [mirrored] = MediaPipePose("full").estimate([scene.driving[0][:, ::-1]])
    swapped = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    here, there = found[0].pose.body, mirrored.pose.body[swapped]
    both = (here[:, 2] > 0) & (there[:, 2] > 0)
    assert both.sum() >= 12
    assert np.abs(here[both, 0] - (SIZE - there[both, 0])).mean() < 0.03 * SIZE


def test_missing_weights_are_one_line_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path))
    estimator = POSE_ESTIMATORS["mediapipe"]()
    with pytest.raises(InputError) as raised:
        estimator.estimate([])
    assert str(raised.value) == estimator.available() and "\n" not in estimator.available()
    if litert.why_no_litert() is None:
        assert "inhabit fetch-weights --what mediapipe" in estimator.available()
        assert str(tmp_path / "mediapipe") in estimator.available() and "heavy" not in estimator.available()


def test_a_missing_runtime_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert MediaPipePose().available() == f"ai-edge-litert is not installed here: {litert.INSTALL}"
    with pytest.raises(InputError, match="pip install ai-edge-litert"):
        litert.Graph(b"")


def test_a_broken_runtime_is_one_line_with_the_command(monkeypatch):
    def broken(name: str):
        raise ImportError("libLiteRt.so: wrong ELF class")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(litert.importlib, "import_module", broken)
    with pytest.raises(InputError, match="cannot be loaded .libLiteRt.so: wrong ELF class.: python -m pip install"):
        litert.Graph(b"")


def test_another_size_is_refused():
    with pytest.raises(InputError, match="'huge' is no size of the body graph: give full or heavy"):
        MediaPipePose("huge")


def test_digests_are_whole_and_differ():
    digests = [digest for file in MEDIAPIPE.files for _, digest in file.forms]
    assert len(set(digests)) == len(digests) and all(len(digest) == 64 for digest in digests)
