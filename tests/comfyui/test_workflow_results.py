"""What the example workflows make in a real ComfyUI, against the scene's truth and the command line.

`first-animation` and `ksampler` are in `test_pack.py`.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from inhabit.media import read_video, to_float, write_lossless
from inhabit.perception import face_crops, hand_face_regions, render_skeleton, shape_agnostic_mask
from inhabit.scenes import Scene, render_scene
from PIL import Image, ImageFilter

from .prompts import (
    by_command_line,
    inputs_of,
    largest_gap,
    number_of,
    pictures,
    psnr,
    sampling_options,
    small,
    videos,
    workflow,
)
from .scripts import run_script
from .server import ComfyServer

REPLACE = "replace-the-sample-with-your-video"
TONE, RATE, FPS = 440, 44100, 12  # hertz, samples a second, frames a second: of a video that somebody brings


def test_the_primitives_give_what_the_command_line_gives(comfyui: ComfyServer, tmp_path: Path):
    prompt = small(workflow("custom-sampler-primitives"))
    inputs_of(prompt, "InhabitShiftedSNR")["gamma"] = 0.5
    made, history = pictures(comfyui, prompt, {"raw": (number_of(prompt, "VAEDecode"), 0)})
    options = sampling_options(prompt, "InhabitContextWindows") + sampling_options(prompt, "InhabitReferenceNoise")
    options += sampling_options(prompt, "InhabitAnimationGuider") + sampling_options(prompt, "InhabitTrailingSigmas")
    assert len(options) == 10, options
    expected = by_command_line(tmp_path, prompt, *options, "--gamma", 0.5, "--reference-noise", "--no-paste-back")
    assert largest_gap(made["raw"], expected) <= 1
    plain = by_command_line(tmp_path / "plain", prompt, *options, "--no-paste-back")
    assert largest_gap(made["raw"], plain) > 5, "the shift is seen"
    [video] = videos(comfyui, history).values()
    assert read_video(video).fps == 24 and psnr(read_video(video).frames, expected) > 25


@pytest.mark.parametrize("how", ["windows", "clips"])
def test_a_long_video_is_that_of_the_command_line(comfyui: ComfyServer, tmp_path: Path, how: str):
    prompt = small(workflow(f"long-video-{how}"), frames=11)
    made, history = pictures(comfyui, prompt, {"pasted": (number_of(prompt, "InhabitPasteBack"), 0)})
    options = sampling_options(prompt)
    assert options[-2:] == ["--long-video", how]
    assert largest_gap(made["pasted"], by_command_line(tmp_path, prompt, *options)) <= 1
    [video] = videos(comfyui, history).values()
    assert read_video(video).frames.shape == (11, 96, 96, 3)


def test_the_long_videos_are_long_and_alike():
    one, other = workflow("long-video-windows"), workflow("long-video-clips")
    assert inputs_of(one, "InhabitSampleScene")["frames"] >= 96
    for prompt in (one, other):
        inputs_of(prompt, "InhabitWindowedSampler").pop("long_video")
        inputs_of(prompt, "SaveVideo").pop("filename_prefix")
    assert one == other


def test_an_object_is_seen_only_with_the_object_node(comfyui: ComfyServer):
    prompt = small(workflow("object-interaction"), frames=5)
    made, history = pictures(comfyui, prompt, {"panels": (number_of(prompt, "Without | with | truth"), 0)})
    scene = render_scene(**inputs_of(prompt, "InhabitSampleScene"))
    without, held, truth = (made["panels"][:, :, start : start + 96] for start in (0, 104, 208))
    assert made["panels"].shape == (5, 96, 304, 3) and largest_gap(truth, scene.target) <= 1
    thing = scene.object > 127
    assert psnr(held, scene.target, thing) > psnr(without, scene.target, thing) + 2
    assert psnr(held, scene.target, ~thing) == pytest.approx(psnr(without, scene.target, ~thing), abs=1)
    [video] = videos(comfyui, history).values()
    assert psnr(read_video(video).frames, made["panels"]) > 25


def test_the_streams_of_masks_only_are_those_of_the_scene(comfyui: ComfyServer):
    prompt = workflow("masks-only")
    regions = {"regions": (number_of(prompt, "Hands | face | contact"), 0)}
    prompt["blocks"] = {"class_type": "MaskToImage", "inputs": {"mask": [number_of(prompt, "Blocks"), 0]}}
    blocks = {"blocks": ("blocks", 0)}
    made, history = pictures(comfyui, prompt, streams_of(prompt) | regions | blocks)
    size = {"width": 256, "height": 256}
    scene = render_scene(**inputs_of(prompt, "InhabitSampleScene"))
    length, shown = len(scene.driving), made.pop("regions")
    assert length % 4 == 1 and all(side % 16 == 0 for side in scene.driving.shape[1:3])
    assert {name: frames.shape for name, frames in made.items() if frames.shape != (length, 256, 256, 3)} == {
        "face_video": (length, 512, 512, 3),
        "reference_image": (1, *scene.reference.shape),
    }
    mask, character = made["character_mask"][..., 0] == 255, scene.character > 127
    assert set(np.unique(made["character_mask"])) == {0, 255} and mask[character].all() and mask.mean() < 0.8
    cells = mask.reshape(length, 32, 8, 32, 8)
    assert (cells.all(axis=(2, 4)) == cells.any(axis=(2, 4))).all(), "whole cells of 8 pixels"
    covered = made["blocks"][..., 0] == 255
    for number in range(length):
        assert np.array_equal(mask[number], covered[max(0, number - 3) : number + 1].any(axis=0))
        assert covered[number][character[number]].all() and mask[min(number + 3, length - 1)][covered[number]].all()
    background = made["background_video"]
    assert not background[covered].any() and largest_gap(background[~covered], scene.driving[~covered]) == 0
    assert largest_gap(made["pose_video"], to_bytes(render_skeleton(scene.pose, **size))) <= 1
    assert largest_gap(made["face_video"], to_bytes(face_crops(scene.pose, to_float(scene.driving), 512))) <= 1
    found = hand_face_regions(scene.pose, **size, dilation=6)
    panels = np.split(shown[..., 0], [256, 264, 520, 528], axis=2)[::2]
    for panel, region in zip(panels, (found.hands, found.face, found.contact), strict=True):
        assert region.any() and np.array_equal(panel, to_bytes(region))
    saved = {name: read_video(path) for name, path in videos(comfyui, history).items()}
    assert {name: (video.fps, len(video.frames)) for name, video in saved.items()} == dict.fromkeys(
        ["pose_video", "background_video", "character_mask", "face_video", "regions", "mask_preview"], (24, length)
    )
    assert psnr(saved["background_video"].frames, background) > 25


@pytest.fixture(scope="module")
def wan(comfyui: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What core's WanAnimateToVideo makes of the streams, small."""
    prompt = small(workflow("masks-only"), frames=5)
    made, _ = pictures(comfyui, prompt, streams_of(prompt))
    file = tmp_path_factory.mktemp("wan") / "streams.npz"
    np.savez(file, **made | {"character_mask": made["character_mask"][..., 0]})
    return run_script(comfyui.core, "wan_animate.py", file)


