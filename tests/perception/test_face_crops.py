"""Squares of the face, against a picture whose pixels tell where they come from."""

import pytest
import torch
from inhabit.errors import InputError
from inhabit.perception import face_crops

WIDTH, HEIGHT = 96, 64


def person(x: float, y: float, radius: float = 8.0) -> dict:
    """A face of four points around (x, y), in pixels, and nothing else."""
    points = [(x - radius, y), (x + radius, y), (x, y - radius), (x, y + radius)]
    face = [value for point in [*points, *[points[0]] * 66] for value in (*point, 1.0)]
    empty = {"pose_keypoints_2d": [0.0] * 54, "hand_left_keypoints_2d": None, "hand_right_keypoints_2d": None}
    return {**empty, "face_keypoints_2d": face}


def frame(*people: dict) -> dict:
    return {"canvas_width": WIDTH, "canvas_height": HEIGHT, "people": list(people)}


def positions(frames: int) -> torch.Tensor:
    """A video (F, H, W, 3) of each pixel's centre x and y, over 100, and its frame's number, over 10."""
    x = (torch.arange(WIDTH) + 0.5).expand(frames, HEIGHT, WIDTH)
    y = (torch.arange(HEIGHT) + 0.5)[:, None].expand(frames, HEIGHT, WIDTH)
    number = torch.arange(frames)[:, None, None].expand(frames, HEIGHT, WIDTH) / 10
    return torch.stack([x / 100, y / 100, number], dim=-1)


def test_the_square_follows_the_first_face():
    places = [(30, 30), (40, 33), (52, 31)]
    crops = face_crops([frame(person(*place), person(80, 50)) for place in places], positions(3), 24)
    assert crops.shape == (3, 24, 24, 3)
    middle = crops.mean(dim=(1, 2))[:, :2] * 100
    assert torch.allclose(middle, torch.tensor(places, dtype=torch.float32), atol=1.0)
    across = (crops[:, :, -1, 0] - crops[:, :, 0, 0]).mean() * 100 * 24 / 23
    assert 22 < across < 28, "half as much again as the face, 16 pixels wide"
    down = (crops[:, -1, :, 1] - crops[:, 0, :, 1]).mean() * 100 * 24 / 23
    assert down == pytest.approx(float(across), abs=1.0), "a square, not stretched"


def test_a_frame_without_a_face_takes_the_nearest_ones_place():
    poses = [frame(), frame(person(30, 30)), frame(), frame(), frame(person(60, 30))]
    middle = face_crops(poses, positions(5), 16).mean(dim=(1, 2))
    assert torch.allclose(middle[:, 0] * 100, torch.tensor([30.0, 30, 30, 60, 60]), atol=1.0)
    assert torch.allclose(middle[:, 2] * 10, torch.arange(5.0)), "of its own frame"


def test_a_square_at_the_edge_lies_inside():
    for place in ((2, 2), (95, 63)):
        crops = face_crops([frame(person(*place))], positions(1), 16)
        assert crops[..., 0].min() >= 0.005 and crops[..., 0].max() <= 0.956 and crops[..., 1].max() <= 0.636
    assert face_crops([frame(person(48, 32, radius=60))], positions(1), 8).shape == (1, 8, 8, 3)


def test_no_face_at_all_is_refused():
    with pytest.raises(InputError, match="no face in any of its 2 frames"):
        face_crops([frame(), frame()], positions(2), 16)
