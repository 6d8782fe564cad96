"""Motion guider, object guider and spatial blending against brute force and the papers' formulas."""

import torch
from inhabit.models import AnimationModel
from inhabit.models.config import PoseGuiderConfig
from inhabit.models.objects import ObjectGuider, SpatialBlending
from inhabit.models.pose import LimbAttention, PoseGuider
from torch import nn
from torch.nn import functional

from .conftest import randomise, tiny_config


def test_limb_attention_equals_attention_over_the_selected_tokens_frame_by_frame():
    layer = randomise(LimbAttention(16, heads=2, operations=nn))
    skeleton, depth = torch.randn(3, 16, 5, 4), torch.randn(3, 16, 5, 4)
    on_limb = torch.rand(3, 20) > 0.6
    on_limb[1] = False  # a frame where nobody was detected
    stock = nn.MultiheadAttention(16, 2, bias=False, batch_first=True)
    stock.in_proj_weight.data = torch.cat([layer.to_q.weight, layer.to_k.weight, layer.to_v.weight])
    stock.out_proj.weight.data = layer.to_out[0].weight
    expected = skeleton.flatten(2).transpose(1, 2).clone()
    with torch.no_grad():
        for n in range(3):
            places = on_limb[n].nonzero()[:, 0]
            if len(places):
                q = skeleton.flatten(2)[n].T[places][None]
                kv = depth.flatten(2)[n].T[places][None]
                expected[n, places] += stock(q, kv, kv)[0][0] + layer.to_out[0].bias
        got = layer(skeleton, depth, on_limb)
    torch.testing.assert_close(got.flatten(2).transpose(1, 2), expected, atol=1e-5, rtol=0)


def test_motion_guider_starts_at_zero_and_depth_and_time_then_matter():
    config = tiny_config()
    skeleton = torch.zeros(1, 4, 3, 64, 64)
    skeleton[..., 20:40, 30:34] = 1.0
    depth = torch.rand(1, 4, 1, 64, 64) * skeleton[:, :, :1]
    with torch.no_grad():
        assert PoseGuider(config)(skeleton, depth).abs().max() == 0
        guider = randomise(PoseGuider(config))
        plain = guider(skeleton)
        assert plain.shape == (1, 4, 32, 8, 8)
        assert (guider(skeleton, depth) - plain).abs().max() > 1e-3
        moved = skeleton.clone()
        moved[:, 2] = 0
        assert (guider(moved)[:, 1] - plain[:, 1]).abs().max() > 1e-4, "frame 1 must feel frame 2"
        still = guider(moved, temporal=False)[:, 1] - guider(skeleton, temporal=False)[:, 1]
        assert still.abs().max() < 1e-6


def test_a_guider_without_depth_and_time_is_the_first_versions_encoder_frame_by_frame():
    config = tiny_config()
    first = PoseGuiderConfig(channels=config.pose.channels, depth=False, temporal=False)
    guider = randomise(PoseGuider(config.model_copy(update={"pose": first})))
    assert {name.split(".")[0] for name in guider.state_dict()} == {"skeleton"}
    skeleton = torch.rand(1, 3, 3, 64, 64)
    with torch.no_grad():
        alone = torch.cat([guider(skeleton[:, i : i + 1]) for i in range(3)], dim=1)
        torch.testing.assert_close(guider(skeleton), alone)


def test_spatial_blending_is_equation_3_and_4():
    layer = randomise(SpatialBlending(6, blend_bias=0.0, operations=nn))
    noise, objects = torch.randn(2, 6, 5, 5), torch.randn(2, 6, 5, 5)
    logits = functional.conv2d(torch.cat([noise, objects], 1), layer.conv.weight, layer.conv.bias, padding=1)
    alpha = 1 / (1 + torch.exp(-logits))
    with torch.no_grad():
        present = torch.ones(2, 1, 1, 1)
        torch.testing.assert_close(layer(noise, objects, present), alpha * objects + (1 - alpha) * noise)
        as_printed = SpatialBlending(6, blend_bias=0.0, operations=nn)
        torch.testing.assert_close(as_printed(noise, objects, present), (noise + objects) / 2)


