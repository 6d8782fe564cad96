"""ViTPose of a tiny size against transformers' own steps; DWPose's decoding against loops over its definition."""

import math

import numpy as np
import pytest
import torch
from inhabit import fetch
from inhabit.errors import InputError
from inhabit.media.pose import PARTS
from inhabit.perception.backends import DWPose, VitPose, dwpose, vitpose
from inhabit.perception.backends.coco_layouts import counted_pose, openpose_parts
from inhabit.perception.backends.top_down import silhouette
from inhabit.weights import installed
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)

FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
BOX = np.array([30.0, 10.0, 90.0, 110.0])


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path / "models"))


@pytest.fixture
def vit(tmp_path):
    """A tiny ViTPose and RT-DETR of the real classes, as the user's files."""
    backbone = VitPoseBackboneConfig(
        image_size=[64, 48], hidden_size=8, num_hidden_layers=1, num_attention_heads=2, out_indices=[1]
    )
    network = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17))
    network.save_pretrained(tmp_path / "pose")
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(tmp_path / "pose")
    resnet = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=["stage2", "stage3", "stage4"]
    )
    detector = RTDetrForObjectDetection(
        RTDetrConfig(
            backbone_config=resnet,
            **{"encoder_hidden_dim": 16, "encoder_in_channels": [8, 8, 8], "encoder_ffn_dim": 16, "d_model": 16},
            **{"decoder_in_channels": [16, 16, 16], "decoder_ffn_dim": 16, "decoder_layers": 1, "num_queries": 10},
            **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_labels": 1},
        )
    )
    detector.save_pretrained(tmp_path / "people")
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "people")
    return tmp_path


def test_vitpose_agrees_with_the_librarys_own_steps(vit, monkeypatch):
    pytest.importorskip("scipy", reason="transformers cuts ViTPose's crops with scipy")
    assert "--what vitpose --from" in VitPose().available()
    fetch.fetch_weights("vitpose", [vit / "pose"])
    assert "--what rt-detr --from" in VitPose().available()
    fetch.fetch_weights("rt-detr", [vit / "people"])
    assert VitPose().available() is None
    monkeypatch.setattr(vitpose, "people_boxes", lambda *_: BOX[None])
    monkeypatch.setattr(vitpose, "SEEN", -1.0)
    [person] = VitPose().estimate([FRAME])
    network, processor = (
        kind.from_pretrained(vit / "pose") for kind in (VitPoseForPoseEstimation, VitPoseImageProcessor)
    )
    boxes = [[[30.0, 10.0, 60.0, 100.0]]]
    with torch.no_grad():
        outputs = network(**processor(images=FRAME, boxes=boxes, return_tensors="pt"))
    wanted = processor.post_process_pose_estimation(outputs, boxes=boxes)[0][0]["keypoints"].numpy()
    there = person.pose.body[:, 2] > 0
    order = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    assert there.sum() >= 6
    for index, coco in enumerate(order):
        if there[index]:
            place = (wanted[5] + wanted[6]) / 2 if coco is None else wanted[coco]
            np.testing.assert_allclose(person.pose.body[index, :2], place + 0.5, atol=1e-3)


def test_people_of_rt_detr_are_the_librarys(vit, monkeypatch):
    network, processor = (
        kind.from_pretrained(vit / "people") for kind in (RTDetrForObjectDetection, RTDetrImageProcessor)
    )
    monkeypatch.setattr(vitpose, "A_PERSON", 0.0)
    boxes = vitpose.people_boxes(FRAME, network.eval(), processor)
    with torch.no_grad():
        outputs = network(**processor(images=FRAME, return_tensors="pt"))
    centre, sides = outputs.pred_boxes[0].split(2, dim=1)
    ends = torch.cat([centre - sides / 2, centre + sides / 2], dim=1) * torch.tensor([160, 120, 160, 120])
    assert len(boxes) and all(min((ends - torch.tensor(box)).abs().amax(dim=1)) < 1e-3 for box in boxes)


class Fixed(torch.nn.Module):
    """A network that gives what it was made with, for a batch of five or for one picture."""

    def __init__(self, first, second):
        super().__init__()
        self.register_buffer("first", first)
        self.register_buffer("second", second)

    def forward(self, x):
        return self.first.expand(x.shape[0], -1, -1) + 0 * x.sum(), self.second.expand(x.shape[0], -1, -1)


