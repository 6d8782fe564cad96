"""The nodes that perceive, in a real core, and what core's own nodes give to ours."""

from __future__ import annotations

import pytest

from .cores import Core
from .scripts import run_script


@pytest.fixture(scope="module")
def report(core: Core) -> dict:
    return run_script(core, "perception_nodes.py")


def test_the_person_of_an_image_and_of_a_video_is_found(report: dict):
    told = report["perceived"]
    if "reason" in told:
        assert told["said"] == told["reason"]
        pytest.skip(told["reason"])
    assert told["error"] <= 0.03 and told["shared"] >= 0.9
    assert told["skeleton"] == [4, 512, 512, 3] and told["a video is the image"] == 0


def test_nobody_is_told(report: dict):
    told = report["perceived"]
    if "reason" in told:
        pytest.skip(told["reason"])
    assert "finds nobody in any of the 2 frames" in told["nobody"]


def test_core_draws_our_keypoints(report: dict):
    drawn = report["perceived"].get("drawn by core")
    if drawn is None:
        pytest.skip("no estimator here, or this ComfyUI has no SDPose nodes")
    assert 0.01 < drawn < 0.3


def test_keypoints_of_core_are_taken(report: dict):
    told = report["sdpose"]
    if told is None:
        pytest.skip("this ComfyUI has no SDPose nodes")
    assert told["nose"] < 1e-3 and told["hands"] == 1 and told["shared"] > 0.7


def test_masks_and_depth_of_core_are_taken_and_our_boxes_by_core(report: dict):
    told = report["others"]
    if told is None:
        pytest.skip("this ComfyUI has no such nodes")
    assert told["masked"] == 1 and told["depth"] == 0
    assert told["drawn"][0] > 0.7 and told["drawn"][1:] == [0, 0]
