import json
import os
import shutil
import signal
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.media import write_lossless
from inhabit.media.pose import parse_poses
from inhabit.perception import measure_hand_blur
from inhabit.scenes import SceneRenderer, render_scene
from inhabit.scenes.files import FILES, write_scene
from inhabit.training import data
from inhabit.training.data import batches, choose_frames, read, to_device

from .conftest import steps_of

PLAIN = ["stages.0.augmentation={flip: 0, scale: 0, inference_blocks: 1}"]


def _equal(first, second):
    first, second = (to_device(batch, torch.device("cpu")) for batch in (first, second))
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_batch_is_a_function_of_seed_rank_and_step(tiny):
    recipe = tiny()
    backwards = steps_of(recipe)
    later = [backwards[step] for step in (4, 1)]
    forwards = steps_of(recipe)
    first, fourth = forwards[1], forwards[4]
    assert _equal(later[1], first) and _equal(later[0], fourth)
    assert not torch.equal(steps_of(recipe, rank=1)[1].target_BFHWC, first.target_BFHWC)
    assert not torch.equal(steps_of(tiny("seed=1"))[1].target_BFHWC, first.target_BFHWC)
    with pytest.raises(IndexError):
        forwards[6]


def test_worker_processes_change_nothing_and_leave_ctrl_c_to_the_trainer(tiny):
    inside = list(batches(steps_of(tiny("workers=0")), start=3))
    workers = iter(batches(steps_of(tiny("workers=1")), start=3))
    outside = [next(workers)]
    os.kill(workers._workers[0].pid, signal.SIGINT)
    outside += workers
    assert len(inside) == len(outside) == 3
    assert all(_equal(a, b) for a, b in zip(inside, outside, strict=True))


def test_layout_and_ranges(tiny):
    tensors = to_device(steps_of(tiny())[4], torch.device("cpu"))  # temporal: 1 clip of 4 frames
    assert tensors["target_BFHWC"].shape == (1, 4, 96, 96, 3)
    assert tensors["reference_BHWC"].shape == (1, 96, 96, 3)
    for name, values in tensors.items():
        assert values.dtype == torch.float32 and 0 <= values.min() and values.max() <= 1, name
    assert tensors["target_BFHWC"].max() > 0.3
    assert ((tensors["mask_BFHW"] == 0) | (tensors["mask_BFHW"] == 1)).all()


def test_conditions_are_those_of_the_driving_character(tiny):
    batch = to_device(steps_of(tiny(*PLAIN, "data.cross_identity=0"))[0], torch.device("cpu"))
    assert torch.equal(batch["target_BFHWC"], batch["driving_BFHWC"])
    assert batch["character_BFHW"].amax(dim=(2, 3)).min() > 0.9
    assert (batch["mask_BFHW"][batch["character_BFHW"] > 0.11] == 1).all()  # the blocks cover the character
    off_skeleton = batch["skeleton_BFHWC"].amax(-1) == 0
    assert (batch["depth_BFHW"][off_skeleton] == 0).all() and batch["depth_BFHW"].max() > 0.2
    # the skeleton lies on the character
    on = batch["skeleton_BFHWC"].amax(-1) > 0.5
    assert batch["mask_BFHW"][on].mean() > 0.8


def test_blur_maps_lie_on_the_hands_and_tell_how_sharp_the_target_is(tiny):
    changes = ["stages.0={name: a, kind: spatial, steps: 6, clips: 2, frames: 3}", "data.kinds=[fasthands]"]
    sharpness = []
    for shutter, blurred in (("[0, 0]", 0), ("[1, 1]", 0), ("[0, 0]", 1)):
        augmented = f"stages.0.augmentation={{flip: 0, scale: 0, blur_hands: {blurred}, blur_range: [2, 2]}}"
        batch = to_device(steps_of(tiny(*changes, f"data.shutter={shutter}", augmented))[1], torch.device("cpu"))
        maps, hands = batch["blur_BFHWC"], batch["hands_BFHW"] > 0.5
        on = maps[..., 2] > 0
        assert (maps[..., :2][~on] == 0.5).all() and on.any(dim=(2, 3)).all()
        assert (on & hands).sum() > 0.5 * on.sum()
        sharpness.append(float(maps[..., 2][on].mean()))
    assert sharpness[0] > sharpness[1] + 0.03 > sharpness[2] + 0.06, "at rest, moving, out of focus"
    assert (maps[..., 2][on] > 0).all()
    moving = (maps[..., :2] - 0.5).abs().amax(dim=(2, 3, 4))
    assert (moving > 0.02).any(), "frames that do not follow each other know their movement"


