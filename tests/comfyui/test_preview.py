"""The animated preview: over the websocket, and on the node in ComfyUI's own frontend."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from PIL import Image

from . import browser
from .browser import LOOKS, NODES_2, frontend, plain
from .listener import PREVIEW, Heard, animation, listen
from .prompts import SMALL, inputs_of, small, workflow
from .server import ComfyServer, failure

SAMPLERS = ("InhabitWindowedSampler", "KSampler", "SamplerCustomAdvanced")
STEPS = SMALL["steps"]
PICTURE = "img[src^='data:image/webp']"
FIX_SEEDS = """() => inhabitApp.graph.nodes.flatMap(node => node.widgets ?? [])
    .filter(widget => widget.name === 'control_after_generate').forEach(widget => { widget.value = 'fixed'; })"""
RUN = "() => inhabitApp.queuePrompt(0)"
ENDED = """() => { window.inhabitEnded = false;
    inhabitApp.api.addEventListener('execution_success', () => { window.inhabitEnded = true; }); }"""
WIDGETS = """() => inhabitApp.graph.nodes
    .filter(node => node.widgets?.some(widget => widget.name === 'inhabit_preview'))
    .map(node => node.type)"""
CENTRE = """() => inhabitApp.canvas.centerOnNode(
    inhabitApp.graph.nodes.find(node => node.type === 'InhabitWindowedSampler'))"""
SWITCH = "on => inhabitApp.extensionManager.setting.set('Inhabit.AnimatedPreview', on)"
SEND = "data => inhabitApp.api.dispatchCustomEvent('inhabit.preview', data)"


def sampling_with(kind: str, long_video: str = "windows") -> dict:
    """Return the small workflow with the node `kind` as its sampler."""
    prompt = small(workflow("ksampler" if kind == "KSampler" else "first-animation"))
    if kind == "SamplerCustomAdvanced":
        number = sampler_of(prompt, "InhabitWindowedSampler")
        given = prompt[number]["inputs"]
        sides = {key: given[key] for key in ("positive", "negative")}
        windows = {"model": given["model"], "length": 5, "overlap": 2, "random_offset": True}
        parts = {
            "windows": ("InhabitContextWindows", windows),
            "guider": ("InhabitAnimationGuider", {"model": ["windows", 0], **sides, "cfg": 1.0}),
            "noise": ("RandomNoise", {"noise_seed": 1}),
            "euler": ("KSamplerSelect", {"sampler_name": "euler"}),
            "sigmas": ("InhabitTrailingSigmas", {"model": given["model"], "steps": STEPS}),
        }
        names = {"noise": "noise", "guider": "guider", "sampler": "euler", "sigmas": "sigmas"}
        inputs = {key: [name, 0] for key, name in names.items()} | {"latent_image": given["latent"]}
        prompt |= {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in parts.items()}
        prompt[number] = {"class_type": kind, "inputs": inputs}
    elif kind == "InhabitWindowedSampler":
        inputs_of(prompt, kind)["long_video"] = long_video
    decode = next(number for number, node in prompt.items() if node["class_type"] == "VAEDecode")
    saved = {"images": [decode, 0], "filename_prefix": f"preview-{kind}-{long_video}"}
    return prompt | {"exact": {"class_type": "SaveImage", "inputs": saved}}


def sampler_of(prompt: dict, kind: str) -> str:
    return next(number for number, node in prompt.items() if node["class_type"] == kind)


def decoded(server: ComfyServer, heard: Heard) -> np.ndarray:
    """Return the frames that SaveImage wrote, (F, H, W, 3), uint8."""
    history = server.get(f"/history/{heard.of('execution_success')[0]['prompt_id']}")
    [entry] = history.values()
    pictures = [path for path in server.files(entry) if path.suffix == ".png"]
    return np.stack([np.asarray(Image.open(path)) for path in pictures])


@pytest.mark.parametrize("kind", SAMPLERS)
def test_the_whole_video_is_shown_on_the_sampler(comfyui: ComfyServer, kind: str):
    prompt = sampling_with(kind)
    heard = listen(comfyui, prompt)
    previews = heard.of(PREVIEW)
    assert previews and not [name for name, _ in heard.elsewhere if name == PREVIEW]
    assert {preview["node"] for preview in previews} == {sampler_of(prompt, kind)}
    assert all(preview["frames"] == SMALL["frames"] for preview in previews)
    shown, video = animation(previews[-1]), decoded(comfyui, heard)
    assert shown.frames.shape == (7, 24, 24, 3), "one pixel a latent cell"
    assert abs(shown.seconds - 7 / 24) < 1e-3
    coarse = video.reshape(7, 24, 4, 24, 4, 3).mean(axis=(2, 4))
    apart = [np.abs(frame - coarse).mean(axis=(1, 2, 3)) for frame in shown.frames.astype(float)]
    assert max(apart[number][number] for number in range(7)) < 25, np.round(apart, 1)
    assert np.corrcoef(shown.frames.ravel(), coarse.ravel())[0, 1] > 0.9


def test_clips_grow(comfyui: ComfyServer):
    """Clips of frames 0…4 and 2…6: finished frames stay, the current ones follow."""
    heard = listen(comfyui, sampling_with("InhabitWindowedSampler", "clips"))
    previews = heard.of(PREVIEW)
    lengths = [preview["frames"] for preview in previews]
    assert lengths == sorted(lengths) and (lengths[0], lengths[-1]) == (5, 7)
    shown = [animation(preview) for preview in previews]
    assert [len(each.frames) for each in shown] == lengths
    coarse = decoded(comfyui, heard).reshape(7, 24, 4, 24, 4, 3).mean(axis=(2, 4))
    assert np.abs(shown[-1].frames - coarse).mean(axis=(1, 2, 3)).max() < 25


def test_nobody_is_sent_anything_where_nobody_listens(comfyui: ComfyServer):
    """A service that only asks `/prompt`; the log would have the error of a broken preview."""
    assert failure(comfyui.run(sampling_with("InhabitWindowedSampler", "clips"))) is None


@pytest.mark.parametrize("long_video", ["windows", "clips"])
def test_the_bar_of_the_node_never_goes_back(comfyui: ComfyServer, long_video: str):
    prompt = sampling_with("InhabitWindowedSampler", long_video)
    inputs_of(prompt, "InhabitWindowedSampler")["sampler"] = "heun"  # two passes a step
    node = sampler_of(prompt, "InhabitWindowedSampler")
    bar = [data for data in listen(comfyui, prompt).of("progress") if data["node"] == node]
    values = [data["value"] for data in bar]
    assert {data["max"] for data in bar} == {2 * STEPS if long_video == "clips" else STEPS}
    assert values == sorted(values) and values[-1] == bar[-1]["max"]
    whole = all(value == int(value) for value in values)
    assert whole == (long_video == "clips"), "the windows of a step are counted, too"


@pytest.mark.parametrize("look", LOOKS)
def test_the_frontend_shows_it_and_saves_nothing_of_it(comfyui: ComfyServer, look: str):
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with frontend(comfyui, look) as page:
        if look == NODES_2 and not page.has_nodes_2():
            pytest.skip(f"the frontend of ComfyUI {comfyui.core.version} has no Nodes 2.0")
        prompt = sampling_with("InhabitWindowedSampler", "clips")
        seed = 77 + LOOKS.index(look)  # not what ComfyUI has in its cache
        inputs_of(prompt, "InhabitWindowedSampler")["seed"] = seed
        page.load_api(prompt, "preview")
        page.page.evaluate(FIX_SEEDS)
        page.page.evaluate(CENTRE)
        before = page.prompt()
        page.page.evaluate(ENDED)
        page.page.evaluate(RUN)
        page.page.wait_for_selector(PICTURE)
        page.page.wait_for_function("() => window.inhabitEnded")
        [(width, height)] = page.page.eval_on_selector_all(
            PICTURE, "images => images.map(image => [image.naturalWidth, image.naturalHeight])"
        )
        assert (width, height) == (24, 24)
        assert page.page.evaluate(WIDGETS) == ["InhabitWindowedSampler"]
        after = page.prompt()
        assert without_players(after["output"]) == without_players(before["output"])
        assert contents(after["workflow"]) == contents(before["workflow"])
        for unknown in ("12:34", "gone", ""):
            page.page.evaluate(SEND, {"node": unknown, "display_node": unknown, "type": "KSampler", "webp": ""})
        other = next(key for key, node in before["output"].items() if node["class_type"] == "InhabitModelLoader")
        page.page.evaluate(SEND, {"node": other, "display_node": other, "type": "KSampler", "webp": ""})
        assert page.page.evaluate(WIDGETS) == ["InhabitWindowedSampler"], "another workflow's node of this id"
        page.page.evaluate(SWITCH, False)
        assert page.page.evaluate(WIDGETS) == [] and page.page.query_selector(PICTURE) is None
        assert contents(page.prompt()["workflow"]) == contents(before["workflow"])
        page.page.evaluate(SWITCH, True)


def without_players(prompt: dict) -> dict:
    """Return what decides the result: newer frontends' own player on Save Video is an input, too, once it shows."""
    nodes = plain(prompt)
    for node in nodes.values():
        node["inputs"].pop("video-preview", None)
    return nodes


def contents(workflow: dict) -> list[dict]:
    """Return the nodes of a workflow in UI format as they are saved, but for sizes: a node grows with its preview."""
    nodes = copy.deepcopy(workflow["nodes"])
    for node in nodes:
        node.pop("size")
    return nodes
