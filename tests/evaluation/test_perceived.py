"""What perception costs, on one small scene."""

import json

import pytest
from inhabit.cli import main
from inhabit.evaluation.perceived import BOTH, MASK, PLATES, POSE, REGIONS, TRUTH, measure_perceived, seen_of, table
from inhabit.media import parse_poses
from inhabit.pipeline.perceived import default_estimator
from inhabit.scenes import render_scene
from inhabit.weights import BUNDLED

REASON = default_estimator().available()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def test_what_is_seen_lies_on_the_scene():
    large, small = (render_scene(900_001, "walk", 2, side, side) for side in (384, 96))
    pose, mask = seen_of(large, 96)
    truth = small.character > 127
    assert mask.shape == (2, 96, 96) and ((mask.numpy() > 0.5) & truth).sum() > 0.85 * truth.sum()
    [[found], _], [[true], _] = parse_poses(pose, 96, 96), parse_poses(small.pose, 96, 96)
    both = (found.body[:, 2] > 0) & (true.body[:, 2] > 0)
    assert both.sum() > 10 and abs(found.body[both, :2] - true.body[both, :2]).mean() < 4


def test_the_table_has_every_way(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("inhabit.evaluation.perceived.FRAMES", 3)
    results = measure_perceived(BUNDLED, tmp_path, scenes=1, size=96, device="cpu")
    assert set(results) == {TRUTH, POSE, MASK, BOTH, *PLATES.values()}
    assert json.loads((tmp_path / "perceived.json").read_text()) == results
    assert all(5 < one[region] < 60 for one in results.values() for region in REGIONS)
    assert table(results).count("\n") == 1 + len(results)
    assert main(["report", "--out", str(tmp_path / "no"), "--perceived", "0"]) == 2
    assert "--perceived is 0: give 1 or more" in capsys.readouterr().err
