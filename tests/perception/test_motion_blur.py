"""Hand movement, sharpness and their maps, on poses whose movement is known and pictures blurred on purpose."""

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.media.pose import PARTS, Pose
from inhabit.perception import blur_maps, measure_hand_blur, override_sharpness
from torch.nn import functional

SIDE = 96


def people(frames: int, left=(1.5, -0.5), right=(0.0, 2.0), missing: tuple[int, ...] = ()) -> list[list[Pose]]:
    """A square of 21 points for each hand; each moves by its step; the right hand is missing in some frames."""
    square = np.stack(np.meshgrid(np.linspace(0, 16, 5), np.linspace(0, 16, 5)), axis=-1).reshape(-1, 2)[:21]
    clip = []
    for frame in range(frames):
        parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
        for part, start, step in (("left_hand", (10, 20), left), ("right_hand", (60, 20), right)):
            if part == "right_hand" and frame in missing:
                continue
            parts[part][:, :2] = square + start + frame * np.array(step)
            parts[part][:, 2] = 1
        clip.append([Pose(**parts)])
    return clip


def noise(frames: int) -> torch.Tensor:
    return torch.rand(frames, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))


def softened(driving: torch.Tensor, frames: list[int]) -> torch.Tensor:
    result = driving.clone()
    for frame in frames:
        picture = driving[frame].movedim(-1, 0).unsqueeze(0)
        result[frame] = functional.avg_pool2d(picture, 5, stride=1, padding=2)[0].movedim(0, -1)
    return result


def test_movement_is_the_step_of_the_points_and_starts_with_the_next():
    blur = measure_hand_blur(people(5, missing=(0, 3)), SIDE, SIDE)
    assert np.allclose(blur.movement[:, 0], (1.5, -0.5), atol=1e-5)
    expected = np.array([(0, 0), (0, 2), (0, 2), (0, 0), (0, 0)])  # after a gap there is nothing to compare with
    assert np.allclose(blur.movement[:, 1], expected, atol=1e-5)
    assert np.array_equal(blur.sharpness, np.array([[0.5, 0], [0.5, 0.5], [0.5, 0.5], [0.5, 0], [0.5, 0.5]]))


def test_sharpness_is_the_variance_of_the_laplacian_relative_to_an_ordinary_hand():
    driving = softened(noise(5), [2])
    blur = measure_hand_blur(people(5, (0, 0), (0, 0)), SIDE, SIDE, driving)
    grey = (driving * 255).round() @ torch.tensor([0.299, 0.587, 0.114])
    crops = grey.round()[:, 16:40, 6:30]  # the hand's box of 16 pixels and a quarter around it
    padded = functional.pad(crops.unsqueeze(1), (1, 1, 1, 1), mode="reflect")
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    variance = functional.conv2d(padded, kernel).flatten(1).var(dim=1, unbiased=False)
    assert np.allclose(blur.sharpness[:, 0], (variance / (variance + 3200)).numpy(), rtol=0.03)
    assert blur.sharpness[2].max() < 0.2 < 0.8 < blur.sharpness[[0, 1, 3, 4]].min()
    softer = measure_hand_blur(people(5, (0, 0), (0, 0)), SIDE, SIDE, softened(noise(5), [0, 1, 2, 3, 4]))
    assert softer.sharpness.max() < 0.2, "a clip that is blurred as a whole says so"


def test_frames_apart_bring_their_movement_and_the_typical_sharpness_along():
    clip, driving = people(6), noise(6)
    together = measure_hand_blur(clip, SIDE, SIDE, driving)
    chosen = [1, 3, 5]
    apart = measure_hand_blur(
        [clip[i] for i in chosen], SIDE, SIDE, driving[chosen], before=[clip[i - 1] for i in chosen], typical=250.0
    )
    assert np.allclose(apart.movement, together.movement[chosen], atol=1e-5)
    variance = apart.sharpness / (1 - apart.sharpness) * 250  # the same for every typical one
    other = measure_hand_blur([clip[i] for i in chosen], SIDE, SIDE, driving[chosen], before=[[]] * 3, typical=9.0)
    assert np.allclose(other.sharpness, variance / (variance + 9), rtol=1e-5) and not other.movement.any()