def test_wan_animate_takes_the_streams_as_they_are(wan: dict):
    """One cell of the reference, then 1 + 4 frames in two; nothing is scaled on the way to the VAE."""
    assert (wan["latent"], wan["picture"]) == ([1, 16, 3, 12, 12], [1, 16, 3, 12, 12])
    assert wan["mask"] == [1, 4, 3, 12, 12] and wan["face"] == [1, 3, 5, 512, 512]
    assert wan["background"] == wan["pose"] == 0 and wan["background and pose differ"] > 0.1


def test_wan_animate_generates_in_the_mask_cell_by_cell(wan: dict):
    assert 0.1 < wan["generated share"] < 0.9
    assert wan["cells that are all mask"] == wan["cells that touch the mask"] == 0
    assert wan["frames behind the last"] == [1], "core draws what it fills the last cell up with"
    assert wan["0 where the model generates"] == 0, "core's model gets 1 - mask"


def test_hands_are_sharp_and_blurred_as_asked(comfyui: ComfyServer):
    """At the full size: smaller hands are a latent cell."""
    prompt = small(workflow("hand-sharpness"), frames=5, width=128, height=128)
    outputs = {name: (number_of(prompt, f"{name}, decoded"), 0) for name in ("Sharp", "Blurred")}
    made, _ = pictures(comfyui, prompt, outputs | {"panels": (number_of(prompt, "Sharp | blurred"), 0)})
    assert made["panels"].shape == (5, 3 * 128, 2 * 3 * 128 + 8, 3)
    hands = render_scene(**inputs_of(prompt, "InhabitSampleScene")).hands > 127
    assert contrast(made["Sharp"], hands) > 1.05 * contrast(made["Blurred"], hands)


def contrast(frames: np.ndarray, region: np.ndarray) -> float:
    """Return the variance of the Laplacian over the region, HIA's measure of sharpness (eq. 3)."""
    greys = frames.astype(float).mean(axis=-1)
    edges = sum(np.roll(greys, shift, axis) for axis in (1, 2) for shift in (-1, 1)) - 4 * greys
    return float(edges[region].var())


def test_the_lora_takes_the_colours(comfyui: ComfyServer, tmp_path: Path):
    prompt = small(workflow("lora"), frames=5)
    made, _ = pictures(comfyui, prompt, {"panels": (number_of(prompt, "Without | with"), 0)})
    without, changed = (made["panels"][:, :, start : start + 96] for start in (0, 104))
    options = sampling_options(prompt)
    assert largest_gap(without, by_command_line(tmp_path, prompt, *options, "--no-paste-back")) <= 1
    assert colour(changed) < colour(without) / 3
    scene = render_scene(**inputs_of(prompt, "InhabitSampleScene"))
    grey = np.repeat(scene.target.mean(axis=-1, keepdims=True), 3, axis=-1)
    assert psnr(changed, grey) > psnr(without, grey) + 1, "a grey picture of the same"


