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

import comfy.cldm.cldm  # noqa: E402
import comfy.conds  # noqa: E402
import comfy.controlnet  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.t2i_adapter.adapter  # noqa: E402
from inhabit.nodes.sampler import InhabitContextWindows  # noqa: E402

import nodes  # noqa: E402

FRAMES, LENGTH, OVERLAP = 11, 4, 2
TINY = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [2, 2],
    "channel_mult": [1, 2],
    "transformer_depth": [1, 1, 1, 1],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1],
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


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    generator = torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return network


def patcher(model, network: torch.nn.Module | None = None) -> comfy.model_patcher.ModelPatcher:
    model.diffusion_model = randomised(network or model.diffusion_model)
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def picture_model() -> comfy.model_patcher.ModelPatcher:
    config = comfy.supported_models.SD15(dict(TINY))
    config.set_inference_dtype(torch.float32, None)
    return patcher(comfy.model_base.BaseModel(config))


def video_model() -> comfy.model_patcher.ModelPatcher:
    config = comfy.supported_models.WAN21_T2V({"disable_unet_model_creation": True, "in_channels": 16})
    config.set_inference_dtype(torch.float32, None)
    return patcher(VideoModel(config, comfy.model_base.ModelType.FLOW), FrameByFrame())


def control_net() -> comfy.controlnet.ControlNet:
    settings = {name: value for name, value in TINY.items() if name not in ("out_channels", "transformer_depth_output")}
    network = comfy.cldm.cldm.ControlNet(**settings, hint_channels=3, operations=comfy.ops.disable_weight_init)
    return comfy.controlnet.ControlNet(randomised(network), load_device=torch.device("cpu"))


def t2i_adapter() -> comfy.controlnet.T2IAdapter:
    network = randomised(comfy.t2i_adapter.adapter.Adapter_light(channels=[32, 64], nums_rb=1, cin=192))
    return comfy.controlnet.T2IAdapter(network, 3, 8, "nearest-exact", torch.device("cpu"))


def sides(control=None) -> tuple[list, list]:
    """Return positive and negative, each seeing the same control."""
    context = torch.randn(1, 7, 16, generator=torch.manual_seed(1))
    values = {} if control is None else {"control": control, "control_apply_to_uncond": False}
    return [[context, dict(values)]], [[-context, dict(values)]]


def sampled(model, latent: torch.Tensor, control=None) -> torch.Tensor:
    [result] = nodes.common_ksampler(model, 3, 3, 2.0, "euler", "simple", *sides(control), {"samples": latent})
    assert torch.isfinite(result["samples"]).all() and result["samples"].std() > 0.1
    return result["samples"]


def gap(model, latent: torch.Tensor, travel: bool, control=None) -> float:
    """Return how much sampling in windows differs from sampling the whole at once."""
    windows = InhabitContextWindows.execute(model, LENGTH, OVERLAP, travel).args[0]
    whole, parts = (sampled(each, latent, control) for each in (model, windows))
    return float((whole - parts).abs().max() / whole.abs().max())


def controls() -> dict[str, object]:
    """Return the gaps with hints, one a frame, fewer, one for all, and in a chain; and what the networks were given."""
    model, latent, generator = picture_model(), torch.zeros(FRAMES, 4, 8, 8), torch.manual_seed(2)
    plain, gaps, effects = sampled(model, latent), {}, {}
    chain = t2i_adapter().set_cond_hint(torch.rand(FRAMES, 3, 64, 64, generator=generator), 0.7)
    last = control_net().set_previous_controlnet(chain)
    made = {"ControlNet": control_net(), "T2I adapter": t2i_adapter(), "few": control_net(), "one": t2i_adapter()}
    made["chain"] = last
    for name, control in made.items():
        hint = torch.rand({"few": 3, "one": 1}.get(name, FRAMES), 3, 64, 64, generator=generator)
        control.set_cond_hint(hint, 0.8)
        gaps[name] = max(gap(model, latent, travel, control) for travel in (True, False))
        effects[name] = float((sampled(model, latent, control) - plain).abs().max() / plain.abs().max())
        assert control.cond_hint_original is hint and control.cond_hint is None, "the user's object stays as it was"
    assert last.previous_controlnet is chain
    return {"control gaps": gaps, "control effects": effects, "batches": batches(model, latent, made["ControlNet"])}


def batches(model, latent: torch.Tensor, control) -> list[int]:
    """Return how many frames the ControlNet's network is given in windows that stay in place."""
    seen = []
    hook = control.control_model.register_forward_pre_hook(
        lambda _, __, named: seen.append(len(named["x"])), with_kwargs=True
    )
    sampled(InhabitContextWindows.execute(model, LENGTH, OVERLAP, False).args[0], latent, control)
    hook.remove()
    return sorted(set(seen))


@torch.inference_mode()
def main() -> dict[str, float | int]:
    video, report = video_model(), {}
    for travel in (True, False):
        report[f"pictures, travel {travel}"] = gap(picture_model(), torch.zeros(FRAMES, 4, 8, 8), travel)
        report[f"video, travel {travel}"] = gap(video, torch.zeros(1, 16, FRAMES, 8, 8), travel)
    return {"gaps": report, "lengths": sorted(set(video.model.diffusion_model.lengths)), **controls()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(main(), sys.stdout)
