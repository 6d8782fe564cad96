"""One convention of places in pictures: continuous pixels, the left edge is x = 0, the first pixel's centre 0.5.

A resize from w to W maps x to x·W / w, a mirror x to w − x. Every place is measured as a centroid and compared with
where it was put.
"""

import cv2
import numpy as np
import pytest
import torch
from inhabit.media import parse_poses, read_pose, resize
from inhabit.media.pose import PARTS, Pose
from inhabit.perception import blur_maps, draw_skeleton, hand_face_regions, measure_hand_blur
from inhabit.perception.motion_blur import laplacian_variance
from inhabit.perception.skeleton import structured_depth
from inhabit.scenes import SceneRenderer, write_scene
from inhabit.scenes.drawing import BODY, Canvas, ellipse
from inhabit.scenes.renderer import render_scene
from inhabit.training import augmentation
from inhabit.training.augmentation import mirror_pose
from inhabit.training.data import _fit

NEAR = 0.05  # pixels
PLACES = np.random.default_rng(0).uniform(28, 36, (40, 2))


def centroid(picture: np.ndarray) -> np.ndarray:
    """(x, y) of the mean weight of a picture (H, W), in continuous pixels."""
    weights = picture.astype(np.float64)
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def person(**points: list[tuple[float, float]]) -> Pose:
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    for part, given in points.items():
        parts[part][: len(given)] = [(*point, 1) for point in given]
    return Pose(**parts)


def errors(paint, places: np.ndarray = PLACES) -> np.ndarray:
    return np.array([centroid(paint(place)) - place for place in places])


def canvas(scale: int, side: int = 64) -> Canvas:
    return Canvas(np.zeros((side * scale, side * scale, 4), np.uint8), scale, 1.0)


