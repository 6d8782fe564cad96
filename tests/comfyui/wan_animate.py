"""Runs in a process of its own, with ComfyUI on the path: what core's WanAnimateToVideo and its Wan model make of the
streams of `workflows/api/masks-only.json`. Prints what `test_workflow_results.py` checks, as JSON.

    PYTHONPATH=<ComfyUI> python tests/comfyui/wan_animate.py STREAMS.npz
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from comfy.cli_args import args

args.cpu = True  # before anything of ComfyUI asks for a device

import comfy.ldm.wan.vae  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.supported_models  # noqa: E402
from comfy_extras.nodes_wan import WanAnimateToVideo  # noqa: E402
from torch import Tensor, nn  # noqa: E402

CELL = 8  # pixels of a latent
WAN_2_1 = {"dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_scales": []}  # as core reads it
ANIMATE_CHANNELS = 16 + 4 + 16  # noise, mask, picture


def random_vae() -> comfy.sd.VAE:
    """Return core's VAE object around a Wan 2.1 network of random weights; core takes this one size only."""
    network = comfy.ldm.wan.vae.WanVAE(**WAN_2_1, temperal_downsample=[False, True, True], dropout=0.0)
    generator = torch.manual_seed(0)
    for name, weights in network.state_dict().items():
        if name.endswith("gamma"):
            nn.init.ones_(weights)
        elif weights.ndim > 1 and not name.startswith("decoder"):  # nothing is decoded
            nn.init.normal_(weights, std=weights[0].numel() ** -0.5, generator=generator)
        else:
            nn.init.zeros_(weights)
    return comfy.sd.VAE(sd=network.state_dict())


def animate(vae, streams: dict[str, Tensor]) -> tuple[dict, Tensor]:
    """Return the values of the positive conditioning (the mask as core's model sees it, too) and the empty latent."""
    length, height, width = streams["character_mask"].shape
    empty = [[torch.zeros(1, 1, 8), {}]]
    positive, _, latent, *_ = WanAnimateToVideo.execute(
        empty, empty, vae, width, height, length, 1, 5, 0, **streams
    ).args
    return positive[0][1], latent["samples"]


def seen_by_the_model(values: dict, noise: Tensor) -> Tensor:
    """Return the mask channels (1, 4, T, h, w) that core's Wan Animate model puts beside the noise."""
    config = comfy.supported_models.WAN22_Animate({"disable_unet_model_creation": True, "image_model": "wan2.1"})
    config.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.WAN22_Animate(config)
    model.diffusion_model = nn.Module()
    model.diffusion_model.patch_embedding = nn.Conv3d(ANIMATE_CHANNELS, 1, 1)
    kept = {name: values[name].clone() for name in ("concat_latent_image", "concat_mask")}
    return model.concat_cond(noise=noise, device="cpu", **kept)[:, :4]


def frames_of(mask: Tensor) -> Tensor:
    """(1, 4, T, h, w) of core → (4 T, h, w), one a frame, without the reference's cell in front."""
    return mask[0, :, 1:].transpose(0, 1).flatten(0, 1)


@torch.inference_mode()
def main(path: str) -> dict[str, object]:
    streams = {name: torch.from_numpy(values).float() / 255 for name, values in np.load(path).items()}
    vae, ours = random_vae(), streams["character_mask"]
    values, latent = animate(vae, streams)
    asked, seen = frames_of(values["concat_mask"]), frames_of(seen_by_the_model(values, latent))
    cells = ours.unflatten(2, (-1, CELL)).unflatten(1, (-1, CELL))
    length = len(ours)
    return {
        "latent": list(latent.shape),
        "mask": list(values["concat_mask"].shape),
        "picture": list(values["concat_latent_image"].shape),
        "face": list(values["face_video_pixels"].shape),
        "cells that are all mask": float((asked[:length] - cells.amin(dim=(2, 4))).abs().max()),
        "cells that touch the mask": float((asked[:length] - cells.amax(dim=(2, 4))).abs().max()),
        "frames behind the last": asked[length:].unique().tolist(),
        "generated share": float(ours.mean()),
        "0 where the model generates": float((seen[:length] - (1 - asked[:length])).abs().max()),
        "background": gap(values["concat_latent_image"][:, :, 1:], vae.encode(streams["background_video"])),
        "pose": gap(values["pose_video_latent"], vae.encode(streams["pose_video"])),
        "background and pose differ": gap(values["pose_video_latent"], values["concat_latent_image"][:, :, 1:]),
    }


def gap(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
