"""Rendered scenes: the same seed gives the same bytes; pictures, masks, depth and keypoints agree with each other."""

import cv2
import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.scenes import HELD_OUT_SEED, KINDS, SceneRenderer, render_scene
from inhabit.scenes.character import make_character

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def points_of(pose: dict, part: str) -> np.ndarray:
    """(N, 3): x, y, score."""
    return np.array(pose["people"][0][f"{part}_keypoints_2d"]).reshape(-1, 3)


def grow(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate((mask > 0).astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def without_occluder(kind: str, first: int = 0, frames: int = 12, **size: int) -> SceneRenderer:
    """The first scene of a kind in which nothing stands before the character."""
    for seed in range(first, first + 30):
        scene = SceneRenderer(seed, kind, frames=frames, **size)
        if scene._plate.front is None:
            return scene
    raise AssertionError("no scene without an occluder in 30 seeds")


def layers(frame) -> list[np.ndarray]:
    return [frame.image, frame.depth, frame.character, frame.object, frame.hands, frame.face]


@EVERY_KIND
def test_same_seed_same_bytes_in_any_order(kind):
    one, two = (SceneRenderer(5, kind, 112, 96, 6) for _ in range(2))
    ahead = [one.frame(i, "B") for i in range(6)]
    for index in (4, 0, 3):
        for a, b in zip(layers(ahead[index]), layers(two.frame(index, "B")), strict=True):
            assert a.tobytes() == b.tobytes()
        assert one.pose(index) == two.pose(index)
    assert one.reference().tobytes() == two.reference().tobytes()


def test_seeds_and_kinds_and_identities_differ():
    pictures = [SceneRenderer(seed, kind, frames=2).frame(0).image for seed in (0, HELD_OUT_SEED) for kind in KINDS]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    scene = SceneRenderer(0, frames=2)
    assert (scene.frame(0, "A").image != scene.frame(0, "B").image).any()


def test_the_two_characters_differ_clearly():
    for seed in range(300):
        a = make_character(np.random.default_rng([seed, 1]))
        b = make_character(np.random.default_rng([seed, 2]), a)
        for part, least in (("top", 80), ("bottom", 50), ("hair", 50)):
            assert np.linalg.norm(np.subtract(getattr(a, part), getattr(b, part))) > least, (seed, part)
        assert 0.88 < a.head / b.head < 1.13


@EVERY_KIND
def test_keypoints_lie_on_the_character(kind):
    scene = without_occluder(kind)
    for index in (0, 7):
        frame, pose = scene.frame(index), scene.pose(index)
        visible = grow(np.maximum(frame.character, frame.object), 2)
        for part, count in (("pose", 18), ("face", 70), ("hand_left", 21), ("hand_right", 21)):
            points = points_of(pose, part)
            assert points.shape == (count, 3) and set(points[:, 2]) <= {0.0, 1.0}
            assert (points[points[:, 2] == 0] == 0).all()
            x, y = points[points[:, 2] == 1, :2].round().astype(int).T
            assert visible[y, x].mean() > (0.97 if part != "pose" else 0.9), (kind, index, part)


@EVERY_KIND
def test_face_and_hands_masks_hold_their_keypoints(kind):
    scene = without_occluder(kind)
    frame, pose = scene.frame(3), scene.pose(3)
    covered = grow(np.maximum(frame.hands, frame.object), 3)
    face = points_of(pose, "face")
    face = face[face[:, 2] == 1, :2].round().astype(int)
    face = face[~covered[face[:, 1], face[:, 0]]]
    # The jaw's upper ends lie under the hair; eyes, nose and mouth do not.
    assert grow(frame.face, 2)[face[:, 1], face[:, 0]].mean() > 0.7
    assert (frame.hands[frame.character < 255] <= frame.character[frame.character < 255] + 1).all()
    assert (frame.face.astype(int) + frame.hands <= 256).all()


@EVERY_KIND
def test_target_equals_driving_outside_both_characters_and_their_shadows(kind):
    scene = SceneRenderer(3, kind, frames=12)
    a, b, pose = scene.frame(5, "A"), scene.frame(5, "B"), points_of(scene.pose(5), "pose")
    outside = ~grow(np.maximum.reduce([a.character, b.character, a.object, b.object]), 1)
    assert outside.mean() > 0.25
    difference = np.abs(a.image.astype(int) - b.image).max(-1)
    ankles = pose[[10, 13]]
    feet = int(ankles[ankles[:, 2] > 0, 1].min(initial=128)) - 4
    assert (difference[:feet][outside[:feet]] == 0).all()
    assert difference[outside].max() < 30
    inside = (a.character > 250) & (b.character > 250)
    assert (difference[inside] > 8).mean() > 0.5


def test_the_camera_moves_the_background_and_driving_and_target_share_it():
    scene = without_occluder("walk", frames=24)
    first, last = scene.frame(0), scene.frame(23)
    corner = np.s_[:, :12]
    still = (first.character[corner] == 0) & (last.character[corner] == 0)
    assert (first.image[corner][still] != last.image[corner][still]).mean() > 0.1


def test_depth_is_nearer_on_the_character_than_behind_it():
    for seed in range(6):
        frame = without_occluder("reach", 10 * seed, 2).frame(0)
        assert frame.depth.dtype == np.float32 and 0 <= frame.depth.min() and frame.depth.max() <= 1
        ring = grow(frame.character, 4) & ~grow(frame.character, 1)
        rows = np.arange(128)[:, None] < 90
        assert np.median(frame.depth[frame.character > 250]) > np.median(frame.depth[ring & rows])


def sharpness(image: np.ndarray, mask: np.ndarray) -> float:
    edges = cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
    return float(edges[mask].var())


def test_fast_hands_blur_and_slow_ones_do_not():
    fast = without_occluder("fasthands", frames=24)
    speed = [np.abs(np.diff([points_of(fast.pose(i + d), "hand_right")[9, :2] for d in (0, 1)], axis=0)).max()
             for i in range(23)]  # fmt: skip
    index = int(np.argmax(speed))
    slow = SceneRenderer(2, "object", frames=2)
    blurred, calm = fast.frame(index), slow.frame(0)
    frozen = SceneRenderer(fast.seed, "fasthands", frames=24, shutter=0.0)
    sharp, still = frozen.frame(index), SceneRenderer(2, "object", frames=2, shutter=0.0).frame(0)
    hand = grow(blurred.hands, 2)
    assert sharpness(blurred.image, hand) < 0.8 * sharpness(sharp.image, hand)
    # The mask of a moving hand covers where it was during the exposure, and is softer.
    assert ((blurred.hands > 8) & (blurred.hands < 247)).sum() > ((sharp.hands > 8) & (sharp.hands < 247)).sum()
    assert np.abs(calm.image.astype(int) - still.image).max() <= 1
    with pytest.raises(InputError, match="shutter is 1.5; use a share"):
        SceneRenderer(0, shutter=1.5)


@pytest.mark.parametrize("kind", ["object", "pass"])
def test_the_held_object_is_in_a_hand(kind):
    scene = without_occluder(kind, frames=48)
    nearest = []
    for index in range(0, 48, 6):
        frame = scene.frame(index)
        assert (frame.object > 128).sum() > 20
        y, x = np.nonzero(frame.object > 128)
        gaps = [
            min(np.hypot(x - px, y - py).min() for px, py, _ in points_of(scene.pose(index), hand))
            for hand in ("hand_right", "hand_left")
        ]
        assert min(gaps) < 3
        nearest.append(gaps)
    held_all_the_time = (np.array(nearest) < 3).all(0)
    assert held_all_the_time.any() == (kind == "object")


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"object", "pass"}))
def test_no_object_where_none_is_held(kind):
    assert SceneRenderer(1, kind, frames=2).frame(1).object.max() == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_hand_touches_and_dents_the_face(seed):
    scene = SceneRenderer(seed, "handface", frames=48)
    touches = []
    for index in range(0, 48, 4):
        frame = scene.frame(index)
        touches.append(bool((grow(frame.hands, 2) & (frame.face > 128)).any()))
    assert np.mean(touches) > 0.5
    # Distances between face points stay what they are on an undisturbed face, and change where the hand presses.
    pairs = np.array([[36, 4], [45, 12], [48, 4], [54, 12], [30, 48], [30, 54]])
    faces = np.stack([points_of(scene.pose(i), "face")[:, :2] for i in range(48)])
    lengths = np.hypot(*(faces[:, pairs[:, 0]] - faces[:, pairs[:, 1]]).transpose(2, 0, 1))
    assert (np.ptp(lengths, axis=0) / lengths.mean(0)).max() > 0.12


