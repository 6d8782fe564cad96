"""Reports: the numbers of one clip next to its baselines, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from ..atomic import atomic_file
from .baselines import baselines
from .metrics import character_region, measure_regions


def demo_report(
    result_FHWC: torch.Tensor,
    target_FHWC: torch.Tensor,
    *,
    driving_FHWC: torch.Tensor,
    mask_FHW: torch.Tensor,
    reference_HWC: torch.Tensor,
    character_FHW: torch.Tensor,
    target_character_FHW: torch.Tensor | None = None,
    reference_mask_HW: torch.Tensor | None = None,
) -> dict:
    """Measure a result and the three baselines against the truth.

    Args:
        result_FHWC, target_FHWC, driving_FHWC: IMAGE, float 0…1, (F, H, W, 3).
        mask_FHW: the formulated mask the model was given (1 = generated).
        reference_HWC: the reference picture.
        character_FHW, target_character_FHW: masks of the driving character, and of the reference's character in the
            target. Their union is the "character" region: a pixel that showed the one or has to show the other.
        reference_mask_HW: the reference's character mask where known; otherwise it is cut out by GrabCut.
    Returns:
        `{"result": scores, "baselines": {name: scores}}` with `scores` as `metrics.measure_regions` returns them for
        "character", "outside" (all that is not character), "outside_mask" (what the model was told to keep), "frame".
    """
    character = character_region(character_FHW, target_character_FHW)
    kept = ~character_region(mask_FHW)
    regions = {"character": character, "outside": ~character, "outside_mask": kept, "frame": None}
    clips = baselines(driving_FHWC, mask_FHW, reference_HWC, character_FHW, reference_mask_HW)
    return {
        "result": measure_regions(result_FHWC, target_FHWC, regions),
        "baselines": {name: measure_regions(clip, target_FHWC, regions) for name, clip in clips.items()},
    }


def write_json(path: str | Path, content: dict) -> Path:
    """Write JSON beside its place and move it there, so that a reader sees the whole file or none. NaN is refused."""
    path = Path(path)
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
