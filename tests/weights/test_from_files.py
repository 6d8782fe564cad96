"""A model put together from files, as the ComfyUI node does it: equal to `convert`, and with what was learned kept."""

import logging

import pytest
import torch
from inhabit.errors import InputError
from inhabit.models import AnimationModel
from inhabit.models.config import LatentConfig, ModelConfig, ReferenceConfig
from inhabit.weights import load, save
from inhabit.weights.assembly import KINDS
from inhabit.weights.checkpoint import apart, build
from inhabit.weights.conversion import convert
from inhabit.weights.from_files import assemble_files, read_vae
from safetensors.torch import save_file

from ..models.conftest import randomise, tiny_config
from . import published
from .published import TINY, TWO_LEVELS

KEPT = ("reference.", "pose.", "objects.")


def motion_modules(seed: int, **changes) -> dict:
    return apart(published.animatediff(randomise(published.temporal(TINY, **changes), seed).state_dict()))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """name → path: a checkpoint in half precision with a VAE, motion modules of v2 and v3, and a model of ours."""
    folder = tmp_path_factory.mktemp("files")
    unet = randomise(published.spatial(TINY)).half().state_dict()
    vae = {"first_stage_model.decoder.a": torch.ones(2)}
    save_file(published.original(unet, levels=4) | vae, folder / "sd.safetensors")
    save_file(motion_modules(1, motion_max_seq_length=32), folder / "v2.safetensors")
    save_file(motion_modules(2, motion_max_seq_length=16, use_motion_mid_block=False), folder / "v3.safetensors")
    start = assemble_files(folder / "sd.safetensors")[0]
    config = start.model_dump() | {
        "name": "ours",
        "reference": ReferenceConfig(mode="full", patch_attention=True).model_dump(),
    }
    config["unet"]["motion_modules"] |= {"heads": 4, "norm_per_frame": False, "max_frames": 20}
    config["sampling"] |= {"window": 18}
    save(folder / "ours.safetensors", randomise(AnimationModel(ModelConfig.model_validate(config)), seed=3))
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize(("kind", "modules"), [("sd15", []), ("animatediff", ["v2"]), ("animatediff", ["v3"])])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_same_as_what_convert_writes(files, tmp_path, caplog, kind, modules, dtype):
    convert(kind, [files["sd"], *(files[name] for name in modules)], tmp_path / "model.safetensors")
    expected = load(tmp_path / "model.safetensors", dtype=dtype)
    with caplog.at_level(logging.INFO):
        config, tensors = assemble_files(files["sd"], *(files[name] for name in modules))
    model = build(config, tensors, dtype=dtype)
    assert config == expected.config == model.config and not tensors
    assert_same(model.state_dict(), expected.state_dict())
    assert "fresh: ReferenceNet (a copy of" in caplog.text and "sd.safetensors: Stable Diffusion" in caplog.text


def test_what_converted_motion_modules_say_holds(files, tmp_path):
    convert("animatediff", [files["v2"]], tmp_path / "mm.safetensors")
    converted, original = (
        assemble_files(files["sd"], tmp_path / "mm.safetensors"),
        assemble_files(files["sd"], files["v2"]),
    )
    assert converted[0] == original[0]
    assert_same(converted[1], original[1])