@pytest.mark.parametrize("size", [(96, 512), (512, 96), (97, 131), (256, 256), (320, 240)], ids=str)
def test_any_size_and_aspect(size):
    width, height = size
    for kind in ("walk", "handface", "object"):
        scene = SceneRenderer(11, kind, width, height, 3)
        frame = scene.frame(1, "B")
        assert frame.image.shape == (height, width, 3) and frame.image.dtype == np.uint8
        for mask in (frame.character, frame.object, frame.hands, frame.face):
            assert mask.shape == (height, width) and mask.dtype == np.uint8
        assert frame.depth.shape == (height, width)
        assert scene.reference().shape == (height, width, 3)
        assert (frame.character > 128).mean() > 0.02


def test_reference_stands_upright_and_fills_the_picture():
    for seed in range(5):
        scene = SceneRenderer(seed, "dance", 128, 160, 1)
        body = points_of(scene.reference_pose(), "pose")
        assert (body[:, 2] == 1).all()
        nose, ankles = body[0], body[[10, 13]]
        assert 0.65 * 160 < ankles[:, 1].min() - nose[1] < 0.85 * 160
        assert abs(body[1, 0] - 64) < 8
        assert body[4, 0] < body[2, 0] and body[7, 0] > body[5, 0]  # hands outside the shoulders
        assert (scene.reference("A") != scene.reference("B")).any()