class People(torch.nn.Module):
    def __init__(self, found):
        super().__init__()
        self.register_buffer("found", found)

    def forward(self, x):
        return self.found + 0 * x.sum()


def yolox(people: dict[tuple[int, int, int], tuple[float, float]]) -> torch.Tensor:
    """YOLOX's rows, where cells (stride, column, row) have an objectness and a person's score."""
    found = torch.zeros(1, 8400, 85)
    for (stride, column, row), (objectness, score) in people.items():
        before = sum((640 // earlier) ** 2 for earlier in (8, 16, 32) if earlier < stride)
        line = found[0, before + row * (640 // stride) + column]
        line[:4] = torch.tensor([0.5, 0.25, math.log(6.0), math.log(10.0)])
        line[4], line[5] = objectness, score
    return found


def test_dwpose_finds_whom_the_networks_tell(tmp_path):
    generator = torch.Generator().manual_seed(1)
    across, down = torch.rand(1, 133, 576, generator=generator), torch.rand(1, 133, 768, generator=generator)
    given = tmp_path / "given"
    given.mkdir()
    torch.jit.script(Fixed(across, down)).save(given / dwpose.POSE_FILE)
    found = yolox({(16, 12, 10): (0.9, 0.9), (16, 12, 11): (0.8, 0.8), (8, 60, 40): (0.5, 0.5)})  # the last is unsure
    torch.jit.script(People(found)).save(given / dwpose.PEOPLE_FILE)
    fetch.fetch_weights("dwpose", [given])
    scale = 640 / 160
    [person] = DWPose().estimate([FRAME])
    middle, half = np.array([12.5, 10.25]) * 16, np.array([6.0, 10.0]) * 8
    box = np.concatenate([middle - half, middle + half]) / scale
    np.testing.assert_allclose(dwpose.people_boxes(FRAME, People(found)), [box], atol=1e-3)
    width, height = 1.25 * (box[2] - box[0]), 1.25 * (box[3] - box[1])
    width, height = max(width, height * 0.75), max(height, width / 0.75)
    for point, index in ((0, 0), (6, 2), (15, 13), (4, 16)):
        x = (int(across[0, point].argmax()) / 2 + 0.5) / 288
        y = (int(down[0, point].argmax()) / 2 + 0.5) / 384
        place = (middle / scale) + (np.array([x, y]) - 0.5) * (width, height)
        inside = (place >= 0).all() and (place <= (160, 120)).all()
        assert person.pose.body[index, 2] == float(inside)
        if inside:
            np.testing.assert_allclose(person.pose.body[index, :2], place, atol=1e-3)
    assert np.allclose(person.scores["left_hand"], torch.minimum(across.amax(2), down.amax(2))[0, 91:112].numpy())


def test_another_file_is_refused(tmp_path):
    for name in (dwpose.POSE_FILE, dwpose.PEOPLE_FILE):
        (tmp_path / name).write_bytes(b"no network")
    fetch.fetch_weights("dwpose", [tmp_path])
    with pytest.raises(InputError, match="is no TorchScript file"):
        DWPose().estimate([])


def test_left_and_right_of_133_points():
    points = np.column_stack([np.arange(133.0), np.zeros(133), np.ones(133)])
    parts = openpose_parts(points)
    assert {part: len(values) for part, values in parts.items()} == {part: count for part, (_, count) in PARTS.items()}
    assert parts["body"][[2, 5, 1], 0].tolist() == [6, 5, 5.5]  # right and left shoulder, neck
    assert parts["left_hand"][0, 0] == 91 and parts["right_hand"][-1, 0] == 132
    assert parts["face"][[0, 67], 0].tolist() == [23, 90] and parts["face"][68, 0] == 23 + 38.5
    assert counted_pose(parts, (50, 50), 0.5).left_hand.sum() == 0  # outside


def test_the_silhouette_is_the_coloured_person():
    frame = np.full((120, 160, 3), (30, 60, 160), np.uint8)
    frame[20:100, 60:90] = (200, 60, 40)
    parts = {part: np.zeros((count, 3), np.float32) for part, (_, count) in PARTS.items()}
    parts["body"][[0, 1, 8, 9]] = [(75, 30, 1), (75, 45, 1), (75, 70, 1), (75, 90, 1)]
    mask = silhouette(frame, counted_pose(parts, (160, 120), 0.5), np.array([58.0, 18.0, 92.0, 102.0]))
    truth = np.zeros((120, 160), bool)
    truth[20:100, 60:90] = True
    assert ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum() > 0.95
