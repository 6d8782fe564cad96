"""Measures, baselines and reports."""

from .baselines import baselines
from .metrics import character_region, measure_regions, psnr, ssim
from .report import demo_report, write_json

__all__ = [
    "baselines",
    "character_region",
    "demo_report",
    "measure_regions",
    "psnr",
    "ssim",
    "write_json",
]
