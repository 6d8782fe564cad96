"""The pack inside a real ComfyUI: it loads, has the contract's nodes, and its workflows give what the CLI gives."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from inhabit.media import read_video, to_float
from inhabit.perception import (
    blur_maps,
    feather,
    hand_face_regions,
    mask_preview,
    measure_hand_blur,
    override_sharpness,
    shape_agnostic_mask,
)
from inhabit.pipeline.paste_back import paste_back
from inhabit.scenes import render_scene
from PIL import Image

from .prompts import (
    by_command_line,
    inputs_of,
    largest_gap,
    number_of,
    pictures,
    psnr,
    sampling_options,
    small,
    workflow,
)
from .server import PACK, RUN_SECONDS, ComfyServer, failure

WORKFLOWS = ("first-animation", "ksampler")

# id: (inputs, outputs), which workflows that people have rely on; MASK and IMAGE by name where there are several
CONTRACT = {
    "InhabitModelLoader": (["COMBO"], ["MODEL", "VAE"]),
    "InhabitAssembleModel": (["COMBO", "COMBO", "COMBO"], ["MODEL", "VAE"]),
    "InhabitLoRALoader": (["MODEL", "COMBO", "FLOAT"], ["MODEL"]),
    "InhabitSampleScene": (
        ["COMBO", "INT", "INT", "INT", "INT"],
        ["IMAGE", "IMAGE", "POSE_KEYPOINT", "IMAGE", "MASK", "MASK", "MASK", "MASK", "IMAGE"],
    ),
    "InhabitPoseRetarget": (["POSE_KEYPOINT", "IMAGE", "POSE_KEYPOINT", "MASK"], ["POSE_KEYPOINT"]),
    "InhabitPoseEstimator": (["IMAGE,VIDEO", "COMBO", "STRING", "FLOAT"], ["POSE_KEYPOINT", "IMAGE", "MASK"]),
    "InhabitDepthEstimator": (["IMAGE", "COMBO"], ["IMAGE"]),
    "InhabitObjectLocator": (["IMAGE", "STRING", "COMBO"], ["BOUNDING_BOX", "MASK"]),
    "InhabitSkeletonRenderer": (["POSE_KEYPOINT", "INT", "INT", "IMAGE"], ["IMAGE", "IMAGE"]),
    "InhabitShapeAgnosticMask": (
        ["MASK", "INT", "INT", "INT", "BOOLEAN", "INT", "INT", "INT", "INT", "IMAGE", "INT"],
        ["MASK", "IMAGE"],
    ),
    "InhabitPasteBack": (["IMAGE", "IMAGE", "MASK", "INT", "INT", "IMAGE", "MASK", "MASK"], ["IMAGE"]),
    "InhabitCleanPlate": (["IMAGE", "MASK", "INT"], ["IMAGE", "MASK"]),
    "InhabitHandFaceRegions": (
        ["POSE_KEYPOINT", "INT", "INT", "FLOAT", "IMAGE", "INT"],
        ["MASK", "MASK", "MASK", "IMAGE"],
    ),
    "InhabitMotionBlur": (["POSE_KEYPOINT", "INT", "INT", "STRING", "IMAGE", "MODEL"], ["IMAGE", "FLOAT"]),
    "InhabitReference": (
        ["VAE", "IMAGE", "MODEL", "CLIP_VISION_OUTPUT", "IMAGE"],
        ["CONDITIONING", "CONDITIONING"],
    ),
    "InhabitMotion": (["CONDITIONING", "CONDITIONING", "IMAGE", "IMAGE", "IMAGE"], ["CONDITIONING", "CONDITIONING"]),
    "InhabitEnvironment": (
        ["CONDITIONING", "CONDITIONING", "VAE", "IMAGE", "MASK", "COMBO", "COMBO", "IMAGE", "MASK"],
        ["CONDITIONING", "CONDITIONING", "LATENT"],
    ),
    "InhabitObjects": (
        ["CONDITIONING", "CONDITIONING", "VAE", "IMAGE", "MASK"],
        ["CONDITIONING", "CONDITIONING"],
    ),
    "InhabitContextWindows": (["MODEL", "INT", "INT", "BOOLEAN"], ["MODEL"]),
    "InhabitShiftedSNR": (["MODEL", "FLOAT", "LATENT"], ["MODEL"]),
    "InhabitTrailingSigmas": (["MODEL", "INT"], ["SIGMAS"]),
    "InhabitReferenceNoise": (["MODEL", "LATENT", "INT"], ["NOISE"]),
    "InhabitAnimationGuider": (["MODEL", "CONDITIONING", "CONDITIONING", "FLOAT"], ["GUIDER"]),
    "InhabitWindowedSampler": (
        [
            "MODEL",
            "CONDITIONING",
            "CONDITIONING",
            "LATENT",
            "INT",
            "INT",
            "FLOAT",
            "COMBO",
            "COMBO",
            "INT",
            "INT",
            "COMBO",
        ],
        ["LATENT"],
    ),
    "InhabitCropToPerson": (
        ["IMAGE", "INT", "INT", "FLOAT", "POSE_KEYPOINT", "MASK", "MASK", "IMAGE", "FLOAT"],
        ["IMAGE", "INHABIT_CROP", "POSE_KEYPOINT", "MASK", "MASK", "IMAGE"],
    ),
    "InhabitUncrop": (["IMAGE", "IMAGE", "INHABIT_CROP", "MASK"], ["IMAGE"]),
}


def test_the_pack_loads_without_an_error(comfyui: ComfyServer):
    log = comfyui.log.read_text(errors="replace")
    assert re.search(rf"seconds: .*{PACK}", log), log
    assert not re.search(
        rf"(IMPORT FAILED|Cannot import|Error while calling|Traceback|Unable to parse).*{PACK}", log
    ), log
    assert {"inhabit", "animatediff_models"} <= set(comfyui.get("/models"))


@pytest.mark.parametrize("name", CONTRACT)
def test_a_node_is_that_of_the_contract(comfyui: ComfyServer, name: str):
    info = comfyui.get(f"/object_info/{name}")[name]
    inputs = [spec for group in ("required", "optional") for spec in info["input"].get(group, {}).values()]
    assert ([kind for kind, _ in inputs], info["output"]) == tuple(map(list, CONTRACT[name]))
    assert all(details.get("tooltip") for _, details in inputs), "every input explains itself"
    assert info["category"].startswith("Inhabit") and info["description"]
    assert not set(info["output"]) & set(info["output_name"]), "every output has a name of its own"


def test_the_bundled_model_is_listed_first(comfyui: ComfyServer):
    loader = comfyui.get("/object_info/InhabitModelLoader")["InhabitModelLoader"]
    assert loader["input"]["required"]["checkpoint"][1]["options"][0] == "inhabit-puppets.safetensors"


def test_every_node_of_the_pack_is_in_the_contract(comfyui: ComfyServer):
    assert {name for name in comfyui.get("/object_info") if name.startswith("Inhabit")} == set(CONTRACT)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_gives_what_the_command_line_gives(comfyui: ComfyServer, expected: np.ndarray, name: str):
    prompt = small(workflow(name))
    decode = next(number for number, node in prompt.items() if node["class_type"] == "VAEDecode")
    inputs = {"images": [decode, 0], "filename_prefix": f"exact-{name}"}
    prompt["exact"] = {"class_type": "SaveImage", "inputs": inputs}
    history = comfyui.run(prompt)
    assert failure(history) is None, comfyui.log_tail()
    saved = comfyui.files(history)
    pictures = np.stack([np.asarray(Image.open(path)) for path in saved if path.suffix == ".png"])
    difference = np.abs(pictures.astype(int) - expected)
    assert pictures.shape == expected.shape and difference.max() <= 1  # core truncates to 8 bits, we round
    [video] = [path for path in saved if path.suffix == ".mp4"]
    decoded = read_video(video)
    assert decoded.fps == 24 and decoded.frames.shape == expected.shape
    assert psnr(decoded.frames, expected) > 25, "what is left is H.264 with halved colour"


def test_steps_and_window_left_to_the_model_are_those_of_the_command_line(comfyui: ComfyServer, tmp_path: Path):
    prompt = small(workflow("first-animation"), frames=5, steps=0, length=0)
    made, _ = pictures(comfyui, prompt, {"raw": (number_of(prompt, "VAEDecode"), 0)})
    seed = inputs_of(prompt, "InhabitWindowedSampler")["seed"]
    assert largest_gap(made["raw"], by_command_line(tmp_path, prompt, "--seed", seed, "--no-paste-back")) <= 1


def test_regions_and_blur_maps_are_those_of_the_library(comfyui: ComfyServer):
    size = {"width": 96, "height": 96}
    scene = {"kind": "handface", "seed": 900_005, "frames": 3, **size}
    nodes = {
        "1": ("InhabitSampleScene", scene),
        "2": ("InhabitHandFaceRegions", {"pose": ["1", 2], **size, "dilation": 5.0}),
        "3": ("MaskToImage", {"mask": ["2", 0]}),
        "4": ("SaveImage", {"images": ["3", 0], "filename_prefix": "hands"}),
        "5": (
            "InhabitMotionBlur",
            {"pose": ["1", 2], **size, "driving": ["1", 1], "sharpness_override": "left sharp"},
        ),
        "6": ("SaveImage", {"images": ["5", 0], "filename_prefix": "maps"}),
    }
    history = comfyui.run({key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()})
    assert failure(history) is None, comfyui.log_tail()
    made = {
        name: np.stack(
            [np.asarray(Image.open(path).convert("RGB")) for path in comfyui.files(history) if name in path.name]
        )
        for name in ("hands", "maps")
    }
    rendered = render_scene(**scene)
    hands = hand_face_regions(rendered.pose, 96, 96, 5.0).hands.numpy()
    assert hands.any() and np.array_equal(made["hands"], np.repeat(hands[..., None] * 255, 3, axis=-1))
    blur = override_sharpness(measure_hand_blur(rendered.pose, 96, 96, to_float(rendered.driving)), "left sharp")
    assert np.abs(made["maps"] - blur_maps(blur, 96, 96).numpy() * 255).max() <= 1


def test_masks_previews_and_paste_back_are_those_of_the_library(comfyui: ComfyServer):
    scene = {"kind": "walk", "seed": 900_004, "frames": 4, "width": 96, "height": 96}
    blocks = {"block_px": 12, "blocks_high": 0, "blocks_wide": 0, "stable": True, "snap": 8}
    extra = {"stable_frames": 2, "grow": 3, "feather": 2}
    nodes = {
        "1": ("InhabitSampleScene", scene),
        "2": ("InhabitShapeAgnosticMask", {"mask": ["1", 4], **blocks, **extra, "image": ["1", 1]}),
        "3": ("SaveImage", {"images": ["2", 1], "filename_prefix": "preview"}),
        "4": ("InhabitPasteBack", {"result": ["1", 8], "driving": ["1", 1], "mask": ["2", 0], "feather": 3}),
        "5": ("SaveImage", {"images": ["4", 0], "filename_prefix": "pasted"}),
    }
    history = comfyui.run({key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()})
    assert failure(history) is None, comfyui.log_tail()
    rendered = render_scene(**scene)
    driving, target, character = (to_float(getattr(rendered, name)) for name in ("driving", "target", "character"))
    mask = shape_agnostic_mask(character, block_px=12, stable=True, snap=8, stable_frames=2, grow=3)
    mask = feather(mask, 2)
    for name, wanted in (("preview", mask_preview(mask, driving)), ("pasted", paste_back(target, driving, mask, 3))):
        saved = [np.asarray(Image.open(path)) for path in comfyui.files(history) if name in path.name]
        assert np.abs(np.stack(saved) - wanted.numpy() * 255).max() <= 1, name


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """What `inhabit animate` makes of the workflows' scene, without loss: uint8 (F, H, W, 3)."""
    prompt = small(workflow("first-animation"))
    return by_command_line(tmp_path_factory.mktemp("scene"), prompt, *sampling_options(prompt), "--no-paste-back")


