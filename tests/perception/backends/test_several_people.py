"""Several people in one picture, made of rendered scenes whose truth is exact: one of them is followed."""

import numpy as np
import pytest
from inhabit.media import parse_poses
from inhabit.perception.backends import MediaPipePose, PersonInFrame
from inhabit.perception.follow import Choice, Follower
from inhabit.scenes import Scene, render_scene

REASON = MediaPipePose().available()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SIDE, FRAMES = 384, 8


@pytest.fixture(scope="module")
def pair() -> tuple[Scene, Scene]:
    left, right = (render_scene(seed, "walk", FRAMES, SIDE, SIDE) for seed in (900_001, 900_002))
    return left, right


def error(person: PersonInFrame, scene: Scene, frame: int, shift: float) -> float:
    """Mean distance of the body's points to the truth, in its heights."""
    [[truth]] = parse_poses(scene.pose[frame : frame + 1], SIDE, SIDE)
    both = (truth.body[:, 2] > 0) & (person.pose.body[:, 2] > 0)
    apart = np.linalg.norm(truth.body[both, :2] + (shift, 0) - person.pose.body[both, :2], axis=1)
    return apart.mean() / np.ptp(truth.body[truth.body[:, 2] > 0, 1])


@pytest.mark.parametrize(
    ("choice", "right"), [(Choice(1), False), (Choice(2), True), (Choice(point=(0.75, 0.5)), True)]
)
def test_the_chosen_one_of_two_is_found_and_the_other_is_in_no_mask(pair, choice, right):
    both = np.concatenate([scene.driving for scene in pair], axis=2)
    follow = Follower(choice)
    found = list(MediaPipePose("full").estimate(both, follow))
    assert follow.most == 2
    for frame, person in enumerate(found):
        assert error(person, pair[right], frame, SIDE * right) < 0.06
        halves = np.split(person.mask > 0.5, 2, axis=1)
        assert halves[not right].sum() < 0.02 * halves[right].sum()


def test_someone_who_walks_through_the_picture_is_not_followed(pair):
    """A second person, cut out exactly, crosses in front of the first."""
    first, second = pair
    crossed, hidden = [], []
    for frame in range(FRAMES):
        shift = round((frame / (FRAMES - 1) - 0.5) * 2 * SIDE)
        picture, mask = (np.roll(values[frame], shift, axis=1) for values in (second.driving, second.character > 127))
        edge = slice(None, max(shift, 0)) if shift > 0 else slice(SIDE + shift, None)
        mask[:, edge] = False
        crossed.append(np.where(mask[..., None], picture, first.driving[frame]))
        own = first.character[frame] > 127
        hidden.append((own & mask).sum() / own.sum())
    x = float(np.mean(np.nonzero(first.character[0] > 127)[1])) / SIDE
    found = list(MediaPipePose("full").estimate(np.stack(crossed), Follower(Choice(point=(x, 0.5)))))
    for frame, person in enumerate(found):
        if hidden[frame] < 0.2 and person.pose is not None:
            assert error(person, first, frame, 0) < 0.08
    assert sum(person.pose is not None for person in found) >= FRAMES - 2
