"""What the ReferenceNet of a small model has beyond the published one."""

import torch
from inhabit.models import AnimationModel
from inhabit.models.config import ReferenceConfig, UNetConfig
from inhabit.models.reference import PATCHES, POOLED, ProjectedReference, ReferenceNet
from torch.nn import functional

from .conftest import TINY_UNET, randomise, tiny_config

SMALL = tiny_config(reference=ReferenceConfig(coordinates=True, pooled_grid=(4, 2)))


def test_both_unets_start_from_the_same_weights():
    model = AnimationModel(tiny_config())
    theirs = dict(model.denoiser.named_parameters())
    shared = {name: p for name, p in model.reference.named_parameters() if not name.startswith("conv_in")}
    assert all(torch.equal(p, theirs[name]) for name, p in shared.items())
    assert len(shared) > 100


def test_the_pooled_embedding_is_an_mlp_of_box_means_and_joins_the_time_embedding():
    model = randomise(AnimationModel(SMALL))
    picture, latents, t = torch.randn(2, 4, 8, 8), torch.randn(2, 3, 4, 8, 8), torch.tensor([10, 700])
    context = torch.randn(2, 1, 24)
    boxes = picture.reshape(2, 4, 4, 2, 2, 4).mean(dim=(3, 5)).flatten(1)
    layers = model.reference.appearance
    with torch.no_grad():
        features = model.reference(picture, context)
        expected = layers.linear_2(functional.silu(layers.linear_1(boxes)))
        torch.testing.assert_close(features[POOLED][:, 0], expected)
        with_it = model.denoise(latents, t, context, reference=ProjectedReference({}, {}, None, features[POOLED]))
        model.denoiser.time_embedding.register_forward_hook(lambda *call: call[2] + expected.repeat_interleave(3, 0))
        torch.testing.assert_close(model.denoise(latents, t, context), with_it)


def test_coordinates_tell_places_apart():
    """The same colour everywhere: with coordinates the features of two places differ far from any border."""
    for config, differ in ((SMALL, True), (tiny_config(), False)):
        net = randomise(ReferenceNet(config))
        flat = torch.full((1, 4, 64, 64), 0.5)
        with torch.no_grad():
            maps: list[torch.Tensor] = []
            net.conv_in.register_forward_hook(lambda *call, maps=maps: maps.append(call[2]))
            net(flat, torch.zeros(1, 1, 24))
        inner = maps[0][0, :, 8:-8, 8:-8]
        assert (inner.std(dim=(1, 2)).max() > 1e-3) == differ


def test_levels_after_the_last_attention_are_not_built():
    unet = UNetConfig(**TINY_UNET.model_dump() | {"attention": (False, True, True)})
    config = tiny_config().model_copy(update={"unet": unet})
    net, model = ReferenceNet(config), AnimationModel(config)
    assert len(net.up_blocks) == 2 and not net.up_blocks[1].upsamplers
    with torch.no_grad():
        features = net(torch.randn(1, 4, 8, 8), torch.randn(1, 1, 24))
    attentions = {n for n, m in model.denoiser.named_modules() if n.rsplit(".", 1)[0].endswith("attentions")}
    assert set(features) == {n for n in attentions if not n.startswith("down")}


def test_patch_attention_is_attention_over_the_pictures_patches_and_their_places():
    model = randomise(AnimationModel(tiny_config(reference=ReferenceConfig(patch_attention=True))))
    picture, context = torch.randn(1, 4, 8, 6), torch.randn(1, 1, 24)
    with torch.no_grad():
        features = model.reference(picture, context)
        projected = model.project_reference(features)
    patches = features[PATCHES]
    assert patches.shape == (1, 12, 32)
    token = 7  # row 2, column 1 of 4 x 3 patches
    torch.testing.assert_close(patches[0, token, :16], picture[0, :, 4:6, 2:4].reshape(16))
    x, y = 0.0, 2 * 2 / 3 - 1
    angles = torch.pi * torch.tensor([1.0, 2.0, 4.0, 8.0])
    expected = torch.cat([torch.sin(x * angles), torch.cos(x * angles), torch.sin(y * angles), torch.cos(y * angles)])
    torch.testing.assert_close(patches[0, token, 16:], expected, atol=1e-5, rtol=0)

    layer = model.denoiser.up_blocks[1].lookups[0]
    stock = torch.nn.MultiheadAttention(64, 4, bias=True, kdim=32, vdim=32, batch_first=True)
    stock.q_proj_weight.data, stock.k_proj_weight.data = layer.to_q.weight.data, layer.to_k.weight.data
    stock.v_proj_weight.data, stock.out_proj.weight.data = layer.to_v.weight.data, layer.to_out.weight.data
    stock.out_proj.bias.data = layer.to_out.bias.data
    frames = torch.randn(1, 64, 5, 3)
    query = functional.group_norm(frames, 8, layer.norm.weight, layer.norm.bias, eps=1e-6).flatten(2).transpose(1, 2)
    with torch.no_grad():
        found = stock(query, patches, patches)[0].transpose(1, 2).reshape(frames.shape)
        keys_values = projected.patches["up_blocks.1.0"]
        result, seen = layer(frames, keys_values), layer.colours(frames, keys_values[0], projected.colours)
        torch.testing.assert_close(result, frames + found, atol=1e-5, rtol=0)
        weights = stock(query, patches, patches)[1]  # the mean over the heads
    colours = functional.avg_pool2d(picture, 2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(seen.flatten(2).transpose(1, 2), weights @ colours, atol=1e-5, rtol=0)
    places = {"mid_block.0"} | {f"up_blocks.{i}.{j}" for i in range(3) for j in range(3)}
    assert places == set(projected.patches)
