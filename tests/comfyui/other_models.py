"""Runs in a process of its own, with ComfyUI on the path: Inhabit Context Windows on models that are not ours, whose
networks treat every frame alone, so that windows must change nothing. Prints what `test_other_models.py` checks.

    PYTHONPATH=<ComfyUI> python tests/comfyui/other_models.py
"""

from __future__ import annotations

import json
import sys

import torch
from comfy.cli_args import args

args.cpu = True  # before anything of ComfyUI asks for a device

import comfy.conds  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.supported_models  # noqa: E402
from inhabit.nodes.sampler import InhabitContextWindows  # noqa: E402

import nodes  # noqa: E402

FRAMES, LENGTH, OVERLAP = 11, 4, 2
TINY = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 16,
    "num_heads": 2,
    "use_spatial_transformer": True,
}


class FrameByFrame(torch.nn.Module):
    """x (B, 16, F, h, w) → the same, every frame alone, with one value a frame added; notes the lengths it is given."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.lengths = torch.nn.Conv3d(16, 16, (1, 3, 3), padding=(0, 1, 1)), []

    def forward(self, x: torch.Tensor, timesteps, context=None, *, frame_values: torch.Tensor, **_) -> torch.Tensor:
        self.lengths.append(x.shape[2])
        return self.layer(x) + frame_values


class VideoModel(comfy.model_base.BaseModel):
    def extra_conds(self, **kwargs) -> dict:
        values = torch.arange(kwargs["noise"].shape[2], dtype=torch.float32).reshape(1, 1, -1, 1, 1)
        return {**super().extra_conds(**kwargs), "frame_values": comfy.conds.CONDRegular(values)}


def patcher(model, network: torch.nn.Module | None = None) -> comfy.model_patcher.ModelPatcher:
    model.diffusion_model = network or model.diffusion_model
    generator = torch.manual_seed(0)
    for parameter in model.diffusion_model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def picture_model() -> comfy.model_patcher.ModelPatcher:
    config = comfy.supported_models.SD15(dict(TINY))
    config.set_inference_dtype(torch.float32, None)
    return patcher(comfy.model_base.BaseModel(config))


def video_model() -> comfy.model_patcher.ModelPatcher:
    config = comfy.supported_models.WAN21_T2V({"disable_unet_model_creation": True, "in_channels": 16})
    config.set_inference_dtype(torch.float32, None)
    return patcher(VideoModel(config, comfy.model_base.ModelType.FLOW), FrameByFrame())


def gap(model, latent: torch.Tensor, travel: bool) -> float:
    """Return how much sampling in windows differs from sampling the whole at once."""
    windows = InhabitContextWindows.execute(model, LENGTH, OVERLAP, travel).args[0]
    context = torch.randn(1, 7, 16, generator=torch.manual_seed(1))
    sides = [[context, {}]], [[-context, {}]]
    whole, parts = (
        nodes.common_ksampler(each, 3, 3, 2.0, "euler", "simple", *sides, {"samples": latent})[0]["samples"]
        for each in (model, windows)
    )
    assert torch.isfinite(whole).all() and whole.std() > 0.1
    return float((whole - parts).abs().max() / whole.abs().max())


@torch.inference_mode()
def main() -> dict[str, float | int]:
    video, report = video_model(), {}
    for travel in (True, False):
        report[f"pictures, travel {travel}"] = gap(picture_model(), torch.zeros(FRAMES, 4, 8, 8), travel)
        report[f"video, travel {travel}"] = gap(video, torch.zeros(1, 16, FRAMES, 8, 8), travel)
    return {"gaps": report, "lengths": sorted(set(video.model.diffusion_model.lengths))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(), sys.stdout)
