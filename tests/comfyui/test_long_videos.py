"""Videos of more than 300 frames in ComfyUI, and what stays of a run that was interrupted in the middle."""

from __future__ import annotations

import json

import pytest
from inhabit.media import read_video

from .cores import Core
from .listener import PREVIEW, animation, listen
from .scripts import run_script
from .server import ROOT, ComfyServer, failure

FRAMES, SIZE = 320, 96
WAYS = ("windows", "clips")
SAMPLERS = (*WAYS, "KSampler", "SamplerCustomAdvanced")
MADE = {"callback", "noise", "reference", "run", "motion"}
MADE |= {f"inhabit_{key}" for key in ("reference", "skeleton", "depth", "blur", "environment", "mask", "objects")}
SPARE = 100 * 2**20  # bytes by which the server's memory may differ between equal runs


@pytest.fixture(scope="module")
def report(core: Core, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_script(core, "long_videos.py", tmp_path_factory.mktemp("long"))


@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_of_an_interrupted_run_stays(report: dict, name: str):
    """References, features of the motion, conditions, noise and previews; model and conditioning are still held."""
    found = report["interrupts"][name]
    assert found["interrupted"] and {made.split()[0] for made in found["made"]} == MADE
    assert found["left"] == [] and found["options"] == []


@pytest.mark.parametrize("name", WAYS)
def test_the_interrupt_was_in_the_middle(report: dict, name: str):
    """The network was called once more at most, and not for the whole of 64 frames."""
    found = report["interrupts"][name]
    assert found["runs"] == (2 if name == "clips" else 1) and found["passes"] <= 4


@pytest.mark.parametrize("name", WAYS)
def test_a_long_video_needs_more_memory_for_latents_alone(report: dict, name: str):
    found = report[f"memory, {name}"]
    assert found["lengths"] == [[16], [16]], "one window, however long the video"
    assert found["long"] - found["short"] <= 16 * found["latents"]


@pytest.mark.parametrize("long_video", WAYS)
def test_320_frames_through_prompt(comfyui: ComfyServer, long_video: str):
    prompt = first_workflow(long_video)
    before = comfyui.log.read_bytes().count(b"\n")
    heard = listen(comfyui, prompt)
    [ended] = heard.of("execution_success")
    history = comfyui.get(f"/history/{ended['prompt_id']}")[ended["prompt_id"]]
    [video] = [path for path in comfyui.files(history) if path.suffix == ".mp4"]
    decoded = read_video(video)
    assert decoded.frames.shape == (FRAMES, SIZE, SIZE, 3) and decoded.fps == 24
    last = heard.of(PREVIEW)[-1]
    shown = animation(last)
    assert last["frames"] == FRAMES and shown.frames.shape == (64, SIZE // 4, SIZE // 4, 3)
    assert abs(shown.seconds - FRAMES / 24) < 1e-3
    assert comfyui.log.read_bytes().count(b"\n") - before < 20, "one bar for all clips, and no line a clip"


@pytest.mark.parametrize("long_video", WAYS)
def test_an_interrupt_in_the_middle_leaves_queue_and_memory_free(comfyui: ComfyServer, long_video: str):
    """In the second window, or in the second clip; three times, so that a leak would add up."""
    import psutil  # of ComfyUI's requirements

    prompt, sizes = first_workflow(long_video), []
    node = next(number for number, node in prompt.items() if node["class_type"] == "InhabitWindowedSampler")

    def one_is_done(event: str, data: dict) -> bool:
        return event == "progress" and data["node"] == node

    for seed in (1, 2, 3):
        prompt[node]["inputs"]["seed"] = seed  # not what ComfyUI has in its cache
        heard = listen(comfyui, prompt, until=one_is_done)
        bar = [data for data in heard.of("progress") if data["node"] == node]
        assert heard.of("execution_interrupted") and bar[-1]["value"] <= 0.2 * bar[-1]["max"], bar[-1]
        sizes.append(psutil.Process(comfyui.process.pid).memory_info().rss)
    assert sizes[-1] - sizes[0] < SPARE, sizes
    assert failure(comfyui.run(first_workflow(long_video, frames=8))) is None, comfyui.log_tail()


def first_workflow(long_video: str, frames: int = FRAMES) -> dict:
    """Return the first workflow with small frames and one step, in API format."""
    prompt = json.loads((ROOT / "workflows" / "api" / "first-animation.json").read_text())
    settings = {"width": SIZE, "height": SIZE, "frames": frames, "length": 16, "overlap": 2, "steps": 1, "cfg": 1.0}
    settings["long_video"] = long_video
    for node in prompt.values():
        node["inputs"] |= {key: value for key, value in settings.items() if key in node["inputs"]}
    return prompt
