"""Public weights → one checkpoint: complete at full size, equal to diffusers' networks at a tiny one."""

import copy
import json
from types import SimpleNamespace

import pytest
import torch
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.weights import load, read_config
from inhabit.weights.architecture import Numbers
from inhabit.weights.assembly import KINDS, Kind, assemble
from inhabit.weights.conversion import convert
from inhabit.weights.files import read_weights
from inhabit.weights.layouts import Part, recognise, role_of
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from ..models.conftest import randomise
from . import published
from .published import GUIDER, TINY, TWO_LEVELS

CLOSE = dict(atol=1e-4, rtol=1e-4)
PARTS = ("reference_unet", "denoising_unet", "motion_module", "pose_guider")


def _small(*shape) -> torch.Tensor:
    return 0.1 * torch.randn(*shape)


class PerFrameNorm(nn.Module):
    """AnimateDiff's norm, where diffusers' takes its statistics over all frames: (B, C, F, h, w)."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return torch.stack([self.norm(frame) for frame in x.unbind(2)], dim=2)


def animatediffs_norm(unet):
    """A copy with this norm in its motion modules."""
    unet = copy.deepcopy(unet)
    for name, module in unet.named_modules():
        if name.split(".")[-2:-1] == ["motion_modules"]:
            module.norm = PerFrameNorm(module.norm)
    return unet


@pytest.fixture(scope="module", params=[TINY, TWO_LEVELS], ids=["four levels", "two levels"])
def animate_anyone(request, tmp_path_factory):
    """The four files as the public implementation writes them, and the networks that they are from."""
    folder = tmp_path_factory.mktemp("published")
    denoiser = randomise(published.temporal(request.param, motion_max_seq_length=8))
    reference = randomise(published.spatial(request.param), seed=1)
    guider = published.pose_guider(GUIDER, request.param["block_out_channels"][0], make=_small)
    weights = denoiser.state_dict()
    contents = (
        published.without_head(reference.state_dict()),
        published.without_motion(weights),
        published.animatediff(weights),
        guider,
    )
    for name, content in zip(PARTS, contents, strict=True):
        torch.save(content, folder / f"{name}.pth")
    return SimpleNamespace(
        folder=folder,
        files=[folder / f"{name}.pth" for name in PARTS],
        denoiser=denoiser,
        reference=reference,
        guider=guider,
    )


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    """A Stable Diffusion checkpoint in half precision, and the network that it is from."""
    folder = tmp_path_factory.mktemp("sd")
    unet = randomise(published.spatial(TINY)).half()
    beside = {f"first_stage_model.{name}": torch.zeros(2) for name in ("encoder.a", "encoder.b", "decoder.a")}
    save_file(published.original(unet.state_dict(), levels=4) | beside, folder / "sd.safetensors")
    return SimpleNamespace(path=folder / "sd.safetensors", unet=unet.float())


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """AnimateDiff's third version, as its training script saves it, and a UNet with these motion modules."""
    path = tmp_path_factory.mktemp("module") / "v3.ckpt"
    unet = randomise(published.temporal(TINY, motion_max_seq_length=16, use_motion_mid_block=False), seed=2)
    torch.save({"epoch": 1, "state_dict": published.animatediff(unet.state_dict(), "module.")}, path)
    return SimpleNamespace(path=path, unet=unet)


def test_converted_animate_anyone_computes_what_diffusers_does(animate_anyone, tmp_path):
    files, out = animate_anyone.files[::-1], tmp_path / "model.safetensors"
    report = convert("animate-anyone", files, out)
    model = load(out)
    latents, t, context = torch.randn(2, 5, 4, 8, 8), torch.tensor([10, 700]), torch.randn(2, 1, 24)
    twin = animatediffs_norm(animate_anyone.denoiser)
    with torch.no_grad():
        expected = twin(latents.transpose(1, 2), t, context.repeat_interleave(5, 0)).sample.transpose(1, 2)
        torch.testing.assert_close(model.denoise(latents, t, context), expected, **CLOSE)
        skeleton = torch.rand(1, 2, 3, 64, 64)
        expected = skeleton[0]
        for name in [*dict.fromkeys(name.rpartition(".")[0] for name in animate_anyone.guider)]:
            stride = 2 if name in ("blocks.1", "blocks.3", "blocks.5") else 1
            weight, bias = (animate_anyone.guider[f"{name}.{kind}"] for kind in ("weight", "bias"))
            convolved = functional.conv2d(expected, weight, bias, padding=1, stride=stride)
            expected = convolved if name == "conv_out" else functional.silu(convolved)
        torch.testing.assert_close(model.pose(skeleton)[0], expected, **CLOSE)
    theirs = published.without_head(animate_anyone.reference.state_dict())
    assert model.reference.state_dict().keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.reference.state_dict().items())
    assert [part.source for part in report.parts] == [str(file) for file in files]
    told = "\n".join(report.lines())
    assert "second position tables" in told and "heads 8 (assumed" in told and "motion norm groups 32 (ass" in told
    assert f"wrote {out}: model animate-anyone, " in told and "fresh" not in told


