"""Inhabit Context Windows on models of others: frames are the batch of 4-D latents, the time axis of 5-D ones."""

from __future__ import annotations

import pytest

from .cores import Core
from .scripts import run_script


@pytest.fixture(scope="module")
def report(core: Core) -> dict:
    return run_script(core, "other_models.py")


def test_windows_change_nothing_where_frames_do_not_see_each_other(report: dict):
    assert len(report["gaps"]) == 4 and max(report["gaps"].values()) <= 1e-4, report
    assert report["lengths"] == [4, 11], "the whole, and windows of it"


def test_every_window_sees_its_own_hints_of_control_nets(report: dict):
    """Core alone, with the whole video at once, is the yardstick."""
    assert len(report["control gaps"]) == 5 and max(report["control gaps"].values()) <= 1e-4, report
    assert min(report["control effects"].values()) > 1e-2, report


def test_positive_and_negative_share_a_window_s_control(report: dict):
    assert report["batches"] == [8], "two conditionings of four frames in one call"
