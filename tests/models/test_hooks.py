"""Every network is called, never reached into: what libraries hang on a module (offload, adapters) sees each call."""

import pytest
import torch
from inhabit.models import AnimationModel
from inhabit.models.config import PRESETS, ReferenceConfig, UNetConfig
from torch import nn

from .conftest import randomise, tiny_config

# A softmax over the only token of a context is 1, whatever asks: these three have nothing to compute then.
NOT_ASKED = ("norm2", "attn2.to_q", "attn2.to_k")


def small_puppets() -> AnimationModel:
    """The bundled model's mechanisms (patch attention, pooled embedding, motion blur), small."""
    config = PRESETS["puppets"]
    unet = {"block_out_channels": (16, 32, 32), "heads": 2, "norm_groups": 8}
    unet["motion_modules"] = config.unet.motion_modules.model_dump() | {"norm_groups": 8, "heads": 2}
    return AnimationModel(config.model_copy(update={"unet": UNetConfig(**config.unet.model_dump() | unet)}))


def one_step(model: AnimationModel, context: torch.Tensor | None) -> None:
    cell = model.config.latent.downscale
    reference = model.reference(torch.randn(1, 4, 8, 8), context)
    pictures = (torch.rand(1, 2, channels, 8 * cell, 8 * cell) for channels in (3, 1, 3))
    skeleton, depth, blur = pictures
    motion = model.pose(skeleton, depth, blur if model.config.pose.blur is not None else None)
    model.denoise(
        torch.randn(1, 2, 4, 8, 8), torch.tensor([500]), context,
        reference=reference, pose=motion, objects=model.objects(torch.randn(1, 2, 4, 8, 8)),
        environment=torch.randn(1, 2, 4, 8, 8), mask=torch.ones(1, 2, 1, 8, 8),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["full", "midup", "one token", "puppets"])
def test_every_module_with_weights_is_called_in_one_step(kind):
    tokens = {"full": 2, "midup": 2, "one token": 1}.get(kind)
    mode = ReferenceConfig(mode="midup" if kind == "midup" else "full")
    model = randomise(small_puppets() if tokens is None else AnimationModel(tiny_config(reference=mode)))
    called = set()
    expected = {
        name
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters()) and not isinstance(module, nn.ModuleList | nn.ModuleDict)
    }
    if tokens == 1:
        expected = {name for name in expected if not name.endswith(NOT_ASKED) or "motion_modules" in name}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    with torch.no_grad():
        one_step(model, None if tokens is None else torch.randn(1, tokens, 24))
    assert sorted(expected - called) == []
    assert len(expected) > 100


def test_weights_that_a_hook_brings_just_in_time_suffice():
    """As offloading to the CPU works: a module has its weights only between its own two hooks."""
    model, context = randomise(AnimationModel(tiny_config())), torch.randn(1, 1, 24)
    torch.manual_seed(0)
    blocks = [*model.denoiser.down_blocks, model.denoiser.mid_block, *model.denoiser.up_blocks, model.pose.skeleton]
    whole = {block: {name: p.data for name, p in block.named_parameters()} for block in blocks}

    def bring(block, *_):
        for name, parameter in block.named_parameters():
            parameter.data = whole[block][name]

    def take(block, *_):
        for parameter in block.parameters():
            parameter.data = torch.empty(0)

    def predicted() -> torch.Tensor:
        skeleton = torch.ones(1, 2, 3, 64, 64)
        with torch.no_grad():
            motion = model.pose(skeleton, skeleton[:, :, :1])
            return model.denoise(torch.ones(1, 2, 4, 8, 8), torch.tensor([9]), context, pose=motion)

    expected = predicted()
    for block in blocks:
        take(block)
        block.register_forward_pre_hook(bring)
        block.register_forward_hook(take)
    torch.testing.assert_close(predicted(), expected, atol=0, rtol=0)