def test_the_sister_release_needs_no_motion_file(animate_anyone, tmp_path):
    inside = {**torch.load(animate_anyone.files[1]), **torch.load(animate_anyone.files[2])}
    torch.save(inside, tmp_path / "denoising_unet.pth")
    files = [animate_anyone.files[0], tmp_path / "denoising_unet.pth", animate_anyone.files[3]]
    convert("animate-anyone", files, tmp_path / "one.safetensors")
    convert("animate-anyone", animate_anyone.files, tmp_path / "other.safetensors")
    one, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("one", "other"))
    assert one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    with pytest.raises(
        InputError, match="denoising_unet.pth and .*motion_module.pth both hold the motion modules: give"
    ):
        convert("animate-anyone", [*files, animate_anyone.files[2]], tmp_path / "both.safetensors")


def test_stable_diffusion_becomes_a_start_for_training(sd, tmp_path):
    state = torch.get_rng_state()
    report = convert("sd15", [sd.path], tmp_path / "a.safetensors")
    convert("sd15", [sd.path], tmp_path / "b.safetensors")
    assert torch.equal(torch.get_rng_state(), state), "nobody else's random numbers are touched"
    a, b = (load_file(tmp_path / f"{name}.safetensors") for name in "ab")
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items()), "new networks are always the same"
    assert {tensor.dtype for tensor in a.values()} == {torch.float16}
    model = load(tmp_path / "a.safetensors")
    latents, t, context = torch.randn(1, 3, 4, 8, 8), torch.tensor([700]), torch.randn(1, 1, 24)
    skeleton, depth = torch.rand(1, 3, 3, 64, 64), torch.rand(1, 3, 1, 64, 64)
    with torch.no_grad():
        expected = sd.unet(latents[0], t, context.expand(3, -1, -1)).sample
        got = model.denoise(
            latents,
            t,
            context,
            environment=torch.randn_like(latents),
            mask=torch.ones(1, 3, 1, 8, 8),
            pose=model.pose(skeleton, depth),
        )
    torch.testing.assert_close(got[0], expected, **CLOSE)
    theirs = sd.unet.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.reference.state_dict().items())
    config = model.config
    assert config.environment and config.objects and config.pose.depth and config.reference.mode == "midup"
    schedule = config.schedule
    assert (schedule.betas, schedule.prediction, schedule.zero_terminal_snr) == ("scaled_linear", "epsilon", False)
    told = "\n".join(report.lines())
    assert "ignored, not of the UNet: first_stage_model.* (3)" in told
    for network in (
        "ReferenceNet (a copy",
        "motion modules (",
        "pose guider (",
        "object guider (",
        "environment input",
    ):
        assert f"fresh: {network}" in told
    assert "motion heads" not in told, "new motion modules are not read off a shape"


def test_a_diffusers_folder_states_its_numbers(tmp_path):
    unet = randomise(published.spatial(TINY, norm_num_groups=8, attention_head_dim=4))
    unet.save_pretrained(tmp_path / "pipeline" / "unet")
    numbers = Numbers(motion_norm_groups=16)
    report = convert("sd15", [tmp_path / "pipeline"], tmp_path / "model.safetensors", numbers=numbers)
    model = load(tmp_path / "model.safetensors")
    assert (model.config.unet.heads, model.config.unet.norm_groups) == (4, 8)
    assert (model.config.unet.motion_modules.heads, model.config.unet.motion_modules.norm_groups) == (8, 16)
    assert "heads 4 (attention_head_dim stated with" in "\n".join(report.lines())
    latents, t, context = torch.randn(1, 1, 4, 8, 8), torch.tensor([3]), torch.randn(1, 1, 24)
    with torch.no_grad():
        expected = unet(latents[0], t, context).sample
        torch.testing.assert_close(model.denoise(latents, t, context)[0], expected, **CLOSE)


