"""Our UNet against diffusers' own classes with the same weights, every parameter random."""

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.models.config import UNetConfig
from inhabit.models.reference import ReferenceNet
from inhabit.models.unet import Injections, UNet

from .conftest import TINY_UNET, randomise, tiny_config

WIDTHS = dict(
    block_out_channels=(32, 64, 64),
    layers_per_block=2,
    cross_attention_dim=24,
    norm_num_groups=8,
)


def spatial_twin() -> UNet2DConditionModel:
    return randomise(
        UNet2DConditionModel(
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=4,
            **WIDTHS,
        )
    )


def temporal_twin() -> UNetMotionModel:
    return randomise(
        UNetMotionModel(
            down_block_types=("CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion", "DownBlockMotion"),
            up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion"),
            num_attention_heads=4,
            motion_max_seq_length=8,
            motion_num_attention_heads=4,
            **WIDTHS,
        )
    )


class _NormPerFrame(torch.nn.GroupNorm):
    """AnimateDiff's own norm in diffusers' place, which gives it whole clips (B, C, F, h, w)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([super(_NormPerFrame, self).forward(frame) for frame in x.unbind(2)], dim=2)


def norm_per_frame(twin: UNetMotionModel) -> UNetMotionModel:
    for name, module in list(twin.named_modules()):
        if ".motion_modules." in name and name.endswith(".norm"):
            own = _NormPerFrame(module.num_groups, module.num_channels, eps=module.eps)
            own.load_state_dict(module.state_dict())
            twin.get_submodule(name.removesuffix(".norm")).norm = own
    return twin


def tiny_unet(per_frame: bool) -> UNetConfig:
    motion_modules = TINY_UNET.motion_modules.model_copy(update={"norm_per_frame": per_frame})
    return TINY_UNET.model_copy(update={"motion_modules": motion_modules})


@pytest.mark.parametrize("size", [(8, 8), (10, 12), (9, 7)])
def test_spatial_unet_equals_diffusers(size):
    twin = spatial_twin()
    ours = UNet(TINY_UNET, in_channels=4, temporal=False).eval()
    ours.load_state_dict(twin.state_dict())
    x, t, context = torch.randn(3, 4, *size), torch.tensor([3, 500, 999]), torch.randn(3, 2, 24)
    with torch.no_grad():
        expected = twin(x, t, context).sample
        got = ours(x[:, None], t, Injections(context=context, temporal=False))[:, 0]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (10, 12)])
def test_model_at_its_start_equals_diffusers_motion_model(size, per_frame):
    """Weights of the whole `UNetMotionModel`, every new branch of ours at its initial value and every input given."""
    twin = temporal_twin()
    model = AnimationModel(tiny_config().model_copy(update={"unet": tiny_unet(per_frame)})).eval()
    weights = twin.state_dict()
    if per_frame:
        norm_per_frame(twin)
    widened = model.denoiser.conv_in.weight.data.clone()
    widened[:, :4] = weights["conv_in.weight"]
    model.denoiser.load_state_dict(weights | {"conv_in.weight": widened})
    latents, t, context = torch.randn(2, 5, 4, *size), torch.tensor([10, 700]), torch.randn(2, 2, 24)
    skeleton, depth = torch.rand(2, 5, 3, size[0] * 8, size[1] * 8), torch.rand(2, 5, 1, size[0] * 8, size[1] * 8)
    with torch.no_grad():
        expected = twin(latents.transpose(1, 2), t, context.repeat_interleave(5, 0)).sample.transpose(1, 2)
        got = model.denoise(
            latents,
            t,
            context,
            environment=torch.randn_like(latents),
            mask=torch.ones(2, 5, 1, *size),
            pose=model.pose(skeleton, depth),
        )
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


class _CapturingProcessor(AttnProcessor2_0):
    """diffusers' own attention, which notes its input or joins noted tokens to keys' and values' source."""

    def __init__(self, bank: dict, name: str, write: bool):
        super().__init__()
        self.bank, self.name, self.write = bank, name, write

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **rest):
        if self.write:
            self.bank[self.name] = hidden_states
        elif self.name in self.bank:
            joined = self.bank[self.name].repeat_interleave(hidden_states.shape[0] // self.bank[self.name].shape[0], 0)
            encoder_hidden_states = torch.cat([hidden_states, joined], dim=1)
        return super().__call__(attn, hidden_states, encoder_hidden_states, **rest)


def _install(unet, bank: dict, write: bool) -> None:
    for name, module in unet.named_modules():
        if name.endswith("attn1") and "motion_modules" not in name:
            module.set_processor(_CapturingProcessor(bank, name.split(".transformer_blocks")[0], write))


@pytest.mark.parametrize("size", [(8, 8), (10, 12)])
@pytest.mark.parametrize("mode", ["midup", "full"])
def test_reference_attention_equals_diffusers_with_joined_tokens(mode, size, full_reference):
    config = tiny_config(environment=False, **({"reference": full_reference} if mode == "full" else {}))
    config = config.model_copy(update={"unet": tiny_unet(per_frame=True)})
    reader, twin, model = spatial_twin(), temporal_twin(), AnimationModel(config).eval()
    randomise(reader, seed=5)
    model.denoiser.load_state_dict(twin.state_dict())
    norm_per_frame(twin)
    headless = {k: v for k, v in reader.state_dict().items() if not k.startswith(("conv_norm_out", "conv_out"))}
    model.reference.load_state_dict(headless)
    bank: dict = {}
    _install(reader, bank, write=True)
    _install(twin, bank, write=False)
    picture, latents = torch.randn(2, 4, *size), torch.randn(2, 3, 4, *size)
    t, context = torch.tensor([10, 700]), torch.randn(2, 1, 24)
    skeleton = torch.rand(2, 3, 3, 8 * size[0], 8 * size[1])
    randomise(model.pose, seed=7)
    with torch.no_grad():
        reader(picture, torch.zeros(2), context)
        if mode == "midup":
            bank = {k: bank.pop(k) for k in list(bank) if k.startswith("down_blocks")}  # emptied of the down blocks
        expected = twin(latents.transpose(1, 2), t, context.repeat_interleave(3, 0)).sample.transpose(1, 2)
        features = model.reference(picture, context)
        got = model.denoise(latents, t, context, reference=model.project_reference(features))
        again = model.denoise(latents, t, context, reference=features)
        without = model.denoise(latents, t, context)
        motion = model.pose(skeleton)
        twin.conv_in.register_forward_hook(lambda *call: call[2] + motion.flatten(0, 1))
        expected_moving = twin(latents.transpose(1, 2), t, context.repeat_interleave(3, 0)).sample.transpose(1, 2)
        moving = model.denoise(latents, t, context, reference=features, pose=motion)
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=0)
    torch.testing.assert_close(moving, expected_moving, atol=2e-5, rtol=0)
    assert torch.equal(got, again)
    assert (got - without).abs().max() > 1e-2, "the reference must matter"
    assert (got - moving).abs().max() > 1e-2, "the motion must matter"


