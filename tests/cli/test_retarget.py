"""`inhabit animate --retarget`: the reference's pose, given, beside it, or found; what is drawn; what cannot work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.media import parse_poses, read_image, read_mask, read_pose, write_image, write_lossless, write_pose
from inhabit.models import PRESETS
from inhabit.perception import draw_skeleton, shape_agnostic_mask
from inhabit.perception.backends import MediaPipePose
from inhabit.perception.retarget import retarget
from inhabit.pipeline.inputs import InputFiles, load_inputs
from inhabit.pipeline.retargeting import pose_of_picture
from inhabit.scenes import HELD_OUT_SEED, SceneRenderer, read_scene, render_scene, write_scene

REASON = MediaPipePose().available()
needs_weights = pytest.mark.skipif(REASON is not None, reason=str(REASON))
SEED, FRAMES, SIZE = HELD_OUT_SEED + 2, 4, 128


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    return write_scene(render_scene(SEED, "object", FRAMES, SIZE, SIZE), tmp_path_factory.mktemp("clip") / "scene")


def conditions(scene: Path, **changes):
    given = {"reference": scene / "reference.png", "driving": scene / "driving.mp4", "retarget": True}
    return load_inputs(InputFiles(**given | changes), PRESETS["puppets"]).conditions


def test_a_scene_folder_holds_the_references_pose(scene):
    written = read_pose(scene / "reference_pose.json")
    assert written == [SceneRenderer(SEED, "object", SIZE, SIZE, FRAMES).reference_pose()]
    assert read_scene(scene).reference_pose == written[0]


def test_a_folder_without_it_is_still_a_scene(scene, tmp_path):
    older = shutil.copytree(scene, tmp_path / "older")
    (older / "reference_pose.json").unlink()
    assert read_scene(older).reference_pose is None


def test_skeletons_have_the_references_bones_and_hands_keep_the_object(scene, caplog):
    caplog.set_level("INFO")
    drawn = conditions(scene).skeleton
    [[reference]] = parse_poses(read_pose(scene / "reference_pose.json"), SIZE, SIZE)
    people = retarget(
        parse_poses(read_pose(scene / "pose.json"), SIZE, SIZE), reference, read_mask(scene / "object.mkv")
    )
    wanted = draw_skeleton(people, SIZE, SIZE)
    assert np.array_equal((drawn.numpy() * 255).round().astype(np.uint8), wanted)
    assert (drawn != conditions(scene, retarget=False).skeleton).any()
    assert (
        f"using {scene / 'reference_pose.json'}" in caplog.text and "retargeted to the reference's body" in caplog.text
    )


def test_the_mask_has_room_for_the_new_body(scene):
    plain, wider = conditions(scene, retarget=False).mask, conditions(scene).mask
    assert torch.equal(plain, shape_agnostic_mask(read_mask(scene / "mask.mkv")))
    drawn = conditions(scene).skeleton.amax(dim=-1) > 0.1
    assert (wider[drawn] == 1).float().mean() > 0.999 and (wider >= 0).all()
    assert wider.sum() >= plain.sum()


def test_a_pose_that_is_given_goes_before_the_one_beside_the_reference(scene, tmp_path):
    pose = read_pose(scene / "reference_pose.json")
    person = pose[0]["people"][0]
    body = np.reshape(person["pose_keypoints_2d"], (-1, 3))
    body[[9, 10, 12, 13], 1] += 12  # longer legs
    write_pose(tmp_path / "own.json", [{**pose[0], "people": [{**person, "pose_keypoints_2d": body.ravel().tolist()}]}])
    assert (conditions(scene, reference_pose=tmp_path / "own.json").skeleton != conditions(scene).skeleton).any()


def test_the_pose_of_another_reference_is_not_taken(scene, tmp_path):
    """Somebody's own picture beside a scene's files is not what reference_pose.json tells of."""
    folder = shutil.copytree(scene, tmp_path / "scene")
    write_image(folder / "mine.png", np.full((64, 64, 3), 127, np.uint8))
    with pytest.raises(InputError, match=r"mine\.png"):
        conditions(folder, reference=folder / "mine.png")


@needs_weights
def test_the_pose_is_found_in_the_picture():
    """At 512 px, and from a picture of 256: within 4 % of the height."""
    for size in (512, 256):
        renderer = SceneRenderer(SEED, "dance", size, size, 1)
        picture = torch.from_numpy(renderer.reference()[None] / np.float32(255))
        found = pose_of_picture(picture, "the reference").body
        truth = parse_poses([renderer.reference_pose()], 512, 512)[0][0].body
        both = (found[:, 2] > 0) & (truth[:, 2] > 0)
        assert both[1:14].sum() >= 12
        assert np.linalg.norm((found - truth)[both, :2], axis=1).mean() < 0.04 * 0.85 * 512


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda folder: {"reference_pose": folder / "pose.json"}, r"pose\.json has 4 frames: give the one of"),
        (lambda folder: {"reference_pose": folder / "nobody.json"}, r"nobody\.json shows nobody: give the pose of"),
        (lambda folder: {"reference_pose": folder / "gone.json"}, r"gone\.json does not exist"),
        (lambda folder: {"reference_pose": folder / "pose.json", "retarget": False}, "says nothing without --retarget"),
        (lambda folder: {"pose": folder / "drawn.mkv"}, "--retarget needs keypoints, and .* drawn skeletons"),
    ],
)
def test_what_cannot_be_used_is_one_line(scene, tmp_path, change, wanted):
    folder = shutil.copytree(scene, tmp_path / "scene")
    (folder / "nobody.json").write_text(json.dumps([{"people": []}]))
    drawn = draw_skeleton(parse_poses(read_pose(scene / "pose.json"), SIZE, SIZE), SIZE, SIZE)
    write_lossless(folder / "drawn.mkv", drawn, 24)
    with pytest.raises(InputError, match=wanted) as refused:
        conditions(folder, **change(folder))
    assert "\n" not in str(refused.value)


@needs_weights
def test_a_picture_of_nobody_names_every_way_out(animate, clip):
    """The clip's reference is noise."""
    assert read_image(clip.folder / "reference.png").std() > 0.2
    code, error = animate(retarget=True)
    assert code == 2 and error.count("\n") == 1 and "finds nobody in the reference" in error
    assert "--reference-pose" in error and "leave out --retarget" in error and not any(clip.out.iterdir())
