"""`inhabit animate` from files to a file, with a tiny model of random weights."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from inhabit.media import read_pose, read_video, write_lossless, write_pose, write_video
from inhabit.models import PRESETS
from inhabit.perception import draw_skeleton
from inhabit.pipeline.inputs import InputFiles, load_inputs
from inhabit.pipeline.resume import SUFFIX
from inhabit.weights import load
from safetensors.torch import save_file

from ..media.sound import sound_packets, video_with_sound
from .conftest import figure_with_a_hand

FRAMES, HEIGHT, WIDTH = 3, 64, 48


def frames_of(path) -> np.ndarray:
    return read_video(path).frames


def skeleton_video(path, width=WIDTH, height=HEIGHT, frames=FRAMES) -> None:
    write_video(path, draw_skeleton(read_pose(path.parent / "pose.json")[:1] * frames, width, height), 30)


def test_scene_folder_needs_no_further_options(animate, clip):
    code, error = animate()
    assert code == 0, error
    assert [path.name for path in clip.out.iterdir()] == ["result.mkv"]
    result, driving = frames_of(clip.out / "result.mkv"), frames_of(clip.folder / "driving.mp4")
    assert result.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert np.array_equal(result[:, :8], driving[:, :8])  # far from the mask: the driving video's own pixels
    assert not np.array_equal(result[:, 28:40, 20:28], driving[:, 28:40, 20:28])


def test_same_seed_same_video_other_seed_another(animate, clip):
    videos = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert animate(out=clip.out / f"{name}.mkv", seed=seed)[0] == 0
        videos.append(frames_of(clip.out / f"{name}.mkv"))
    assert np.array_equal(videos[0], videos[1]) and not np.array_equal(videos[0], videos[2])


def test_gamma_shifts_and_auto_leaves_small_pictures_alone(animate, clip):
    videos = []
    for name, gamma in (("a", None), ("b", "auto"), ("c", 0.1)):
        given = {} if gamma is None else {"gamma": gamma}
        assert animate(out=clip.out / f"{name}.mkv", steps=2, **given)[0] == 0
        videos.append(frames_of(clip.out / f"{name}.mkv"))
    assert np.array_equal(videos[0], videos[1]) and not np.array_equal(videos[0], videos[2])


def test_reference_noise_is_next_to_nothing_with_zero_terminal_snr(animate, clip):
    videos = []
    for name, given in (("a", {}), ("b", {"reference_noise": True})):
        assert animate(out=clip.out / f"{name}.mkv", **given)[0] == 0
        videos.append(frames_of(clip.out / f"{name}.mkv").astype(int))
    assert np.abs(videos[0] - videos[1]).max() <= 1


def test_hand_sharpness_reaches_models_that_read_it_and_others_say_so(animate, clip, blurring, caplog):
    write_pose(clip.folder / "pose.json", [figure_with_a_hand(24 + 2 * frame) for frame in range(FRAMES)])
    videos = {}
    for name, text in (("untold", None), ("measured", "measured"), ("sharp", "left sharp"), ("blurred", "left 0.1")):
        code, error = animate(model=blurring, out=clip.out / f"{name}.mkv", hand_sharpness=text, no_paste_back=True)
        assert code == 0, error
        videos[name] = frames_of(clip.out / f"{name}.mkv")
    kinds = list(videos.values())
    assert all((one != other).any() for index, one in enumerate(kinds) for other in kinds[:index])
    assert animate(hand_sharpness="left sharp")[0] == 0 and "reads no motion-blur maps" in caplog.text


def test_hand_sharpness_that_cannot_be_read_or_used(animate, clip):
    for text, wanted in (("left crisp", "'left crisp' is not understood"), ("left 3", "is not understood")):
        code, error = animate(hand_sharpness=text)
        assert code == 2 and wanted in error and error.count("\n") == 1 and not any(clip.out.iterdir())
    skeleton_video(clip.folder / "skeleton.mp4")
    code, error = animate(hand_sharpness="measured", pose=clip.folder / "skeleton.mp4")
    assert code == 2 and "--hand-sharpness needs keypoints, and" in error and "give --pose a JSON file" in error


def test_hand_sharpness_is_measured_in_a_driving_video(animate, clip):
    code, error = animate(hand_sharpness="measured", driving=None, pose=clip.folder / "pose.json", size="48x64")
    assert code == 2 and "--hand-sharpness measured needs --driving" in error and error.count("\n") == 1


def test_without_paste_back_everything_is_drawn(animate, clip):
    assert animate(no_paste_back=True)[0] == 0
    result, driving = frames_of(clip.out / "result.mkv"), frames_of(clip.folder / "driving.mp4")
    assert not np.array_equal(result[:, :8], driving[:, :8])


def test_size_brings_every_input_along(animate, clip):
    assert animate(size="24x32")[0] == 0
    assert frames_of(clip.out / "result.mkv").shape == (FRAMES, 32, 24, 3)


def test_mp4_is_written_too(animate, clip):
    assert animate(out=clip.out / "result.mp4")[0] == 0
    assert frames_of(clip.out / "result.mp4").shape == (FRAMES, HEIGHT, WIDTH, 3)


def test_the_driving_videos_rate_and_sound_are_carried_over(animate, clip, tmp_path):
    tone, driving = video_with_sound(tmp_path / "tone.mp4", seconds=0.5), tmp_path / "driving.mp4"
    write_video(driving, read_video(clip.folder / "driving.mp4").frames, 12.5, sound_of=tone)
    assert animate(driving=driving, pose=clip.folder / "pose.json", mask=clip.folder / "mask.mkv")[0] == 0
    result = clip.out / "result.mkv"
    assert read_video(result).fps == pytest.approx(12.5)
    assert [data for _, data in sound_packets(result)] == [data for _, data in sound_packets(tone)] != []


@pytest.mark.parametrize("way", ["windows", "clips"])
def test_windows_and_clips_cover_all_frames(animate, clip, way):
    assert animate(long_video=way, window=2, overlap=1)[0] == 0
    assert len(frames_of(clip.out / "result.mkv")) == FRAMES


def test_skeleton_video_replaces_the_pose_file(animate, clip):
    """A larger skeleton video of the same shape drives as the JSON does; depth belongs to the JSON and stays out."""
    skeleton_video(clip.folder / "skeleton.mp4", WIDTH * 4, HEIGHT * 4)
    assert animate(pose=clip.folder / "skeleton.mp4")[0] == 0
    assert len(frames_of(clip.out / "result.mkv")) == FRAMES


def test_skeleton_alone_performs_in_an_empty_studio(animate, clip):
    skeleton_video(clip.folder / "skeleton.mp4", 4 * WIDTH, 4 * HEIGHT, frames=5)
    code, error = animate(driving=None, pose=clip.folder / "skeleton.mp4", size="48x64")
    assert code == 0, error
    video = read_video(clip.out / "result.mkv")
    assert (video.frames.shape, video.fps) == ((5, HEIGHT, WIDTH, 3), 30.0)
    assert np.array_equal(video.frames[0, :8], video.frames[4, :8])  # the studio's wall stands still


def test_studio_takes_the_size_a_model_works_at(animate, clip):
    """Portrait stays portrait, the short side becomes 512 unless the model is known to be smaller."""
    skeleton_video(clip.folder / "skeleton.mp4", 96, 128, frames=1)
    files = InputFiles(clip.folder / "reference.png", pose=clip.folder / "skeleton.mp4")
    assert load_inputs(files, PRESETS["puppets"]).conditions.size == (168, 128)
    assert load_inputs(files, PRESETS["sd15"]).conditions.size == (680, 512)


def test_mask_given_is_covered_by_blocks(clip):
    inside = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    inside[:, 24:44, 16:32] = cv2.circle(np.zeros((20, 16), np.uint8), (8, 10), 7, 255, -1)
    write_lossless(clip.folder / "round.mkv", inside, 24)
    files = InputFiles(clip.folder / "reference.png", clip.folder / "driving.mp4", mask=clip.folder / "round.mkv")
    mask = load_inputs(files, PRESETS["puppets"]).conditions.mask.numpy()
    assert (mask >= (inside > 127)).all() and mask.sum() > (inside > 127).sum()
    assert np.isin(mask, (0, 1)).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_stops_half_way_leaves_what_resume_goes_on_from_and_nothing_else(animate, clip, monkeypatch, error):
    written = []

    def encode_some(container, *rest):
        written.append(Path(container.name))
        written[0].write_bytes(b"half")
        raise error

    monkeypatch.setattr("inhabit.media.encoding._mux", encode_some)
    if error is KeyboardInterrupt:
        assert animate()[0] == 130
    else:
        with pytest.raises(error):
            animate()
    assert len(written) == 1 and [path.name for path in clip.out.iterdir()] == [f"result.mkv{SUFFIX}"]


def test_studio_mask_surrounds_the_skeleton(clip):
    skeleton_video(clip.folder / "skeleton.mp4", 512, 768, frames=2)
    files = InputFiles(clip.folder / "reference.png", pose=clip.folder / "skeleton.mp4", size=(128, 192))
    conditions = load_inputs(files, PRESETS["puppets"]).conditions
    skeleton = conditions.skeleton.amax(-1) > 0.1
    assert conditions.driving.shape == (2, 192, 128, 3)
    assert (conditions.mask[skeleton] == 1).all()
    rows, columns = skeleton[0].any(1).nonzero(), skeleton[0].any(0).nonzero()
    top, left, margin = int(rows[0]), int(columns[0]), 0.05 * (int(rows[-1] - rows[0]) + 1)
    assert conditions.mask[0, top - int(margin) : top].any(1).all()  # as far up as the margin, and not much further
    assert not conditions.mask[0, : top - int(margin) - 2].any()
    assert not conditions.mask[0, :, : left - int(margin) - 2].any()


@pytest.mark.parametrize("given", [":0.5", ""])
def test_a_lora_changes_the_result_by_its_strength(clip, animate, checkpoint, given):
    """A LoRA of rank 1 whose file has a colon in its name: with a strength, without one, and at a strength of 0."""
    lora, layer = clip.folder / "a:b.safetensors", "time_embedding.linear_2"
    outputs, inputs = load(checkpoint).denoiser.get_submodule(layer).weight.shape
    pair = {f"{layer}.lora_up.weight": torch.ones(outputs, 1), f"{layer}.lora_down.weight": torch.ones(1, inputs)}
    save_file(pair, lora)
    for name, option in {"plain": None, "none": f"{lora}:0", "changed": f"{lora}{given}"}.items():
        assert animate(out=clip.out / f"{name}.mkv", no_paste_back=True, lora=option)[0] == 0
    plain, none, changed = (frames_of(clip.out / f"{name}.mkv") for name in ("plain", "none", "changed"))
    assert np.array_equal(plain, none) and not np.array_equal(plain, changed)


def test_a_file_that_is_no_lora_is_refused(animate, checkpoint):
    for lora, told in ((checkpoint, "not a LoRA"), ("gone.safetensors:0.5", "gone.safetensors")):
        code, error = animate(lora=lora)
        assert code == 2 and told in error and error.count("\n") == 1