def test_render_scene_collects_the_frames():
    seen = []
    scene = render_scene(HELD_OUT_SEED + 4, "pass", 3, 104, 96, progress=seen.append)
    single = SceneRenderer(HELD_OUT_SEED + 4, "pass", 104, 96, 3)
    assert seen == [1, 1, 1]
    assert (scene.driving[2] == single.frame(2, "A").image).all()
    assert (scene.target[2] == single.frame(2, "B").image).all()
    assert (scene.target_character[2] == single.frame(2, "B").character).all()
    assert scene.pose[1] == single.pose(1) and scene.meta["held_out"] and scene.depth.shape == (3, 96, 104)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"kind": "swim"}, "'swim'"),
        ({"seed": -1}, "-1"),
        ({"seed": 1.5}, "1.5"),
        ({"width": 95}, "95"),
        ({"height": 513}, "513"),
        ({"height": 128.0}, "128.0"),
        ({"frames": 0}, "0"),
    ],
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises(InputError) as caught:
        SceneRenderer(**{"seed": 0, **arguments})
    assert named in str(caught.value) and "use" in str(caught.value) and "\n" not in str(caught.value)


def test_bad_frame_and_identity_are_named():
    scene = SceneRenderer(0, frames=2)
    for call in (
        lambda: scene.frame(2),
        lambda: scene.pose(-1),
        lambda: scene.frame(0, "C"),
        lambda: scene.reference(""),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize(("kind", "seed"), [("walk", 900_001), ("object", 900_003), ("reach", 900_002)])
def test_the_place_is_what_the_frame_shows_away_from_the_character(kind, seed):
    renderer = SceneRenderer(seed, kind, 128, 128, 6)
    for index in (0, 5):
        frame, place = renderer.frame(index), renderer.place(index)
        rows, columns = np.nonzero(np.maximum(frame.character, frame.object))
        away = np.ones((128, 128), bool)
        away[max(0, rows.min() - 8) : rows.max() + 20, max(0, columns.min() - 16) : columns.max() + 16] = (
            False  # shadow
        )
        assert away.any() and np.array_equal(place[away], frame.image[away])
        assert not np.array_equal(place, frame.image)
    with pytest.raises(InputError, match="frame is 6"):
        renderer.place(6)