@pytest.mark.parametrize("tokens", [1, 3])
def test_the_unconditional_clip_of_a_batch_sees_no_reference(tokens, full_reference):
    """Guidance: both passes as one batch against diffusers without a bank, and with one, a pass at a time."""
    model = AnimationModel(tiny_config(environment=False, reference=full_reference)).eval()
    twin = temporal_twin()
    model.denoiser.load_state_dict(twin.state_dict())
    randomise(model.reference, seed=5)
    bank: dict = {}
    _install(twin, bank, write=False)
    latents, t = torch.randn(1, 3, 4, 10, 12).expand(2, -1, -1, -1, -1), torch.tensor([700])
    context = torch.cat([torch.zeros(1, tokens, 24), torch.randn(1, tokens, 24)])
    with torch.no_grad():
        features = model.reference(torch.randn(1, 4, 10, 12), context[1:])
        got = model.denoise(latents, t, context, reference=features, unconditional=1)
        for clip, seen in enumerate(({}, features)):
            bank.update(seen)
            sample = latents[:1].transpose(1, 2)
            expected = twin(sample, t, context[clip : clip + 1].repeat_interleave(3, 0)).sample.transpose(1, 2)
            torch.testing.assert_close(got[clip : clip + 1], expected, atol=2e-5, rtol=0)
    assert (got[0] - got[1]).abs().max() > 1e-2


