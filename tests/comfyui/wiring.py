"""Runs in a process of its own, with ComfyUI on the path: every node given what does not fit, and what is odd but
clear. Prints what `test_wiring.py` checks, as JSON: case → what was said, or how far the result is from the right one.

    PYTHONPATH=<ComfyUI> python tests/comfyui/wiring.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from wires import Wires, differ, said  # before anything else of ComfyUI: it asks for the CPU
from wiring_cases import faults, odd
from wiring_faults import other_faults
from wiring_results import long, right_results

# isort: split
from inhabit.nodes.folders import register_model_folders


def pictures_and_masks(wires: Wires) -> tuple[dict, dict]:
    """Return what is said to every fault of a picture or mask, and what the odd ones give against the plain ones."""
    told, gaps = {}, {}
    for case, (node, name, change, _) in faults().items():
        value = change(wires.inputs(node)[name])
        told[case] = said(lambda node=node, name=name, value=value: wires.call(node, **{name: value}))
    for case, (node, name, change, plain) in odd().items():
        given = wires.inputs(node)[name]
        gaps[case] = differ(wires.call(node, **{name: change(given)}), wires.call(node, **{name: plain(given)}))
    return told, gaps


@torch.inference_mode()
def main(folder: Path) -> dict[str, object]:
    register_model_folders()
    wires = Wires(folder)
    told, gaps = pictures_and_masks(wires)
    return {"said": told | other_faults(wires), "gaps": gaps | right_results(wires) | long(folder)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(Path(sys.argv[1])), sys.stdout)