def test_object_features_fit_every_mid_and_up_layer_and_change_the_prediction():
    model = randomise(AnimationModel(tiny_config()))
    latents, t, context = torch.randn(1, 2, 4, 10, 12), torch.tensor([300]), torch.randn(1, 1, 24)
    called = []
    blend = ObjectGuider.blend

    def noting(self, name, x, frames, features):
        result = blend(self, name, x, frames, features)
        called.append((name, result is not x))
        return result

    with torch.no_grad():
        plain = model.denoise(latents, t, context)
        ObjectGuider.blend = noting
        try:
            blended = model.denoise(latents, t, context, objects=model.objects(torch.randn(1, 2, 4, 10, 12)))
        finally:
            ObjectGuider.blend = blend
    assert (blended - plain).abs().max() > 1e-3
    up_layers = {f"up_blocks.{i}.{j}" for i in range(3) for j in range(3)}
    assert {name for name, did in called if did} == {"mid_block.0"} | up_layers
    assert not any(did for name, did in called if name.startswith("down_blocks"))


def test_environment_enters_only_through_the_further_input_channels():
    model = AnimationModel(tiny_config()).eval()
    latents, t, context = torch.randn(1, 2, 4, 8, 8), torch.tensor([300]), torch.randn(1, 1, 24)
    given = dict(environment=torch.randn(1, 2, 4, 8, 8), mask=torch.ones(1, 2, 1, 8, 8))
    with torch.no_grad():
        torch.testing.assert_close(model.denoise(latents, t, context, **given), model.denoise(latents, t, context))
        randomise(model)
        changed = model.denoise(latents, t, context, **given) - model.denoise(latents, t, context)
    assert changed.abs().max() > 1e-3


def test_frames_without_an_object_are_left_out_exactly():
    model = randomise(AnimationModel(tiny_config()))
    latents, t, context = torch.randn(1, 3, 4, 8, 8), torch.tensor([300]), torch.randn(1, 1, 24)
    given = torch.randn(1, 3, 4, 8, 8)
    given[:, 1] = 0
    with torch.no_grad():
        plain = model.denoise(latents, t, context, temporal=False)
        blended = model.denoise(latents, t, context, objects=model.objects(given), temporal=False)
    torch.testing.assert_close(blended[:, 1], plain[:, 1], atol=1e-6, rtol=0)
    assert (blended - plain).abs().amax(dim=(0, 2, 3, 4))[[0, 2]].min() > 1e-3


def test_blur_maps_start_without_effect_and_then_change_the_hands_alone():
    motion = tiny_config().pose.model_copy(update={"blur": (8, 8, 8, 16)})
    config = tiny_config().model_copy(update={"pose": motion})
    skeleton, none = torch.rand(1, 2, 3, 64, 64), torch.tensor([0.5, 0.5, 0.0]).view(1, 1, 3, 1, 1)
    blur = none.expand(1, 2, 3, 64, 64).clone()
    blur[:, 1, :, 30:34, 30:34] = torch.tensor([0.9, 0.3, 0.7]).view(1, 3, 1, 1)
    guider = PoseGuider(config)
    with torch.no_grad():
        nn.init.ones_(guider.skeleton.conv_out.weight)
        assert torch.equal(guider(skeleton, None, blur), guider(skeleton))
        randomise(guider)
        difference = guider(skeleton, None, blur) - guider(skeleton)
    changed = difference.abs().amax(dim=2)[0]
    assert changed[1, 3:5, 3:5].min() > 1e-4
    changed[1, 3:5, 3:5] = 0
    assert not changed.any(), "other frames and places are what they are without maps"