@pytest.mark.parametrize(
    ("node", "name", "value", "message"),
    [
        ("InhabitSkeletonRenderer", "width", 136, "depth is 96x96 but width and height are 136x96"),
        ("InhabitWindowedSampler", "length", 100, "a window of 100 frames"),
        ("InhabitWindowedSampler", "overlap", 5, "an overlap of 5 frames"),
        ("InhabitWindowedSampler", "scheduler", "nonsense", "scheduler is 'nonsense'"),
        ("InhabitSampleScene", "kind", "fly", "kind is 'fly'"),
        ("InhabitSampleScene", "width", 104, "depth is 104x96 but width and height are 96x96"),
        ("InhabitModelLoader", "checkpoint", "gone.safetensors", "gone.safetensors"),
    ],
)
def test_bad_input_is_one_clear_line(comfyui: ComfyServer, node: str, name: str, value: object, message: str):
    prompt = small(workflow("first-animation"))
    inputs_of(prompt, node)[name] = value
    try:
        told = failure(comfyui.run(prompt))
    except AssertionError as refused:  # newer cores know the choices of a list themselves, and run nothing
        assert f"{name}: {value!r} not in" in str(refused).replace("\\'", "'")
        return
    assert told is not None and message in told and "\n" not in told, told


@pytest.mark.parametrize(
    ("node", "name", "wire", "message"),
    [
        ("InhabitEnvironment", "driving", "shorter", "mask has 7 frames but driving has 5; give both as many"),
        ("InhabitMotion", "skeleton", "shorter", "depth has 7 frames but skeleton has 5; give both as many"),
        ("InhabitReference", "image", "shorter", "image has 5 images; give one"),
        ("InhabitPasteBack", "driving", "shorter", "result has 7 frames but driving has 5; give both as many"),
        ("InhabitWindowedSampler", "latent", "empty", "skeleton has 7 frames but the latent has 3; use the LATENT of"),
        ("InhabitWindowedSampler", "positive", "negative", "positive has no reference; connect that of"),
    ],
)
def test_a_wrong_wire_is_one_clear_line(comfyui: ComfyServer, node: str, name: str, wire: str, message: str):
    prompt = small(workflow("first-animation"))
    driving, latent = inputs_of(prompt, "InhabitEnvironment")["driving"], {"width": 192, "height": 192, "batch_size": 3}
    prompt |= {
        "shorter": {"class_type": "ImageFromBatch", "inputs": {"image": driving, "batch_index": 1, "length": 5}},
        "empty": {"class_type": "EmptyLatentImage", "inputs": latent},
    }
    if not any(other["class_type"] == node for other in prompt.values()):
        given = {"driving": driving, "mask": inputs_of(prompt, "InhabitEnvironment")["mask"], "feather": 4}
        prompt["pasted"] = {"class_type": node, "inputs": {"result": driving, **given}}
        prompt["saved"] = {"class_type": "SaveImage", "inputs": {"images": ["pasted", 0], "filename_prefix": "pasted"}}
    inputs = inputs_of(prompt, node)
    inputs[name] = inputs["negative"] if wire == "negative" else [wire, 0]
    told = failure(comfyui.run(prompt))
    assert told is not None and message in told and "\n" not in told, told


def test_an_interrupt_ends_the_sampling(comfyui: ComfyServer):
    prompt = small(workflow("first-animation"))
    inputs_of(prompt, "InhabitWindowedSampler")["steps"] = 1000
    number = comfyui.queue(prompt)
    deadline = time.monotonic() + RUN_SECONDS
    while " 1/1000 [" not in comfyui.log.read_text(errors="replace"):
        assert not comfyui.get(f"/history/{number}"), comfyui.log_tail()
        assert time.monotonic() < deadline, comfyui.log_tail()
        time.sleep(0.2)
    comfyui.post("/interrupt", {})
    events = [name for name, _ in comfyui.wait(number)["status"]["messages"]]
    assert events[-1] == "execution_interrupted"
