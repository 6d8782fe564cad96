"""Depth Anything in a tiny size against transformers' own pipeline of steps; limbs painted from landmarks."""

import numpy as np
import pytest
import torch
from inhabit import fetch
from inhabit.errors import InputError
from inhabit.media.pose import PARTS, Pose
from inhabit.perception.backends import DepthAnything, LandmarkDepth, PersonInFrame
from inhabit.perception.backends.depth_anything import DEPTH_ANYTHING
from inhabit.perception.backends.landmark_depth import painted
from inhabit.perception.skeleton import LIMBS
from inhabit.scenes import render_scene
from inhabit.weights import installed
from safetensors.torch import load_file, save_file
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessor

NO_LANDMARKS = LandmarkDepth().available()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tiny model of the real class, as the user's files, and where it is looked for."""
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path / "models"))
    backbone = Dinov2Config(
        **{"hidden_size": 12, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    sizes = {"reassemble_hidden_size": 12, "neck_hidden_sizes": [4, 8, 8, 8], "fusion_hidden_size": 4}
    network = DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=backbone, **sizes))
    for values in network.head.parameters():
        values.data.abs_()  # else its last ReLU may leave zeros alone
    network.save_pretrained(tmp_path / "given")
    DPTImageProcessor(size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(
        tmp_path / "given"
    )
    return tmp_path / "given"


def test_it_agrees_with_the_librarys_own_steps(folder):
    assert "fetch-weights --what depth-anything-v2 --from" in DepthAnything().available()
    told = fetch.fetch_weights("depth-anything-v2", [folder])
    assert DepthAnything().available() is None and "no hash" in told[-1]
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    found = list(DepthAnything().estimate(frames))
    network, processor = (kind.from_pretrained(folder) for kind in (DepthAnythingForDepthEstimation, DPTImageProcessor))
    given = processor(images=list(frames), return_tensors="pt")
    with torch.no_grad():
        wanted = processor.post_process_depth_estimation(network(**given), [(40, 60)] * 2)
    for depth, truth in zip(found, wanted, strict=True):
        assert depth.shape == (40, 60) and depth.dtype == np.float32 and np.ptp(depth) > 0
        np.testing.assert_allclose(depth, truth["predicted_depth"].numpy(), atol=1e-5)


@pytest.mark.parametrize(("change", "told"), [("missing", "lacks 1 weights"), ("more", "has, unknown to it, 1")])
def test_a_file_of_another_model_is_refused(folder, change, told):
    path = folder / "model.safetensors"
    weights = load_file(path)
    if change == "missing":
        del weights["head.conv3.bias"]
    else:
        weights["head.conv4.bias"] = torch.zeros(1)
    save_file(weights, path, {"format": "pt"})
    fetch.fetch_weights("depth-anything-v2", [folder])
    with pytest.raises(InputError, match=told):
        DepthAnything().estimate([])


def test_what_is_not_given_is_told(folder):
    with pytest.raises(InputError, match="get config.json.*from https://.*--from"):
        fetch.fetch_weights("depth-anything-v2")
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match="lacks config.json"):
        fetch.fetch_weights("depth-anything-v2", [folder])
    assert not DEPTH_ANYTHING.own_folder.exists()
    with pytest.raises(InputError, match="fetch-weights --what depth-anything-v2"):
        DepthAnything().estimate([])


def test_limbs_are_painted_by_their_joints_nearer_ones_over_others():
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    arm = LIMBS[2]  # a crossing of two limbs: one near, one far
    leg = LIMBS[7]
    parts["body"][arm] = [(10, 50, 1), (90, 50, 1)]
    parts["body"][leg] = [(50, 10, 1), (50, 90, 1)]
    z = np.zeros(18, np.float32)
    z[arm], z[leg] = -80, 80
    picture = painted(PersonInFrame(Pose(**parts), np.zeros((100, 100), np.float32), z=z))
    assert picture[50, 50] == picture[50, 15] == pytest.approx(1.0)
    assert picture[15, 50] == pytest.approx(0.1) and picture[0, 0] == 0
    assert painted(PersonInFrame(None, np.zeros((4, 5), np.float32))).shape == (4, 5)


@pytest.mark.skipif(NO_LANDMARKS is not None, reason=str(NO_LANDMARKS))
def test_the_fallback_ranks_joints_of_a_puppet_somewhat():
    scene = render_scene(900_001, "walk", 6, 512, 512)
    truth = scene.depth / 255
    ranks = []
    for depth, exact in zip(LandmarkDepth().estimate(scene.driving), truth, strict=True):
        there = (depth > 0) & (exact > 0)
        order = [values[there].argsort().argsort() for values in (depth, exact)]
        ranks.append(np.corrcoef(*order)[0, 1])
    assert 0.3 < np.mean(ranks) <= 1
