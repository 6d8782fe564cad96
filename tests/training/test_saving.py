import json
import logging
import os
import subprocess

import pytest
import torch
from inhabit import atomic
from inhabit.training.saving import Saved, load_newest, save_state


def _state(step):
    return Saved(step, {"a": torch.full((3, 2), float(step)), "b": torch.tensor(step)}, {"stage": 0})


def _steps(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip_and_pruning(tmp_path):
    for step in (1, 2, 3, 4):
        save_state(tmp_path, _state(step), keep=2)
    assert _steps(tmp_path) == ["step-00000003", "step-00000004"]
    saved = load_newest(tmp_path)
    assert (saved.step, saved.scalars) == (4, {"stage": 0})
    assert torch.equal(saved.tensors["a"], torch.full((3, 2), 4.0)) and saved.tensors["b"] == 4


def test_death_before_the_rename_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    save_state(tmp_path, _state(1), keep=2)

    def die(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, _state(2), keep=2)
    assert _steps(tmp_path) == ["step-00000001"]
    assert load_newest(tmp_path).step == 1


def test_leftovers_of_a_killed_process_are_ignored_and_go_with_the_next_save(tmp_path):
    save_state(tmp_path, _state(1), keep=2)
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = tmp_path / f".inhabit.{atomic.HOST}.0.{ended.pid}.part"
    left.mkdir()
    (left / "state.safetensors").write_bytes(b"half")
    assert load_newest(tmp_path).step == 1
    save_state(tmp_path, _state(2), keep=2)
    assert _steps(tmp_path) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest", "no state"])
def test_damaged_newest_falls_back_with_a_warning(tmp_path, caplog, damage):
    save_state(tmp_path, _state(1), keep=2)
    newest = save_state(tmp_path, _state(2), keep=2)
    data = newest / "state.safetensors"
    content = bytearray(data.read_bytes())
    if damage == "truncate":
        data.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        content[-1] ^= 1
        data.write_bytes(content)
    elif damage == "no manifest":
        (newest / "manifest.json").unlink()
    else:
        (newest / "state.json").unlink()
    with caplog.at_level(logging.WARNING):
        assert load_newest(tmp_path).step == 1
    assert str(newest) in caplog.text


def test_pruning_counts_valid_checkpoints_only(tmp_path):
    save_state(tmp_path, _state(1), keep=2)
    save_state(tmp_path, _state(2), keep=2)
    (tmp_path / "step-00000002" / "state.safetensors").write_bytes(b"")
    save_state(tmp_path, _state(3), keep=2)
    assert "step-00000001" in _steps(tmp_path)
    save_state(tmp_path, _state(4), keep=2)
    assert _steps(tmp_path) == ["step-00000003", "step-00000004"]


def test_saving_a_step_again_replaces_it_only_when_damaged(tmp_path):
    first = save_state(tmp_path, _state(1), keep=2)
    written = (first / "state.safetensors").stat().st_mtime_ns
    assert save_state(tmp_path, _state(1), keep=2) == first
    assert (first / "state.safetensors").stat().st_mtime_ns == written
    (first / "state.safetensors").write_bytes(b"")
    save_state(tmp_path, _state(1), keep=2)
    assert load_newest(tmp_path).step == 1 and _steps(tmp_path) == [first.name]
    assert json.loads((first / "manifest.json").read_text())["step"] == 1


def test_nothing_saved(tmp_path):
    assert load_newest(tmp_path) is None
