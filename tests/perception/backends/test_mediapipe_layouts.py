"""Points of a body and a face that were placed by name, mapped to OpenPose's order."""

import numpy as np
import pytest
from inhabit.perception.backends.mediapipe_body import refined
from inhabit.perception.backends.mediapipe_hands import Hand, belongs, led_by_the_body, one_hand_a_place
from inhabit.perception.backends.mediapipe_layouts import BODY, FACE, body_18, counted, face_70

BLAZEPOSE = """nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear
mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky right_pinky
left_index right_index left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel
right_heel left_foot_index right_foot_index""".split()
OPENPOSE = """nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear""".split()


def test_every_joint_of_the_body_has_its_name():
    points = np.column_stack([np.arange(33) * 10, np.arange(33) * 7, np.linspace(0.2, 1, 33)])
    body = body_18(points)
    for name, found in zip(OPENPOSE, body, strict=True):
        if name != "neck":
            assert found == pytest.approx(points[BLAZEPOSE.index(name)])
    left, right = points[BLAZEPOSE.index("left_shoulder")], points[BLAZEPOSE.index("right_shoulder")]
    assert body[1] == pytest.approx([*(left[:2] + right[:2]) / 2, min(left[2], right[2])])
    assert len(BODY) == 18


def test_the_face_has_68_points_and_both_eyes():
    assert len(FACE) == 68 and len(set(FACE)) == 68 and max(FACE) < 468
    mesh = np.random.default_rng(0).uniform(size=(468, 2)).astype(np.float32)
    face = face_70(mesh)
    assert face.shape == (70, 2)
    assert np.allclose(face[68], face[36:42].mean(axis=0)) and np.allclose(face[69], face[42:48].mean(axis=0))


def test_a_point_counts_when_it_is_visible_and_in_the_picture():
    points = np.array([[5, 5, 0.9], [5, 5, 0.4], [-1, 5, 0.9], [5, 21, 0.9], [10, 20, 0.5]], np.float32)
    assert counted(points, 10, 20).tolist() == [[5, 5, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [10, 20, 1]]


def test_a_heat_map_moves_a_point_only_where_it_is_sure():
    heat = np.full((64, 64, 3), -20.0)
    heat[30, 41, 0] = heat[30, 42, 0] = 5.0  # two cells to the right of the first point's
    heat[30, 41, 1] = -1.0  # not sure
    heat[30, 60, 2] = 5.0  # outside the window
    places = np.tile([40.5 / 64, 30.5 / 64], (3, 1))
    moved = refined(places, heat)
    assert moved[0] == pytest.approx([41.5 / 64, 30 / 64], abs=1e-6)
    assert np.array_equal(moved[1:], places[1:])
    assert np.array_equal(refined(np.array([[1.2, -0.1]] * 3), heat), [[1.2, -0.1]] * 3), "outside the crop"


def body_with_an_arm() -> np.ndarray:
    """The left arm hangs: shoulder, elbow, wrist 100 px apart, fingers below."""
    body = np.zeros((33, 2))
    body[11], body[13], body[15] = (50, 0), (50, 100), (50, 200)
    body[19], body[17] = (50, 230), (50, 230)
    return body


def hand(x: float, y: float, size: float) -> Hand:
    return Hand(np.array([x, y]) + np.linspace(0, 1, 21)[:, None] * (0, size * 20 / 9), 1.0)


def test_the_gate_wants_a_hand_at_its_wrist_and_of_its_size():
    body = body_with_an_arm()
    assert belongs(hand(55, 210, 40), body, 0)
    assert not belongs(hand(55, 270, 40), body, 0), "too far"
    assert not belongs(hand(55, 210, 10), body, 0) and not belongs(hand(55, 210, 95), body, 0)
    body[13] = (50, 195)  # the forearm points at the camera: the upper arm tells the size
    assert belongs(hand(55, 210, 40), body, 0)


def test_the_square_that_the_body_leads_to_points_along_the_hand():
    crop = led_by_the_body(body_with_an_arm(), 0)
    assert (crop.x, crop.y, crop.side) == pytest.approx((50, 230, 60))
    assert np.allclose(crop.to_picture(np.array([[0.5, 0.0]])), [[50, 260]]), "the fingers are above"


def test_one_hand_stays_where_two_are_the_same():
    near, far = hand(50, 200, 40), hand(52, 200, 40)
    wrists = np.array([[50.0, 200.0], [300.0, 200.0]])
    assert one_hand_a_place([near, far], wrists) == [near, None]
    assert one_hand_a_place([near, far], wrists[::-1]) == [None, far]
    apart = hand(300, 200, 40)
    assert one_hand_a_place([near, apart], wrists) == [near, apart]
    assert one_hand_a_place([None, far], wrists) == [None, far]