@pytest.mark.parametrize("kind", ["animatediff", "sd15"])
def test_animatediff_in_stable_diffusion(sd, module, tmp_path, kind):
    convert(kind, [module.path, sd.path], tmp_path / "model.safetensors", dtype=torch.float32)
    model = load(tmp_path / "model.safetensors")
    schedule, motion, sampling = model.config.schedule, model.config.unet.motion_modules, model.config.sampling
    assert (schedule.betas, schedule.prediction, schedule.zero_terminal_snr) == ("linear", "epsilon", False)
    assert (motion.max_frames, motion.mid_block, sampling.window, sampling.overlap) == (16, False, 16, 4)
    twin = published.temporal(TINY, motion_max_seq_length=16, use_motion_mid_block=False).eval()
    twin.load_state_dict(module.unet.state_dict() | sd.unet.state_dict())
    latents, t, context = torch.randn(1, 4, 4, 8, 8), torch.tensor([700]), torch.randn(1, 1, 24)
    with torch.no_grad():
        expected = animatediffs_norm(twin)(latents.transpose(1, 2), t, context.expand(4, -1, -1)).sample
        got = model.denoise(latents, t, context)
    torch.testing.assert_close(got, expected.transpose(1, 2), **CLOSE)


def test_motion_modules_alone_are_a_file_for_comfyui_and_for_convert(sd, module, tmp_path):
    report = convert("animatediff", [module.path], tmp_path / "mm.safetensors", numbers=Numbers(motion_heads=4))
    tensors = load_file(tmp_path / "mm.safetensors")
    assert tensors.keys() == {f"denoiser.{name}" for name in module.unet.state_dict() if "motion_modules" in name}
    with safe_open(tmp_path / "mm.safetensors", "pt") as file:
        header = file.metadata()
    assert header["modelspec.architecture"] == "inhabit/motion-modules"
    assert json.loads(header["inhabit.motion_modules"]) == {
        "motion_num_attention_heads": 4,
        "motion_norm_num_groups": 32,
    }
    assert any("motion heads 4 (as given by --motion-heads)" in line for line in report.lines())
    for read in (load, read_config):
        with pytest.raises(
            InputError, match="mm.safetensors holds motion modules alone, .*animatediff_models, .* convert"
        ):
            read(tmp_path / "mm.safetensors")
    convert("animatediff", [tmp_path / "mm.safetensors", sd.path], tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").config.unet.motion_modules.heads == 4
    with pytest.raises(InputError, match="both hold the motion modules"):
        convert("animatediff", [module.path, tmp_path / "mm.safetensors"], tmp_path / "two.safetensors")


def test_a_folder_of_diffusers_motion_adapter(module, tmp_path):
    module.unet.save_motion_modules(str(tmp_path / "adapter"))
    convert("animatediff", [tmp_path / "adapter"], tmp_path / "a.safetensors")
    convert("animatediff", [module.path], tmp_path / "b.safetensors")
    a, b = (load_file(tmp_path / f"{name}.safetensors") for name in "ab")
    assert a.keys() == b.keys() and all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_storage_type_is_kept_or_as_asked(sd, module, tmp_path):
    convert("animatediff", [sd.path, module.path], tmp_path / "kept.safetensors")
    kept = load_file(tmp_path / "kept.safetensors")
    assert kept["denoiser.conv_out.weight"].dtype == kept["pose.skeleton.conv_in.weight"].dtype == torch.float16
    assert kept["denoiser.down_blocks.0.motion_modules.0.proj_in.weight"].dtype == torch.float32
    convert("animatediff", [sd.path, module.path], tmp_path / "asked.safetensors", dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in load_file(tmp_path / "asked.safetensors").values()} == {torch.bfloat16}


def changed(file, folder, change):
    tensors = dict(torch.load(file))
    change(tensors)
    torch.save(tensors, folder / file.name)
    return folder / file.name


RESNET = "down_blocks.1.resnets.0.conv2.weight"
BROKEN = {  # (file, what is done to its tensors, words of the message)
    "missing": (1, lambda t: t.pop(RESNET), rf"denoising_unet.pth is no complete UNet: 1 \({RESNET}\) missing, 0 un"),
    "missing many": (0, lambda t: [t.pop(name) for name in [*t] if "norm2" in name], r"\d\d \(.*, …\) missing"),
    "missing a width": (1, lambda t: t.pop("down_blocks.0.resnets.0.conv1.weight"), "denoising_unet.pth lacks down_bl"),
    "unexpected": (3, lambda t: t.update(colour=torch.zeros(1)), r"pose_guider.pth .* 1 \(colour\) unexpected"),
    "unexpected in modules": (2, lambda t: t.update(x=torch.zeros(1)), r"motion_module.pth .* 1 \(x\) unexpected"),
    "another shape": (
        1,
        lambda t: t.update({RESNET: torch.zeros(2, 3)}),
        rf"1 \({RESNET} is \(2, 3\) and should be \(64, 64, 3, 3\)\) of another shape",
    ),
    "inpainting": (
        1,
        lambda t: t.update({"conv_in.weight": torch.zeros(32, 9, 3, 3)}),
        "takes 9 channels and returns 4",
    ),
}


@pytest.mark.parametrize(("index", "change", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("animate_anyone", [TINY], indirect=True, ids=["tiny"])
def test_a_partial_match_is_refused_and_nothing_written(animate_anyone, tmp_path, index, change, message):
    files = list(animate_anyone.files)
    files[index] = changed(files[index], tmp_path, change)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=message) as error:
        convert("animate-anyone", files, tmp_path / "out" / "model.safetensors")
    assert "\n" not in str(error.value) and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("animate_anyone", [TINY], indirect=True, ids=["tiny"])
def test_parts_that_do_not_belong_together(animate_anyone, sd, module, tmp_path):
    reference, denoiser, modules, guider = animate_anyone.files
    wide = randomise(published.temporal(TWO_LEVELS))
    torch.save(published.animatediff(wide.state_dict()), tmp_path / "wide.pth")
    for kind, files, message in (
        (
            "animate-anyone",
            [reference, denoiser],
            "lacks the motion modules .motion_module.pth.* and the pose guider",
        ),
        ("animate-anyone", [denoiser, modules, guider], r"lacks the ReferenceNet \(reference_unet.pth\): add this"),
        ("animate-anyone", [*animate_anyone.files, reference], "reference_unet.pth and .* both hold the ReferenceNet"),
        (
            "animate-anyone",
            [reference, sd.path, modules, guider],
            "sd.safetensors is a Stable Diffusion checkpoint; --kin",
        ),
        ("sd15", [reference], "is a ReferenceNet; --kind sd15 takes Stable Diffusion checkpoint, UNet and motion mod"),
        ("sd15", [sd.path, denoiser], "both hold the denoiser: give one"),
        ("animatediff", [sd.path], "--kind animatediff lacks the motion modules"),
        (
            "animatediff",
            [sd.path, tmp_path / "wide.pth"],
            "levels of 32, 64 channels, the UNet has 32, 64, 64, 64: give",
        ),
    ):
        with pytest.raises(InputError, match=message):
            convert(kind, files, tmp_path / "model.safetensors")
    assert not list(tmp_path.glob("*.safetensors*"))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (Numbers(norm_groups=24), "24 norm groups do not divide the 32 channels of a level: give --norm-groups"),
        (Numbers(heads=5), "5 heads do not .* give --heads"),
        (Numbers(motion_heads=5), "5 motion heads do not .* give --motion-heads"),
        (Numbers(heads=0, motion_heads=8), "0 heads do not .* give --heads"),
        (Numbers(motion_norm_groups=64), "give --motion-norm-groups"),
    ],
)
def test_numbers_that_do_not_divide(sd, tmp_path, numbers, message):
    with pytest.raises(InputError, match=message):
        convert("sd15", [sd.path], tmp_path / "model.safetensors", numbers=numbers)