def colour(frames: np.ndarray) -> float:
    """Return how far the channels of a pixel lie apart, in the mean."""
    return float((frames.max(axis=-1).astype(float) - frames.min(axis=-1)).mean())


def test_the_stand_in_of_your_video_runs(comfyui: ComfyServer):
    prompt = small(workflow(REPLACE))
    check_replaced(comfyui, prompt, render_scene(**inputs_of(prompt, "InhabitSampleScene")), fps=24)


@pytest.mark.parametrize(("name", "side"), [(REPLACE, 96), ("animate-in-one-node", 96), ("animate-in-one-node", 160)])
def test_your_video_keeps_size_pixels_rate_and_sound(comfyui: ComfyServer, tmp_path: Path, name: str, side: int):
    """As a person does it: add two nodes that load files, drag two links.

    What is packed into one node takes a video that is larger or smaller than what the model works at.
    """
    prompt = small(workflow(name), width=side, height=side)
    scene = load_own_files(comfyui, prompt, tmp_path)
    inputs_of(prompt, "GetVideoComponents")["video"] = ["my video", 0]
    inputs_of(prompt, "InhabitReference")["image"] = ["my picture", 0]
    video = check_replaced(comfyui, prompt, scene, fps=FPS)
    assert loudest_pitch(video) == pytest.approx(TONE, abs=5)


def load_own_files(comfyui: ComfyServer, prompt: dict, folder: Path) -> Scene:
    """Upload the scene's driving video with a tone, and its reference, and add the nodes that load them."""
    scene = render_scene(**inputs_of(prompt, "InhabitSampleScene"))
    write_tone(folder / "tone.m4a", len(scene.driving) / FPS)
    write_lossless(folder / "mine.mkv", scene.driving, FPS, sound_of=folder / "tone.m4a")
    Image.fromarray(scene.reference).save(folder / "me.png")
    video, picture = comfyui.upload(folder / "mine.mkv"), comfyui.upload(folder / "me.png")
    prompt["my video"] = {"class_type": "LoadVideo", "inputs": {"file": video}}
    prompt["my picture"] = {"class_type": "LoadImage", "inputs": {"image": picture}}
    return scene


def check_replaced(comfyui: ComfyServer, prompt: dict, scene, fps: int) -> Path:
    """Run the workflow, check its pictures against the scene's, and return the video."""
    outputs = {"result": (number_of(prompt, "InhabitPasteBack"), 0)}
    outputs["frames"] = (number_of(prompt, "GetVideoComponents"), 0)
    made, history = pictures(comfyui, prompt, outputs)
    result, character = made["result"], scene.character > 127
    assert largest_gap(made["frames"], scene.driving) <= 2, "newer cores read a lossless RGB video by way of YUV"
    reach = Image.fromarray(shape_agnostic_mask(to_float(scene.character)).amax(dim=0).numpy() > 0.5)
    margin = scene.driving.shape[1] // 8 + 5  # what paste back adds: an eighth of the side, and 4 to fade
    far = ~np.asarray(reach.convert("L").filter(ImageFilter.MaxFilter(2 * margin + 1)), bool)
    assert far.mean() > 0.1 and (result == made["frames"])[:, far].all(), "there are the video's own pixels"
    assert psnr(result, scene.target, character) > psnr(scene.driving, scene.target, character) + 2
    [video] = videos(comfyui, history).values()
    saved = read_video(video)
    assert saved.fps == fps and psnr(saved.frames, result) > 25
    return video


def streams_of(prompt: dict) -> dict[str, tuple[str, int]]:
    """Return what goes into WanAnimateToVideo: its input → node and output of masks-only."""
    titles = {"pose_video": "InhabitSkeletonRenderer", "background_video": "Character blanked"}
    titles |= {"character_mask": "Character mask", "reference_image": "InhabitSampleScene"}
    streams = {name: (number_of(prompt, title), 0) for name, title in titles.items()}
    return streams | {"face_video": (number_of(prompt, "InhabitHandFaceRegions"), 3)}


def write_tone(path: Path, seconds: float) -> None:
    """Write a tone as AAC, the sound of most videos."""
    samples = 0.5 * np.sin(np.arange(round(RATE * seconds)) / RATE * TONE * 2 * np.pi, dtype=np.float32)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode()]:
            file.mux(packet)


def loudest_pitch(path: Path) -> float:
    """Return the frequency of the video's sound, in hertz. Raises IndexError where there is none."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(stream)]).astype(float)
        return float(np.abs(np.fft.rfft(sound)).argmax() * stream.sample_rate / len(sound))


def to_bytes(values) -> np.ndarray:
    return (values.numpy() * 255).round().astype(np.uint8)