def test_maps_are_painted_over_the_hands_alone():
    blur = measure_hand_blur(people(3, left=(4.8, -2.4)), SIDE, SIDE)
    maps = blur_maps(blur, SIDE, SIDE)
    assert maps.shape == (3, SIDE, SIDE, 3)
    torch.testing.assert_close(maps[1, 26, 22], torch.tensor([0.75, 0.375, 0.5]))  # half and a quarter of 9.6 pixels
    torch.testing.assert_close(maps[1, 30, 68], torch.tensor([0.5, 0.5 + 0.5 * 2 / 9.6, 0.5]))
    torch.testing.assert_close(maps[1, 80, 80], torch.tensor([0.5, 0.5, 0.0]))
    assert float((maps[..., 2] > 0).float().mean()) == pytest.approx(2 * 17 * 17 / SIDE**2, rel=0.15)
    fast = blur_maps(measure_hand_blur(people(2, left=(30, 0)), SIDE, SIDE), SIDE, SIDE)
    assert float(fast.max()) == 1.0


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("both sharp", [0.9] * 4, [0.9, 0, 0.9, 0.9]),
        ("Left 1-2 Blurred", [0.5, 0.1, 0.1, 0.5], [0.5, 0, 0.5, 0.5]),
        ("right 2- 0.25\nleft 3 1", [0.5, 0.5, 0.5, 1.0], [0.5, 0, 0.25, 0.25]),
        ("both 0.2; left 0-0 sharp", [0.9, 0.2, 0.2, 0.2], [0.2, 0, 0.2, 0.2]),
        ("\n", [0.5] * 4, [0.5, 0, 0.5, 0.5]),
    ],
)
def test_artists_override_hands_and_frames(text, left, right):
    blur = override_sharpness(measure_hand_blur(people(4, missing=(1,)), SIDE, SIDE), text)
    assert np.allclose(blur.sharpness[:, 0], left) and np.allclose(blur.sharpness[:, 1], right)


def test_the_most_blurred_hands_are_told_all_the_same():
    blur = override_sharpness(measure_hand_blur(people(2), SIDE, SIDE), "both 0")
    maps = blur_maps(blur, SIDE, SIDE)
    assert not blur.sharpness.any() and maps[0, 28, 18, 2] * 255 == pytest.approx(1) and maps[0, 80, 80, 2] == 0


@pytest.mark.parametrize("text", ["sharp", "left 2-x sharp", "left 1.5", "both 0-4 crisp", "up 3 sharp", "left 1.2.3"])
def test_requests_that_cannot_be_read_are_named(text):
    with pytest.raises(InputError, match="is not understood: write for example"):
        override_sharpness(measure_hand_blur(people(2), SIDE, SIDE), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left 2-1 sharp", "'left 2-1 sharp' counts frames backwards: write 1-2"),
        ("both blurred; right 1 - 0 0.3", "'right 1 - 0 0.3' counts frames backwards: write 0-1"),
        ("left 4 sharp", "'left 4 sharp' begins after the clip: its frames are 0 to 3"),
        ("left 7-9 sharp", "begins after the clip"),
        ("both 30- blurred", "begins after the clip"),
    ],
)
def test_frames_that_no_clip_can_have_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        override_sharpness(measure_hand_blur(people(4), SIDE, SIDE), text)


def test_frames_may_reach_beyond_the_end():
    blur = override_sharpness(measure_hand_blur(people(4), SIDE, SIDE), "left 2-24 0.25; right 0- 0.5")
    assert np.allclose(blur.sharpness, [[0.5, 0.5]] * 2 + [[0.25, 0.5]] * 2)


def test_a_driving_video_of_another_length_or_size_is_named():
    with pytest.raises(InputError, match="driving video has 3 frames of 96x96, the poses 4 of 96x96"):
        measure_hand_blur(people(4), SIDE, SIDE, noise(3))


def test_nobody_in_the_picture_is_no_error():
    blur = measure_hand_blur([[], []], SIDE, SIDE, noise(2))
    assert not blur.sharpness.any() and not blur.movement.any()
    assert torch.equal(blur_maps(blur, 8, 8), torch.tensor([0.5, 0.5, 0.0]).expand(2, 8, 8, 3))
