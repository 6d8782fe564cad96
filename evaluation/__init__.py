"""Measures, baselines and reports. `card` and `sheet` are commands: `python -m inhabit.evaluation.card --help`."""

from .baselines import baselines
from .metrics import character_region, measure, psnr, ssim
from .report import demo_report, write_json

__all__ = [
    "baselines",
    "character_region",
    "demo_report",
    "measure",
    "psnr",
    "ssim",
    "write_json",
]