@pytest.mark.parametrize("modules", [None, "v3"])
def test_all_that_stable_diffusion_lacks_is_of_our_file(files, modules):
    config, tensors = assemble_files(files["sd"], files.get(modules), files["ours"])
    own_model, theirs = load(files["ours"]), assemble_files(files["sd"], files.get(modules))[1]
    ours, trained = own_model.state_dict(), own_model.config
    for name, tensor in tensors.items():
        if name == "denoiser.conv_in.weight":
            assert torch.equal(tensor[:, :4], theirs[name][:, :4].float()), "the latents' channels are the checkpoint's"
            assert torch.equal(tensor[:, 4:], ours[name][:, 4:]), "the environment's are as they were learned"
        elif ".motion_modules." in name:
            assert torch.equal(tensor, (theirs if modules else ours)[name])
        else:
            own = name.startswith(KEPT) or ".lookups." in name
            assert torch.equal(tensor, (ours if own else theirs)[name]), name
    motion = config.unet.motion_modules
    if modules:
        assert (motion.heads, motion.max_frames, motion.norm_per_frame, motion.mid_block) == (8, 16, True, False)
        assert config.sampling.window == 16
    else:
        assert config == trained
    assert (config.reference, config.schedule, config.name) == (trained.reference, trained.schedule, "ours")
    build(config, tensors)


def test_a_model_without_an_environment_input_stays_without(files, tmp_path):
    start = KINDS["animate-anyone"].start
    config = ModelConfig.model_validate(start.model_dump() | {"unet": load(files["ours"]).config.unet.model_dump()})
    save(tmp_path / "v1.safetensors", randomise(AnimationModel(config)))
    assembled, tensors = assemble_files(files["sd"], None, tmp_path / "v1.safetensors")
    assert assembled.unet == config.unet and tensors["denoiser.conv_in.weight"].shape[1] == 4
    build(assembled, tensors)


def test_shared_tensors_stay_shared_and_files_mapped(files, tmp_path):
    config, tensors = assemble_files(files["sd"])
    model = build(config, tensors, dtype=torch.float32)
    name = "down_blocks.0.resnets.0.conv1"
    one, other = model.denoiser.get_submodule(name).weight, model.reference.get_submodule(name).weight
    assert one.data_ptr() == other.data_ptr() and one.dtype == torch.float32
    save(tmp_path / "full.safetensors", load(files["ours"]))
    stored = assemble_files(files["sd"], None, tmp_path / "full.safetensors")[1]
    kept = stored["pose.skeleton.conv_in.weight"]
    placed = build(load(files["ours"]).config, stored).pose.skeleton.conv_in.weight
    assert placed.data_ptr() == kept.data_ptr(), "nothing is copied that is as it shall be"


def test_the_vae_is_handed_on_by_its_own_names(files):
    assert {name: tensor.tolist() for name, tensor in read_vae(files["sd"]).items()} == {"decoder.a": [1, 1]}
    assert read_vae(files["v2"]) == {}


def test_files_that_do_not_belong_together(files, tmp_path):
    wide = published.animatediff(randomise(published.temporal(TWO_LEVELS)).state_dict())
    save_file(apart(wide), tmp_path / "wide.safetensors")
    other_latents = LatentConfig(scale=2.0)
    save(tmp_path / "small.safetensors", AnimationModel(tiny_config()))
    save(tmp_path / "latents.safetensors", AnimationModel(tiny_config().model_copy(update={"latent": other_latents})))
    for arguments, message in (
        ((files["v2"],), "v2.safetensors is a file of motion modules: choose a Stable Diffusion 1.5 checkpoint"),
        ((files["sd"], files["sd"]), "is a file of Stable Diffusion checkpoint: choose AnimateDiff's motion modules"),
        ((files["sd"], tmp_path / "wide.safetensors"), "levels of 32, 64 channels, the UNet has 32, 64, 64, 64: give"),
        ((files["ours"],), "ours.safetensors is an Inhabit checkpoint already"),
        ((files["sd"], None, files["sd"]), "sd.safetensors is not an Inhabit checkpoint"),
        ((files["sd"], None, tmp_path / "small.safetensors"), r"block out channels \(32, 64, 64\), .* has"),
        ((files["sd"], None, tmp_path / "latents.safetensors"), "latents of another VAE than Stable Diffusion's"),
    ):
        with pytest.raises(InputError, match=message) as error:
            assemble_files(*arguments)
        assert "\n" not in str(error.value)


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype and torch.equal(tensor, other[name]), name
