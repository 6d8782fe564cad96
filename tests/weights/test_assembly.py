"""Parts put together: all keys at full size, and what our networks have no use for."""

import pytest
import torch
from inhabit.models import AnimationModel
from inhabit.weights.assembly import KINDS, assemble
from inhabit.weights.files import Weights
from inhabit.weights.layouts import recognise

from . import published
from .published import GUIDER, SD15


def complete_at_full_size(parts: list[dict], kind: str):
    """Assemble and load by name, all keys."""
    assembled = assemble([recognise(Weights("a file", part)) for part in parts], KINDS[kind])
    with torch.device("meta"):
        model = AnimationModel(assembled.config)
    model.load_state_dict({name: tensor.to("meta") for name, tensor in assembled.tensors.items()}, assign=True)
    return assembled


def test_animate_anyone_at_full_size():
    denoiser, spatial = published.keys(published.temporal, SD15), published.keys(published.spatial, SD15)
    guider = published.pose_guider((16, 32, 96, 256), 320)
    parts = [
        guider,
        published.animatediff(denoiser),
        published.without_head(spatial),
        published.without_motion(denoiser),
    ]
    assembled = complete_at_full_size(parts, "animate-anyone")
    expected = {f"denoiser.{name}" for name in denoiser} | {f"pose.skeleton.{name}" for name in guider}
    expected |= {f"reference.{name}" for name in published.without_head(spatial)}
    assert assembled.tensors.keys() == expected and len(expected) == 1253 + 682 + 16
    assert not assembled.report.fresh and not assembled.report.unread
    config = assembled.config
    assert config.unet.block_out_channels == (320, 640, 1280, 1280) and config.unet.cross_attention_dim == 768
    assert config.pose.channels == (16, 32, 96, 256) and config.latent.downscale == 8
    assert not (config.environment or config.objects or config.pose.depth or config.pose.temporal)
    assert config.reference.mode == "full" and config.sampling.unconditional_without == ("reference",)
    assert (config.schedule.betas, config.schedule.prediction, config.schedule.zero_terminal_snr) == (
        "linear",
        "v",
        True,
    )
    assert (config.sampling.window, config.sampling.overlap) == (24, 4)


@pytest.mark.parametrize(("frames", "middle"), [(24, False), (32, True), (32, False)], ids=["v1", "v2", "v3"])
def test_animatediff_at_full_size(frames, middle):
    modules = published.keys(published.temporal, SD15, motion_max_seq_length=frames, use_motion_mid_block=middle)
    spatial = published.keys(published.spatial, SD15)
    parts = [published.original(spatial, levels=4), published.animatediff(modules)]
    assembled = complete_at_full_size(parts, "animatediff")
    motion = assembled.config.unet.motion_modules
    assert (motion.max_frames, motion.mid_block, motion.heads, motion.norm_per_frame) == (frames, middle, 8, True)
    given = {name for name in assembled.tensors if name.startswith("denoiser.")}
    assert given == {f"denoiser.{name}" for name in modules}
    assert assembled.tensors["denoiser.conv_in.weight"].shape == (320, 9, 3, 3)
    assert [line.split()[0] for line in assembled.report.fresh] == ["ReferenceNet", "pose", "object", "environment"]


def test_a_reference_net_ends_with_its_last_attention():
    """Levels that nothing of ours reads are left out by name."""
    size = dict(block_out_channels=(32, 64), cross_attention_dim=24)
    kinds = dict(down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"))
    reference = published.UNet2DConditionModel(up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **kinds, **size)
    denoiser = published.UNetMotionModel(
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "UpBlockMotion"),
        **size,
    ).state_dict()
    files = [published.without_head(reference.state_dict()), denoiser, published.pose_guider(GUIDER, 32)]
    assembled = assemble([recognise(Weights("a file", file)) for file in files], KINDS["animate-anyone"])
    assert assembled.config.unet.attention == (False, True)
    left = {f"reference.{name}" for name in files[0]} - assembled.tensors.keys()
    assert left == set(assembled.report.unread) and any("up_blocks.1.resnets.2" in name for name in left)
    assert "behind the last layer that is read: reference.up_blocks." in "\n".join(assembled.report.lines())
