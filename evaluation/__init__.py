"""Measures, baselines, contact sheets and reports."""

from .baselines import baselines
from .metrics import character_region, measure, psnr, ssim
from .report import demo_report, write_json
from .sheet import contact_sheet, difference

__all__ = [
    "baselines",
    "character_region",
    "contact_sheet",
    "demo_report",
    "difference",
    "measure",
    "psnr",
    "ssim",
    "write_json",
]
