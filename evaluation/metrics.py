"""PSNR and SSIM of a clip: inside the character's region, outside it, and over the whole frame.

With prediction p and target t in 0…1, N selected pixels over all frames of the clip and three colours:

    PSNR = 10 · log10(1 / MSE),   MSE = Σ (p − t)² / 3N            pooled over the clip, at most 100 dB
    SSIM = Σ s / N,               s = mean over the colours of torchmetrics' SSIM map
                                  (Gaussian window σ = 1.5, 11 × 11 px, K1 = 0.01, K2 = 0.03, reflected borders)

Squared errors are summed in floating point, never in uint8. The SSIM of a region therefore sees up to 5 px beyond it.
"""

from __future__ import annotations

import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from ..errors import InputError

PSNR_LIMIT = 100.0  # dB; equal clips would be infinite, which JSON cannot hold
SSIM_WINDOW = 11  # px
FRAMES_AT_ONCE = 8

Scores = dict[str, float | None]


def character_region(*masks_FHW: torch.Tensor | None) -> torch.Tensor:
    """Return the union of the given masks (0…1, (F, H, W)) as bool (F, H, W); `None`s are skipped.

    From 0.5 on, most of a pixel: measured is the character, without the rim that `perception.masks.inside` adds.
    """
    given = [mask >= 0.5 for mask in masks_FHW if mask is not None]
    if not given:
        raise InputError("No mask given: a character region needs at least one.")
    for mask in given[1:]:
        if mask.shape != given[0].shape:
            raise InputError(
                f"The masks are {_shape(given[0])} and {_shape(mask)} (frames × height × width): make them equal."
            )
    return torch.stack(given).any(dim=0)


def psnr(
    prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor, region_FHW: torch.Tensor | None = None
) -> float | None:
    """Peak signal-to-noise ratio in dB over the region (whole frames without one); `None` where the region is empty."""
    _check(prediction_FHWC, target_FHWC, region_FHW)
    region = _everything(prediction_FHWC) if region_FHW is None else region_FHW.bool()
    if not region.any():
        return None
    value = peak_signal_noise_ratio(prediction_FHWC[region].double(), target_FHWC[region].double(), data_range=1.0)
    return min(float(value), PSNR_LIMIT)


def ssim(
    prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor, region_FHW: torch.Tensor | None = None
) -> float | None:
    """Structural similarity (−1…1), the mean of its map over the region; `None` where the region is empty."""
    _check(prediction_FHWC, target_FHWC, region_FHW)
    return _mean_over(ssim_map(prediction_FHWC, target_FHWC), region_FHW)


def ssim_map(prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor) -> torch.Tensor:
    """Return the structural similarity of every pixel, (F, H, W), averaged over the colours."""
    maps = []
    for start in range(0, len(prediction_FHWC), FRAMES_AT_ONCE):
        pair = [
            frames[start : start + FRAMES_AT_ONCE].float().movedim(-1, 1) for frames in (prediction_FHWC, target_FHWC)
        ]
        _, full = structural_similarity_index_measure(*pair, data_range=1.0, return_full_image=True)
        maps.append(full.mean(dim=1))
    return torch.cat(maps)


def measure_regions(
    prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor, regions: dict[str, torch.Tensor | None]
) -> dict[str, Scores]:
    """Return `{name: {"psnr", "ssim"}}` of a prediction against the truth, for named regions.

    Args:
        prediction_FHWC, target_FHWC: IMAGE, float 0…1, (F, H, W, 3), equal shapes.
        regions: name → bool or 0/1 (F, H, W), or None for the whole frame.
    Raises:
        InputError: shapes differ, no frames, NaN, or frames smaller than the SSIM window.
    """
    for region in regions.values():
        _check(prediction_FHWC, target_FHWC, region)
    similarity = ssim_map(prediction_FHWC, target_FHWC)
    return {
        name: {"psnr": psnr(prediction_FHWC, target_FHWC, region), "ssim": _mean_over(similarity, region)}
        for name, region in regions.items()
    }


def unsteadiness(
    prediction_FHWC: torch.Tensor, target_FHWC: torch.Tensor, region_FHW: torch.Tensor | None = None
) -> torch.Tensor:
    """How much the error changes from each frame to the next: 0 for a clip whose error stands still → (F - 1,).

    The mean over the region's pixels and the colours of |(p_t - t_t) - (p_{t-1} - t_{t-1})|: the truth's own motion
    does not count. NaN where the region of frame t is empty. For region and errors see `measure_regions`.
    """
    _check(prediction_FHWC, target_FHWC, region_FHW)
    error = prediction_FHWC - target_FHWC
    change = (error[1:] - error[:-1]).abs().mean(dim=-1)
    region = _everything(prediction_FHWC)[1:] if region_FHW is None else region_FHW[1:].bool()
    return (change * region).flatten(1).sum(dim=1) / region.flatten(1).sum(dim=1)


def seam_error(changes: torch.Tensor, borders: list[int]) -> float:
    """How much rougher a clip is where windows begin than elsewhere: 1 is no seam.

    changes: from `unsteadiness`, (F - 1,); borders: first frames of windows, 1 … F - 1.
    Raises:
        InputError: a border lies outside the clip, or no frame is left elsewhere.
    """
    wrong = [border for border in borders if not 1 <= border <= len(changes)]
    if wrong or not 0 < len(set(borders)) < len(changes):
        count = len(changes)
        raise InputError(f"Borders {borders} of a clip of {count + 1} frames: give some, not all, of 1…{count}.")
    at_border = torch.zeros(len(changes), dtype=torch.bool)
    at_border[[border - 1 for border in borders]] = True
    return float(changes[at_border].mean() / changes[~at_border].mean())


def mean_scores(all_scores: list[dict[str, Scores]]) -> dict[str, Scores]:
    """Average `measure_regions` results over scenes, every number by itself; scenes where it is `None` do not count."""
    mean: dict[str, Scores] = {}
    for region in all_scores[0]:
        mean[region] = {}
        for name in all_scores[0][region]:
            values = [scores[region][name] for scores in all_scores if scores[region][name] is not None]
            mean[region][name] = sum(values) / len(values) if values else None
    return mean


def _mean_over(map_FHW: torch.Tensor, region_FHW: torch.Tensor | None) -> float | None:
    selected = map_FHW if region_FHW is None else map_FHW[region_FHW.bool()]
    return float(selected.double().mean()) if selected.numel() else None


def _everything(frames_FHWC: torch.Tensor) -> torch.Tensor:
    return torch.ones(frames_FHWC.shape[:3], dtype=torch.bool, device=frames_FHWC.device)


def _check(prediction: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None) -> None:
    if prediction.shape != target.shape or prediction.ndim != 4 or prediction.shape[-1] != 3:
        raise InputError(
            f"Prediction is {_shape(prediction)}, target is {_shape(target)}: "
            "both must be the same frames × height × width × 3."
        )
    if len(prediction) == 0 or min(prediction.shape[1:3]) < SSIM_WINDOW:
        raise InputError(
            f"Clip of {_shape(prediction)}: at least 1 frame of {SSIM_WINDOW} × {SSIM_WINDOW} px is needed."
        )
    if region is not None and region.shape != prediction.shape[:3]:
        raise InputError(f"Mask is {_shape(region)}, the clip is {_shape(prediction)}: frames and sizes must be equal.")
    for name, frames in (("Prediction", prediction), ("Target", target)):
        if not torch.isfinite(frames).all():
            raise InputError(f"{name} holds NaN or infinite values: give frames in 0…1.")


def _shape(tensor: torch.Tensor) -> str:
    return " × ".join(str(size) for size in tensor.shape)
