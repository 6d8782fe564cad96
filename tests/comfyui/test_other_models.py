"""Inhabit Context Windows on models of others: frames are the batch of 4-D latents, the time axis of 5-D ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .server import COMFYUI


def test_windows_change_nothing_where_frames_do_not_see_each_other():
    command = [sys.executable, str(Path(__file__).with_name("other_models.py"))]
    environment = {**os.environ, "PYTHONPATH": str(COMFYUI)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert len(report["gaps"]) == 4 and max(report["gaps"].values()) <= 1e-4, report
    assert report["lengths"] == [4, 11], "the whole, and windows of it"