def small(layer: np.ndarray) -> np.ndarray:
    return cv2.resize(layer, (64, 64), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("scale", [1, 2])  # of pictures above and up to 256 pixels
@pytest.mark.parametrize("shape", ["fill", "stroke", "limb", "shadow"])
def test_scenes_paint_points_where_they_are(scale, shape):
    def paint(place):
        board = canvas(scale)
        if shape == "fill":
            board.fill(ellipse(place, (5, 0), (0, 5)), (255, 255, 255), 255, BODY)
        elif shape == "stroke":
            board.stroke(np.stack([place - 3, place + 3]), (255, 255, 255), 255, 3, BODY)
        elif shape == "limb":
            lines = np.stack([place - 4, place + 4]), np.full((1, 2), 3.0)
            board.limb(*lines, [(255, 255, 255)], [255], BODY, np.zeros(2))
        else:
            board.paint[:] = 255
            board.shadow(place, 6, 6, 1.0)
            return 255 - small(board.paint)[..., 0]
        layers = [small(board.marks)[..., 0], small(board.paint)[..., 3]]
        assert np.abs(centroid(layers[0]) - centroid(layers[1])).max() < NEAR
        return layers[0]

    found = errors(paint)
    assert np.abs(found.mean(0)).max() < NEAR / 2 and np.abs(found).max() < 2 * NEAR


@pytest.mark.parametrize("side", [128, 512, 700])
@pytest.mark.parametrize("part", ["body", "left_hand", "face"])
def test_skeletons_have_their_points_where_they_are(side, part):
    places = PLACES[:10] * side / 64
    found = errors(lambda place: draw_skeleton([[person(**{part: [place]})]], side, side)[0].max(-1), places)
    assert np.abs(found.mean(0)).max() < NEAR / 2 and np.abs(found).max() < 1.5 * NEAR


@pytest.mark.parametrize("side", [128, 512, 700])
@pytest.mark.parametrize(("part", "first"), [("body", 2), ("left_hand", 1)])
def test_bones_lie_between_their_joints(side, part, first):
    def paint(place):
        pose = person()
        getattr(pose, part)[first : first + 2] = [(*(place - (6, 0)), 1), (*(place + (6, 0)), 1)]
        return draw_skeleton([[pose]], side, side)[0].max(-1)

    found = errors(paint, PLACES[:10] * side / 64)
    assert np.abs(found.mean(0)).max() < NEAR and np.abs(found).max() < 2 * NEAR


@pytest.mark.parametrize("size", [(128, 128), (320, 240)])
def test_what_a_scene_paints_lies_where_its_keypoints_are(size, monkeypatch):
    """A scene whose puppet is a dot on its nose: picture, mask and drawn keypoint have the same place."""
    from inhabit.scenes import renderer

    monkeypatch.setattr(renderer, "Puppet", _Dot)
    scene = SceneRenderer(3, "dance", *size, 6, shutter=0.0)
    monkeypatch.setattr(scene, "_shadows", lambda *_: None)
    monkeypatch.setattr(scene, "_shaded", lambda paint, marks: (paint, marks))
    for index in range(6):
        frame, pose = scene.frame(index), scene.pose(index)
        x, y = pose["people"][0]["pose_keypoints_2d"][:2]
        only = person(body=[(x, y)])
        skeleton = draw_skeleton([[only]], *size)[0].max(-1)
        for layer in (frame.character, skeleton):
            assert np.abs(centroid(layer) - (x, y)).max() < NEAR, index
        assert np.abs(centroid((frame.image == (255, 0, 0)).all(-1)) - (x, y)).max() < 3 * NEAR, "whole pixels alone"
        depth = torch.from_numpy(frame.depth)[None]
        kept = structured_depth(depth, torch.from_numpy(skeleton)[None, ..., None].expand(-1, -1, -1, 3) / 255)[0]
        assert np.abs(centroid((kept > 0).numpy()) - (x, y)).max() < 0.5


class _Dot:
    def __init__(self, points, *_):
        self.place = points[0, :2]

    def draw(self, board, *_):
        board.fill(ellipse(self.place, (6, 0), (0, 6)), (255, 0, 0), 150, BODY)


def test_points_up_to_the_right_edge_are_in_the_picture():
    from inhabit.scenes import body

    points = np.zeros((body.POINTS, 3))
    points[:4, :2] = (99.6, 50), (100.4, 50), (50, 79.7), (0, 0)
    found = body.keypoints(points, 100, 80)["people"][0]["pose_keypoints_2d"][2:12:3]
    assert found == [1, 0, 1, 1]


def test_the_camera_moves_the_place_by_its_way():
    scene = next(s for s in (SceneRenderer(seed, "walk", 128, 128, 8) for seed in range(9)) if s._travel.max() > 2)
    plate = np.zeros_like(scene._plate.behind[..., 0])
    plate[100:110, 100:120] = 255
    start = centroid(scene._down(scene._crop(plate, 0)))[0] + scene._travel[0]
    for index in range(8):
        assert abs(centroid(scene._down(scene._crop(plate, index)))[0] + scene._travel[index] - start) < NEAR


def test_hulls_and_discs_lie_where_their_points_are():
    corners = np.array([(-6, -5), (5, -6), (6, 5), (-5, 6), (0, 8), (0, -8)])
    middle = centroid(cv2.fillConvexPoly(np.zeros((640, 640)), cv2.convexHull(corners * 10 + 320), 1)) / 10 - 32.05

    def hull(place):
        return hand_face_regions([[person(left_hand=corners + place)]], 64, 64, 0).hands[0].numpy()

    def disc(place):
        pose = person()
        for joint, (x, y) in {0: (0, 0), 14: (-5, 0), 15: (5, 0), 16: (0, -5), 17: (0, 5)}.items():
            pose.body[joint] = (place[0] + x, place[1] + y, 1)
        return hand_face_regions([[pose]], 64, 64, 0).face[0].numpy()

    places = np.random.default_rng(1).uniform(28, 36, (300, 2))
    for paint, centre in ((hull, middle), (disc, np.zeros(2))):
        found = errors(paint, places) - centre
        assert np.abs(found.mean(0)).max() < NEAR / 2, "not to one side"
        assert np.abs(found).max() < 0.25, "to the pixel"


def test_a_hull_of_one_point_or_of_a_line_has_pixels():
    one = hand_face_regions([[person(left_hand=[(20.3, 30.8)])]], 64, 64, 0).hands[0]
    assert one.nonzero().tolist() == [[30, 20]]
    line = hand_face_regions([[person(left_hand=[(10, 10), (20, 14), (30, 18)])]], 64, 64, 0).hands[0].numpy()
    count, _ = cv2.connectedComponents(line.astype(np.uint8))
    assert count == 2 and line[10, 11] and line[17, 28] and line.sum() < 50


@pytest.mark.parametrize("width", [96, 97])
def test_a_mirrored_pose_gives_mirrored_pictures(width):
    scene = SceneRenderer(5, "handface", width, 96, 3, shutter=0.0)
    poses = parse_poses([scene.pose(index) for index in range(3)], width, 96)
    mirrored = [[mirror_pose(pose, width) for pose in people] for people in poses]
    driving = torch.rand(3, 96, width, 3, generator=torch.Generator().manual_seed(0))
    regions, other = (hand_face_regions(each, width, 96, 2.5) for each in (poses, mirrored))
    for name in ("hands", "face", "contact"):
        assert torch.equal(getattr(regions, name).flip(2), getattr(other, name)), name
    blur, turned = measure_hand_blur(poses, width, 96, driving), measure_hand_blur(mirrored, width, 96, driving.flip(2))
    np.testing.assert_allclose(blur.sharpness[:, ::-1], turned.sharpness, rtol=1e-4)
    np.testing.assert_allclose(blur.movement[:, ::-1] * (-1, 1), turned.movement, atol=1e-4)
    maps, opposite = (blur_maps(each, width, 96).flip(2) if each is blur else blur_maps(each, width, 96)
                      for each in (blur, turned))  # fmt: skip
    assert (maps[..., 2] - opposite[..., 2]).abs().max() < 1e-3
    assert ((maps[..., 0] + opposite[..., 0]) - 1).abs().max() < 1e-3
    skeleton = draw_skeleton(poses, width, 96)[0].max(-1)[:, ::-1], draw_skeleton(mirrored, width, 96)[0].max(-1)
    assert np.abs(centroid(skeleton[0]) - centroid(skeleton[1])).max() < NEAR


@pytest.mark.parametrize("width", [64, 65])
@pytest.mark.parametrize("change", ["flip", "scale 0.75", "scale 1.25", "flip and scale"])
def test_augmented_points_stay_on_their_pictures(width, change):
    for place in PLACES[:12]:
        clip = _clip_of_a_dot(place, width)
        if "flip" in change:
            clip = augmentation.flip(clip)
        if "scale" in change:
            clip = augmentation.scale_character(clip, float(change.split()[-1]) if change[-1].isdigit() else 1.1)
        point = clip.poses[0][0].body[0, :2]
        np.testing.assert_allclose(clip.before[0][0].body[0, :2], point, atol=1e-5)
        for layer in (clip.target_character[0], clip.hands[0], clip.target[0, ..., 0], clip.driving[0, ..., 0]):
            assert np.abs(centroid(layer) - point).max() < NEAR
        depth = clip.depth[0] * (clip.target_character[0] > 127)  # what is uncovered keeps its own
        assert np.abs(centroid(depth) - point).max() < 3 * NEAR


def _clip_of_a_dot(place: np.ndarray, width: int) -> augmentation.Clip:
    board = Canvas(np.zeros((128, 2 * width, 4), np.uint8), 2, 1.0)
    board.fill(ellipse(place, (9, 0), (0, 9)), (255, 255, 255), 255, BODY)
    dot = cv2.resize(board.marks, (width, 64), interpolation=cv2.INTER_AREA)[..., 0][None]
    picture, none = np.repeat(dot[..., None], 3, -1), np.zeros_like(dot)
    poses = [[person(body=[tuple(place)])]]
    return augmentation.Clip(driving=picture, target=picture, reference=picture[0], depth=dot / np.float32(255),
                             character=dot, object=none, target_character=dot, hands=dot, face=none,
                             poses=poses, before=poses)  # fmt: skip


def test_the_hands_box_is_the_same_on_both_sides():
    points = np.zeros((1, 2, 21, 3), np.float32)
    points[0, 0, :4] = [(20, 20, 1), (40, 20, 1), (40, 40, 1), (20, 40, 1)]
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    edges = {"left": np.s_[:, 15:45, 15], "right": np.s_[:, 15:45, 44], "top": np.s_[:, 15, 15:45],
             "bottom": np.s_[:, 44, 15:45], "outside": np.s_[:, 15:45, 45]}  # fmt: skip
    values = {}
    for name, part in edges.items():
        marked = picture.copy()
        marked[part] = 255
        values[name] = laplacian_variance(marked, points)[0, 0]
    assert values["left"] == values["right"] == values["top"] == values["bottom"] > 0 == values["outside"]


@pytest.mark.parametrize("size", [(32, 32), (40, 80), (80, 40), (100, 52), (128, 128), (333, 200)])
def test_a_resize_keeps_places_in_proportion(size):
    dots = np.stack([small(_dot_at(place)) for place in PLACES])
    for resized in (resize(dots, *size), [_fit(dot, *size) for dot in dots]):
        for place, picture in zip(PLACES, resized, strict=True):
            assert picture.shape == size[::-1] and np.abs(centroid(picture) / size * 64 - place).max() < NEAR


def _dot_at(place: np.ndarray) -> np.ndarray:
    board = canvas(2)
    board.fill(ellipse(place, (7, 0), (0, 7)), (255, 255, 255), 255, BODY)
    return board.marks[..., 0]


def test_odd_sizes_on_disk_keep_their_points(tmp_path):
    scene = render_scene(2, "reach", 1, 97, 99)
    folder = write_scene(scene, tmp_path / "scene")
    before, after = parse_poses(scene.pose, 97, 99), parse_poses(read_pose(folder / "pose.json"), 98, 100)
    for part in PARTS:
        np.testing.assert_allclose(getattr(before[0][0], part), getattr(after[0][0], part), atol=1e-3)
