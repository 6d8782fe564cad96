"""`inhabit convert` from published files to a checkpoint, and every wrong file refused in one line."""

import re

import pytest
import torch
from inhabit.cli import main
from inhabit.weights import load
from safetensors.torch import load_file, save_file

from ..weights import published


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Animate Anyone's four files and Stable Diffusion's one, tiny."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    denoiser, spatial = published.temporal(published.TINY).state_dict(), published.spatial(published.TINY).state_dict()
    torch.save(published.without_head(spatial), folder / "reference_unet.pth")
    torch.save(published.without_motion(denoiser), folder / "denoising_unet.pth")
    torch.save(published.animatediff(denoiser), folder / "motion_module.pth")
    torch.save(published.pose_guider(published.GUIDER, 32, make=torch.randn), folder / "pose_guider.pth")
    save_file(published.original(spatial, levels=4), folder / "sd.safetensors")
    return folder


def animate_anyone(folder) -> list:
    return [folder / f"{name}.pth" for name in ("motion_module", "pose_guider", "reference_unet", "denoising_unet")]


def run(capsys, kind, files, out, *more) -> tuple[int, str, str]:
    code = main(["convert", "--kind", kind, *map(str, files), "--out", str(out), *more])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_report_names_every_file_and_what_was_assumed(files, tmp_path, capsys):
    code, told, _ = run(capsys, "animate-anyone", animate_anyone(files), tmp_path / "aa.safetensors")
    assert code == 0
    for line in (
        r"motion_module.pth: motion modules, 567 tensors taken",
        r"  ignored, second position tables, equal to the first: .*down_blocks\.\* \(8\)",
        r"pose_guider.pth: pose guider, 16 tensors taken",
        r"reference_unet.pth: ReferenceNet, 680 tensors taken",
        r"denoising_unet.pth: UNet, 684 tensors taken",
        r"heads 8 \(assumed.* --heads",
        r"motion norm groups 32 \(assumed.* --motion-norm-groups",
        r"wrote .*aa.safetensors: model animate-anyone, 1947 tensors, 0 missing, 0 unexpected, \d+\.\d MiB",
    ):
        assert re.search(f"^\\S*{line}", told, re.MULTILINE), (line, told)
    model = load(tmp_path / "aa.safetensors")
    assert model.denoise(torch.randn(1, 2, 4, 8, 8), torch.tensor([5]), torch.randn(1, 1, 24)).shape == (1, 2, 4, 8, 8)


def test_numbers_and_type_are_options(files, tmp_path, capsys):
    options = ["--dtype", "float16", "--heads", "4", "--norm-groups", "16", "--motion-heads", "2"]
    code, told, _ = run(capsys, "sd15", [files / "sd.safetensors"], tmp_path / "sd.safetensors", *options)
    assert code == 0 and "heads 4 (as given by --heads)" in told and "fresh: pose guider" in told
    unet = load(tmp_path / "sd.safetensors").config.unet
    modules = unet.motion_modules
    assert (unet.heads, unet.norm_groups, modules.heads, modules.norm_groups) == (4, 16, 2, 16)
    assert {tensor.dtype for tensor in load_file(tmp_path / "sd.safetensors").values()} == {torch.float16}


def test_a_motion_file_is_no_model_for_animate(files, tmp_path, animate, capsys):
    code, _, _ = run(capsys, "animatediff", [files / "motion_module.pth"], tmp_path / "mm.safetensors")
    assert code == 0
    code, error = animate(model=tmp_path / "mm.safetensors")
    assert code == 2 and "motion modules alone" in error and error.count("inhabit: error: ") == 1


class Code:
    def __reduce__(self):
        return print, ("code was run",)


def _half(folder, good):
    (folder / "half.safetensors").write_bytes((good / "sd.safetensors").read_bytes()[:-100])


def _saved(name: str, tensors: dict):
    return lambda folder, good: (torch.save if name.endswith(".pth") else save_file)(tensors, folder / name)


WRONG = {  # file name → (how it is made, words of the message)
    "text.ckpt": (lambda f, g: (f / "text.ckpt").write_text("see the web page"), "is no weight file: give"),
    "half.safetensors": (_half, r"\(\d+ bytes\) is not a complete .safetensors file: copy"),
    "code.pth": (_saved("code.pth", {"a": Code()}), r"holds code or other objects.* was not run: get it as"),
    "folder": (lambda f, g: (f / "folder").mkdir(), "is a folder without a diffusers network"),
    "gone.pth": (lambda f, g: None, "does not exist: check"),
    "lora.safetensors": (_saved("lora.safetensors", {"lora_unet_x.lora_down.weight": torch.zeros(2, 2)}), "is a LoRA"),
    "xl.safetensors": (
        _saved("xl.safetensors", {f"{published.ORIGINAL}label_emb.0.0.bias": torch.zeros(2)}),
        "is a Stable Diffusion XL model: Stable Diffusion 1.5 is needed",
    ),
    "cat.safetensors": (_saved("cat.safetensors", {"cat": torch.zeros(2)}), r"first keys: cat\): give"),
}


@pytest.mark.parametrize(("name", "case"), WRONG.items(), ids=WRONG)
def test_wrong_files_are_refused_in_one_line(files, tmp_path, capsys, name, case):
    make, message = case
    make(tmp_path, files)
    (tmp_path / "out").mkdir()
    code, told, error = run(capsys, "sd15", [tmp_path / name], tmp_path / "out" / "model.safetensors")
    assert (code, told) == (2, "") and error.count("\n") == 1
    assert re.match(rf"inhabit: error: \S*{name} .*{message}", error), error
    assert not list((tmp_path / "out").iterdir())


def test_missing_parts_are_named_and_an_old_file_stays(files, tmp_path, capsys):
    (tmp_path / "old.safetensors").write_bytes(b"an older model")
    code, _, error = run(capsys, "animate-anyone", animate_anyone(files)[1:], tmp_path / "old.safetensors")
    assert code == 2 and "lacks the motion modules (motion_module.pth" in error and error.count("\n") == 1
    assert (tmp_path / "old.safetensors").read_bytes() == b"an older model"