def test_parts_of_a_batch_give_what_the_whole_gives(monkeypatch):
    """Chunks keep a CPU's intermediates small; they must not change a result."""
    model = randomise(AnimationModel(tiny_config()))
    latents, t, context = torch.randn(2, 5, 4, 8, 8), torch.tensor([10, 700]), torch.randn(2, 1, 24)
    with torch.no_grad():
        whole = model.denoise(latents, t, context)
        monkeypatch.setattr("inhabit.models.layers.CHUNK_BYTES", 40_000)
        torch.testing.assert_close(model.denoise(latents, t, context), whole, atol=1e-5, rtol=0)


def test_a_missing_image_embedding_is_refused():
    model = AnimationModel(tiny_config())
    for call in (
        lambda: model.denoise(torch.randn(1, 2, 4, 8, 8), torch.tensor([5])),
        lambda: model.reference(torch.randn(1, 4, 8, 8)),
    ):
        with pytest.raises(InputError, match=r"reads an image embedding and got none: give context \(clips, 1, 24\)"):
            call()


def test_conditions_that_a_model_has_no_network_for_are_refused():
    model = AnimationModel(tiny_config(environment=False, objects=None))
    latents, t, context = torch.randn(1, 2, 4, 8, 8), torch.tensor([5]), torch.randn(1, 1, 24)
    with pytest.raises(InputError, match="model tiny has no environment input"):
        model.denoise(latents, t, context, environment=latents, mask=latents[:, :, :1])
    with pytest.raises(InputError, match="model tiny has no object guider"):
        model.denoise(latents, t, context, objects=AnimationModel(tiny_config()).objects(latents))


def test_one_reference_serves_every_clip():
    model = randomise(AnimationModel(tiny_config()))
    picture, latents, t = torch.randn(1, 4, 8, 8), torch.randn(2, 3, 4, 8, 8), torch.tensor([10, 700])
    context = torch.randn(1, 1, 24)
    with torch.no_grad():
        shared = model.project_reference(model.reference(picture, context))
        repeated = shared.each(lambda x: x.repeat(2, 1, 1))
        torch.testing.assert_close(
            model.denoise(latents, t, context, reference=shared), model.denoise(latents, t, context, reference=repeated)
        )


def test_norm_per_frame_makes_motion_module_norm_independent_of_other_frames():
    """AnimateDiff's norm: with attention silenced, a frame's result must not depend on its neighbours."""
    per_frame = TINY_UNET.model_copy(
        update={"motion_modules": TINY_UNET.motion_modules.model_copy(update={"norm_per_frame": True})}
    )
    for config, independent in ((per_frame, True), (TINY_UNET, False)):
        module = randomise(UNet(config, in_channels=4, temporal=True)).down_blocks[0].motion_modules[0]
        for attn in (module.transformer_blocks[0].attn1, module.transformer_blocks[0].attn2):
            torch.nn.init.zeros_(attn.to_out[0].weight)
        x = torch.randn(4, 32, 6, 6)
        changed = x.clone()
        changed[1:] += 3 * torch.randn_like(changed[1:])
        with torch.no_grad():
            difference = (module(x, 4)[0] - module(changed, 4)[0]).abs().max()
        assert (difference < 1e-5) == independent


def test_a_window_longer_than_the_position_table_is_refused():
    model = randomise(AnimationModel(tiny_config()))
    with pytest.raises(InputError, match="9 frames.*8"):
        model.denoise(torch.randn(1, 9, 4, 8, 8), torch.tensor([5]), torch.randn(1, 1, 24))


def test_reference_net_has_the_published_key_set_but_no_head():
    twin_keys = {k for k in spatial_twin().state_dict() if not k.startswith(("conv_norm_out", "conv_out"))}
    assert set(ReferenceNet(tiny_config()).state_dict()) == twin_keys