def test_the_first_frame_moves_as_at_inference():
    scene = SceneRenderer(3, "fasthands", 96, 96, 4)
    given = [scene.pose(index) for index in range(4)]
    poses, before = parse_poses(given, 96, 96), data.poses_before(scene.pose, 4, [0, 2], 96, 96)
    expected = measure_hand_blur(poses, 96, 96).movement[[0, 2]]
    found = measure_hand_blur([poses[0], poses[2]], 96, 96, before=before).movement
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4)
    [alone] = data.poses_before(scene.pose, 1, [0], 96, 96)
    assert (alone[0].left_hand == poses[0][0].left_hand).all(), "nothing is known of a single frame's movement"


def test_cross_identity_targets_are_the_exact_rendering_of_the_other_character(tiny, monkeypatch):
    made = []

    class Recorded(SceneRenderer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append((self, []))

        def frame(self, index, identity="A"):
            made[-1][1].append((index, identity))
            return super().frame(index, identity)

    batches_of_two = steps_of(tiny(*PLAIN, "data.cross_identity=1"))
    monkeypatch.setattr(data, "SceneRenderer", Recorded)
    batch = batches_of_two[0]
    drawn = [(scene, sorted({index for index, identity in frames if identity == "B"})) for scene, frames in made]
    for clip, (scene, indices) in enumerate(drawn):
        assert len(indices) == 2
        for place, index in enumerate(indices):
            np.testing.assert_array_equal(batch.target_BFHWC[clip, place], scene.frame(index, "B").image)
            hidden = batch.mask_BFHW[clip, place] > 0
            driving = batch.driving_BFHWC[clip, place]
            np.testing.assert_array_equal(driving[hidden], scene.frame(index, "A").image[hidden.numpy()])
            np.testing.assert_array_equal(driving[~hidden], batch.target_BFHWC[clip, place][~hidden])
        np.testing.assert_array_equal(batch.reference_BHWC[clip], scene.reference("B"))


def test_held_out_seeds_are_never_rendered(tiny, monkeypatch):
    seeds = []
    batches_of_one = steps_of(tiny("stages.0.clips=1", "stages.0.steps=12", "stages.0.frames=1"))
    monkeypatch.setattr(data, "SceneRenderer", lambda seed, *rest: seeds.append(seed) or SceneRenderer(seed, *rest))
    for step in range(12):
        batches_of_one[step]
    assert len(set(seeds)) == 12 and 0 <= min(seeds) and max(seeds) < 900_000
    assert max(seeds) - min(seeds) > 300_000


def test_choose_frames():
    rng = np.random.default_rng(0)
    for _ in range(50):
        loose, tight = choose_frames(rng, 9, 4, False), choose_frames(rng, 9, 4, True)
        assert len(set(loose)) == 4 and loose == sorted(loose) and 0 <= loose[0] and loose[-1] < 9
        assert tight == list(range(tight[0], tight[0] + 4)) and tight[-1] < 9
    assert choose_frames(rng, 3, 3, True) == choose_frames(rng, 3, 3, False) == [0, 1, 2]


def test_pictures_for_the_autoencoder_are_crops_of_the_scene(tiny, monkeypatch):
    whole = cv2.resize(np.arange(96, dtype=np.uint8)[:, None].repeat(3, 1).reshape(96, 1, 3).repeat(96, 1), (96, 96))
    original = data.RenderedScenes.clip

    def painted(self, rng, frames, consecutive):
        clip = original(self, rng, frames, consecutive)
        return clip.__class__(**{**vars(clip), "target": np.stack([whole] * frames), "reference": whole})

    monkeypatch.setattr(data.RenderedScenes, "clip", painted)
    stage = "stages=[{name: a, kind: autoencoder, steps: 2, clips: 2, frames: 3, pictures: {crop: 32}}]"
    pictures = steps_of(tiny(stage))[1].pictures_BHWC
    assert pictures.shape == (6, 32, 32, 3)
    rows = pictures[:, :, 0, 0].int()
    assert (rows.diff(dim=1) == 1).all() and len(set(rows[:, 0].tolist())) > 1


def test_crops_on_the_character_have_it_in_their_middle(tiny, monkeypatch):
    original = data.RenderedScenes.clip

    def marked(self, rng, frames, consecutive):
        clip = original(self, rng, frames, consecutive)
        return clip.__class__(**{**vars(clip), "target": clip.target_character[..., None].repeat(3, -1)})

    def middles(share: float) -> np.ndarray:
        options = f"pictures: {{crop: 16, on_character: {share}}}"
        stage = f"{{name: a, kind: autoencoder, steps: 6, clips: 4, frames: 3, {options}}}"
        pictures = np.concatenate([step.pictures_BHWC for step in steps_of(tiny(f"stages=[{stage}]"))])
        frames_alone = pictures.reshape(-1, 3, 16, 16, 3)[:, :2].reshape(-1, 16, 16, 3)
        return (frames_alone[:, 7:9, 7:9, 0] > 127).any(axis=(1, 2))  # a mirrored crop's middle is a pixel further left

    monkeypatch.setattr(data.RenderedScenes, "clip", marked)
    assert middles(1.0).mean() > 0.9  # at the picture's border the middle is elsewhere
    assert middles(0.0).mean() < 0.5


def test_clips_from_scene_folders(tiny, tmp_path):
    folders = f"data.folder={tmp_path}"
    with pytest.raises(InputError, match="no scene"):
        steps_of(tiny(folders))
    scene = render_scene(3, "object", frames=6, width=96, height=96)
    write_scene(scene, tmp_path / "a")
    batch = steps_of(tiny(*PLAIN, folders, "data.cross_identity=1"))[0]
    for clip in range(2):
        np.testing.assert_array_equal(batch.reference_BHWC[clip], scene.reference)
        for picture, mask in zip(batch.target_BFHWC[clip], batch.character_BFHW[clip], strict=True):
            errors = np.abs(scene.target.astype(float) - picture.numpy()).mean(axis=(1, 2, 3))
            index = errors.argmin()
            assert errors[index] < 3  # H.264
            np.testing.assert_array_equal(mask, scene.target_character[index])
    own = steps_of(tiny(*PLAIN, folders, "data.cross_identity=0"))[0]
    assert torch.equal(own.target_BFHWC, own.driving_BFHWC)
    with pytest.raises(InputError, match="128x96"):
        steps_of(tiny(folders, "data.width=128"))
    with pytest.raises(InputError, match="6 frames"):
        steps_of(tiny(folders, "stages.0.frames=7"))


SHOWN = {"frames": 8, "width": 96, "height": 96}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not readable JSON"),
        ("[1]", "does not tell frames, width and height"),
        ("{}", "does not tell frames, width and height"),
        (b"\xff\xfe", "is not readable JSON"),
        (SHOWN | {"frames": "8"}, 'frames is "8"; write a whole number from 1'),
        (SHOWN | {"frames": -8}, "frames is -8; write"),
        (SHOWN | {"frames": 0}, "frames is 0; write"),
        (SHOWN | {"frames": None}, "frames is null; write"),
        (SHOWN | {"frames": 8.5}, "frames is 8.5; write"),
        (SHOWN | {"frames": True}, "frames is true; write"),
        (SHOWN | {"width": "96"}, 'width is "96"; write'),
        (SHOWN | {"height": [96]}, r"height is \[96\]; write"),
        (SHOWN | {"seed": "900001"}, 'seed is "900001"; write'),
        (SHOWN | {"seed": 900_001}, "has the held-out seed 900001"),
    ],
)
def test_a_meta_file_that_says_something_else_is_one_line(tiny, tmp_path, content, told):
    content = json.dumps(content) if isinstance(content, dict) else content
    (tmp_path / "meta.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in FILES:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=told) as error:
        steps_of(tiny(f"data.folder={tmp_path}"))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.fixture
def scenes(tmp_path):
    """Five scene folders of the same scene, which a test may break."""
    write_scene(render_scene(3, "object", frames=4, width=96, height=96), tmp_path / "s0")
    for number in range(1, 5):
        shutil.copytree(tmp_path / "s0", tmp_path / f"s{number}")
    return tmp_path


def cut_short(folder):
    (folder / "mask.mkv").write_bytes((folder / "mask.mkv").read_bytes()[:2000])


BREAKS = {
    "mask cut short": cut_short,
    "no driving video": lambda folder: (folder / "driving.mp4").unlink(),
    "text for a picture": lambda folder: (folder / "reference.png").write_text("picture"),
    "no pose": lambda folder: (folder / "pose.json").write_text("[]"),
    "wrong pose": lambda folder: (folder / "pose.json").write_text(
        json.dumps([{"people": [{"pose_keypoints_2d": [1, 2]}]}] * 4)
    ),
    "meta": lambda folder: (folder / "meta.json").write_text('{"frames": "4", "width": 96, "height": 96}'),
    "empty mask": lambda folder: write_lossless(folder / "mask.mkv", np.zeros((4, 96, 96), np.uint8), 24),
    "other size": lambda folder: write_lossless(folder / "depth.mkv", np.zeros((4, 64, 96), np.float32), 24),
}
OF_FOLDERS = "stages=[{name: a, kind: spatial, steps: 4, clips: 3, frames: 2}]"


@pytest.mark.parametrize("broken", BREAKS)
def test_one_broken_scene_is_named_and_left_out(tiny, scenes, broken, caplog):
    recipe = tiny(OF_FOLDERS, f"data.folder={scenes}", "data.cross_identity=0.5")
    whole = [steps_of(recipe)[step] for step in range(4)]
    folder = scenes / f"s{np.random.default_rng([0, 0, 0, 0]).integers(5)}"  # the first that is drawn
    BREAKS[broken](folder)
    with caplog.at_level("WARNING"):
        steps = steps_of(recipe)
        forwards = [steps[step] for step in range(4)]
    told = [record.getMessage() for record in caplog.records if record.name == "inhabit.training.data"]
    assert len(told) == 1 and told[0].startswith(f"the scene {folder} is left out: ") and "\n" not in told[0]
    later = steps_of(recipe)
    for step in (3, 1, 0, 2):  # in any order, as after a resume: the same clips, of the scenes that are whole
        assert _equal(later[step], forwards[step])
        assert _equal(forwards[step], whole[step]), "all scenes are the same one"


def test_a_scene_that_breaks_later_changes_no_other_step(tiny, scenes):
    for number in range(1, 5):
        write_scene(render_scene(number, "object", frames=4, width=96, height=96), scenes / f"s{number}")
    recipe = tiny("stages=[{name: a, kind: spatial, steps: 8, clips: 1, frames: 2}]", f"data.folder={scenes}")
    drawn = [int(np.random.default_rng([0, 0, step, 0]).integers(5)) for step in range(8)]
    before = [steps_of(recipe)[step] for step in range(8)]
    cut_short(scenes / f"s{drawn[3]}")
    found_when_drawn = steps_of(recipe)
    after = [found_when_drawn[step] for step in range(8)]
    (scenes / f"s{drawn[3]}" / "driving.mp4").unlink()
    found_at_the_start = steps_of(recipe)
    assert all(_equal(after[step], found_at_the_start[step]) for step in range(8))
    changed = [step for step in range(8) if not _equal(before[step], after[step])]
    assert changed == [step for step in range(8) if drawn[step] == drawn[3]]


def test_a_scene_is_not_left_out_where_the_system_fails(tiny, scenes, monkeypatch, caplog):
    """Too many open files: what could be read a moment later is no broken scene, or the step would have other clips."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    recipe = tiny(OF_FOLDERS, f"data.folder={scenes}")
    expected = steps_of(recipe)[0]
    steps = steps_of(recipe)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(InputError, match="s[0-4] cannot be read now, .*Too many open files.*--resume") as error:
            steps[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "\n" not in str(error.value) and not steps.source.broken and not caplog.records
    assert _equal(steps[0], expected)

    def fails(folder):
        raise PermissionError(13, "Permission denied", str(folder / "meta.json"))

    monkeypatch.setattr(data, "read_meta", fails)
    with pytest.raises(InputError, match="s0 cannot be read now, .*Permission denied: .*meta.json"):
        steps_of(recipe)


def test_scenes_that_are_all_broken_are_refused(tiny, scenes):
    for folder in scenes.iterdir():
        cut_short(folder)
    with pytest.raises(InputError, match="none of the 5 scenes in .* can be read; the first: .*s0") as error:
        steps_of(tiny(OF_FOLDERS, f"data.folder={scenes}"))[0]
    assert "\n" not in str(error.value)
    for folder in scenes.iterdir():
        (folder / "meta.json").write_text("")
    with pytest.raises(InputError, match="none of the 5 scenes in .* can be read; the first: .*meta.json"):
        steps_of(tiny(OF_FOLDERS, f"data.folder={scenes}"))


def test_the_reference_is_cut_from_a_frame_that_shows_the_character(tiny, tmp_path):
    """Own footage: the character enters in the last frame alone, or never."""
    scene = render_scene(3, "walk", frames=6, width=96, height=96)
    character = scene.character.copy()
    character[:-1] = 0
    write_scene(replace(scene, character=character), tmp_path / "a")
    own = "data.cross_identity=0"
    steps = steps_of(tiny(*PLAIN, f"data.folder={tmp_path}", own))
    assert all(steps[step].reference_BHWC.float().std() > 5 for step in range(4))
    write_scene(replace(scene, character=np.zeros_like(character)), tmp_path / "a")
    for workers in (0, 1):
        recipe = tiny(*PLAIN, f"data.folder={tmp_path}", own, f"workers={workers}")
        with pytest.raises(InputError) as caught:
            list(read(batches(steps_of(recipe), start=0)))
        mask = tmp_path / "a" / "mask.mkv"
        assert str(caught.value) == f"{mask} shows the character in none of its 6 frames: mark it white there"


def test_held_out_folders_are_refused(tiny, tmp_path):
    write_scene(render_scene(900_001, "walk", frames=4, width=96, height=96), tmp_path / "a")
    with pytest.raises(InputError, match="900001"):
        steps_of(tiny(f"data.folder={tmp_path}"))


@pytest.mark.parametrize("wrong", ["data.kinds=[swim]", "data.width=32"])
def test_scenes_that_cannot_be_rendered_are_refused_at_once(tiny, wrong):
    with pytest.raises(InputError):
        steps_of(tiny(wrong))