def test_out_is_checked_before_anything_is_read(tmp_path):
    (tmp_path / "sd.safetensors").touch()
    for out, message in (
        (tmp_path / "model.ckpt", r"model.ckpt must end in .safetensors: give --out .*model.safetensors"),
        (tmp_path / "gone" / "model.safetensors", "cannot be written: give a file in an existing folder"),
        (tmp_path / "sd.safetensors", "is one of the files to convert"),
    ):
        with pytest.raises(InputError, match=message):
            convert("sd15", [tmp_path / "sd.safetensors"], out)


def test_parts_of_a_file_of_ours_can_be_put_to_others(sd, module):
    """As a ComfyUI node does it: another checkpoint and motion modules, the rest from a model that was trained."""
    trained = assemble([recognise(read_weights(sd.path))], KINDS["sd15"])
    roles = ("ReferenceNet", "pose guider", "object guider")
    tensors = {name: tensor + 1 for name, tensor in trained.tensors.items() if role_of(name) in roles}
    given = [recognise(read_weights(path)) for path in (sd.path, module.path)]
    kind = Kind(
        trained.config, tuple(part.layout for part in given) + ("UNet",), ("denoiser", "motion modules", *roles)
    )
    assembled = assemble([*given, Part("ours", "UNet", roles, tensors)], kind)
    assert assembled.report.fresh == ("environment input channels (zero)",)
    assert assembled.config.unet.motion_modules.max_frames == 16 and assembled.config.environment
    assert all(assembled.tensors[name] is tensor for name, tensor in tensors.items())
    with torch.device("meta"):
        model = AnimationModel(assembled.config)
    model.load_state_dict(assembled.tensors, assign=True)
