"""Hand, face and contact regions against rendered scenes and against geometry computed another way."""

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.media.pose import PARTS, Pose
from inhabit.perception import hand_face_regions
from inhabit.scenes import render_scene

SIZE = 256


def person(**given: list[tuple[float, float]]) -> Pose:
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    for part, points in given.items():
        parts[part][: len(points), :2] = points
        parts[part][: len(points), 2] = 1
    return Pose(**parts)


@pytest.mark.parametrize(("region", "truth", "seen", "spill"), [("hands", "hands", 0.9, 12), ("face", "face", 0.9, 16)])
def test_regions_cover_what_a_rendered_scene_shows(region, truth, seen, spill):
    scene = render_scene(900_021, "reach", 12, SIZE, SIZE)
    found = getattr(hand_face_regions(scene.pose, SIZE, SIZE, dilation=6), region).numpy()
    shown = getattr(scene, truth) > 127
    assert shown.any() and (found[shown] == 1).mean() > seen
    assert found.sum() < spill * max(shown.sum(), 1), "and not much more"


def test_contact_happens_where_hand_and_face_meet():
    scene = render_scene(900_005, "handface", 24, SIZE, SIZE)
    regions = hand_face_regions(scene.pose, SIZE, SIZE, dilation=4)
    assert torch.equal(regions.contact, regions.hands * regions.face)
    touching = regions.contact.flatten(1).any(dim=1)
    assert touching.any()
    far = hand_face_regions(render_scene(900_007, "walk", 4, SIZE, SIZE).pose, SIZE, SIZE, dilation=4)
    assert not far.contact.any() and far.face.any()


def test_a_hull_is_its_polygon_grown_by_a_disc():
    corners = [(20.5, 20.5), (60.5, 20.5), (60.5, 50.5), (20.5, 50.5), (40.5, 30.5)]  # the last lies inside
    hands = hand_face_regions([[person(left_hand=corners)]], 96, 80, dilation=5).hands[0].numpy()
    rows, columns = np.mgrid[:80, :96]
    across, down = np.maximum(np.abs(columns - 40) - 20, 0), np.maximum(np.abs(rows - 35) - 15, 0)
    assert np.array_equal(hands, (np.hypot(across, down) <= 5).astype(np.float32))


def test_a_face_without_points_is_a_disc_around_eyes_nose_and_ears():
    body = [(0.0, 0.0)] * 18
    pose = person(body=body)
    pose.body[:, 2] = 0
    for joint, place in {0: (40, 42), 14: (36, 38), 15: (44, 38), 16: (32, 39), 17: (48, 39)}.items():
        pose.body[joint] = (*place, 1)
    face = hand_face_regions([[pose]], 80, 80, dilation=0).face[0]
    assert face[39, 40] == 1 and face[39, 33] == 1 and face[60, 40] == 0
    assert 150 < face.sum() < 500
    assert not hand_face_regions([[person()], []], 80, 80).face.any()


@pytest.mark.parametrize(
    ("width", "dilation", "message"),
    [(0, 1, "0 x 64 pixels"), (64, -1, "dilation is -1"), (64, float("nan"), "dilation is nan")],
)
def test_wrong_numbers_are_named(width, dilation, message):
    with pytest.raises(InputError, match=message):
        hand_face_regions([[person()]], width, 64, dilation)
