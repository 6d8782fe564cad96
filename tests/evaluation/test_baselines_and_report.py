"""Baselines, report and contact sheet on a picture whose answer is known by construction."""

import json

import numpy as np
import pytest
import torch
from inhabit.errors import InputError
from inhabit.evaluation import baselines, demo_report, write_json
from inhabit.evaluation.baselines import bounding_box, cut_out
from inhabit.evaluation.sheet import CELL, contact_sheet, difference, moments
from PIL import Image

RED, GREEN, BLUE = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), torch.tensor([0, 0, 1.0])


@pytest.fixture
def scene() -> dict[str, torch.Tensor]:
    """A green wall; a red box (the driving character) moves right; the reference is a blue disc on black."""
    frames, size = 4, 32
    driving = GREEN.expand(frames, size, size, 3).clone()
    character = torch.zeros(frames, size, size)
    for frame in range(frames):
        character[frame, 8:24, 4 + 4 * frame : 12 + 4 * frame] = 1
    driving[character.bool()] = RED
    mask = torch.nn.functional.max_pool2d(character, 5, 1, 2)
    rows, columns = np.mgrid[:40, :40]
    reference_mask = torch.from_numpy((rows - 20) ** 2 + (columns - 20) ** 2 < 100).float()
    reference = reference_mask[..., None] * BLUE
    return {
        "driving_FHWC": driving,
        "mask_FHW": mask,
        "reference_HWC": reference,
        "character_FHW": character,
        "reference_mask_HW": reference_mask,
    }


def test_inpainting_removes_the_character_and_nothing_else(scene):
    environment = baselines(*scene.values())["inpainted_environment"]
    assert torch.allclose(environment, GREEN.expand_as(environment), atol=1 / 255)


def test_pasted_reference_fills_the_box_of_every_frame(scene):
    pasted = baselines(*scene.values())["pasted_reference"]
    for frame in range(4):
        assert torch.allclose(pasted[frame, 16, 8 + 4 * frame], BLUE, atol=0.01)
        assert torch.allclose(pasted[frame, 8, 4 + 4 * frame], GREEN, atol=0.3), "the cut-out's corner shows the wall"
        assert torch.allclose(pasted[frame, 16, 2], GREEN, atol=0.01)


def test_without_a_mask_the_reference_is_cut_out(scene):
    assert torch.equal(cut_out(scene["reference_HWC"]), scene["reference_mask_HW"])
    expected = baselines(*scene.values())["pasted_reference"]
    scene["reference_mask_HW"] = None
    assert torch.equal(baselines(*scene.values())["pasted_reference"], expected)


def test_a_picture_of_nobody_is_pasted_whole(scene):
    scene["reference_HWC"], scene["reference_mask_HW"] = torch.zeros(40, 40, 3), None
    pasted = baselines(*scene.values())["pasted_reference"]
    assert torch.allclose(pasted[0, 8, 4], torch.zeros(3), atol=0.01)


def test_driving_is_itself_and_inputs_stay(scene):
    before = {name: value.clone() for name, value in scene.items()}
    assert torch.equal(baselines(*scene.values())["driving"], before["driving_FHWC"])
    assert all(torch.equal(scene[name], before[name]) for name in scene)


def test_a_character_that_left_the_picture_has_no_box():
    assert bounding_box(torch.zeros(5, 5)) is None
    mask = torch.zeros(5, 6)
    mask[1:3, 2:6] = 1
    assert bounding_box(mask) == (1, 3, 2, 6)


def test_report_has_the_promised_form(scene, tmp_path):
    target = baselines(*scene.values())["pasted_reference"]
    report = demo_report(target, target, **scene, target_character_FHW=scene["mask_FHW"])
    assert set(report["baselines"]) == {"inpainted_environment", "pasted_reference", "driving"}
    for scores in [report["result"], *report["baselines"].values()]:
        assert {name: set(part) for name, part in scores.items()} == {
            name: {"psnr", "ssim"} for name in ("character", "outside", "outside_mask", "frame")
        }
    assert report["result"]["character"]["psnr"] == 100.0
    assert report["baselines"]["driving"]["character"]["psnr"] < 10
    assert report["baselines"]["driving"]["outside"]["psnr"] > 40
    assert json.loads(write_json(tmp_path / "a" / "metrics.json", report).read_text()) == report


def test_a_refused_report_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "metrics.json", {"psnr": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_sheet_shows_first_and_last_frame(scene, tmp_path):
    driving = scene["driving_FHWC"]
    rows = {"driving": driving, "|difference|": difference(driving, driving)}
    path = contact_sheet(rows, tmp_path / "sheet.png", columns=3, reference=scene["reference_HWC"])
    drawn = np.asarray(Image.open(path)).astype(int)
    red = ((drawn[..., 0] > 128) & (drawn[..., 1] < 128) & (drawn[..., 2] < 128)).sum()
    expected = 3 * (16 * 8) * (CELL / 32) ** 2
    assert red == pytest.approx(expected, rel=0.1), "three frames, each with the red box"
    assert (abs(drawn - [0, 0, 255]).sum(axis=2) < 30).any(), "the reference"
    assert [item.name for item in tmp_path.iterdir()] == ["sheet.png"]


def test_moments_are_even_and_complete():
    assert moments(48, 8) == [0, 7, 13, 20, 27, 34, 40, 47]
    assert moments(3, 8) == [0, 1, 2]
    assert moments(1, 8) == [0]


def test_sheet_without_frames_is_refused(tmp_path):
    with pytest.raises(InputError, match="driving"):
        contact_sheet({"driving": torch.zeros(0, 8, 8, 3)}, tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []
