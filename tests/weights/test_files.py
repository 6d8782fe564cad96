"""Weight files on disk: mapped, not run, and one clear message for every unusable one."""

import json
import os

import pytest
import torch
from inhabit.errors import InputError
from inhabit.weights.files import read_pickled, read_safetensors, read_weights
from safetensors.torch import save_file

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1.5, 2.5], dtype=torch.float16)}


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("ending", ["safetensors", "pth", "ckpt", "bin", "old.pt"])
def test_every_format_gives_the_same_tensors(tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=ending != "old.pt")
    weights = read_weights(path)
    assert weights.source == str(path) and not weights.others and weights.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(weights.tensors[name], tensor) and weights.tensors[name].dtype == tensor.dtype


def test_a_training_scripts_wrapper_is_opened(tmp_path):
    torch.save({"epoch": 3, "state_dict": {**TENSORS, "version": 2}, "global_step": 9}, tmp_path / "mm.ckpt")
    weights = read_pickled(tmp_path / "mm.ckpt")
    assert weights.tensors.keys() == TENSORS.keys() and weights.others == ("epoch", "global_step", "version")


def test_a_folder_of_diffusers_or_of_its_pipeline(tmp_path):
    (tmp_path / "unet").mkdir()
    save_file(TENSORS, tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"norm_num_groups": 8}))
    for folder in (tmp_path, tmp_path / "unet"):
        weights = read_weights(folder)
        assert weights.tensors.keys() == TENSORS.keys() and weights.settings == {"norm_num_groups": 8}
    (tmp_path / "unet" / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json is not JSON"):
        read_weights(tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path, zipped):
    torch.save(TENSORS | {"x": Code(tmp_path / "made")}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"a.pth holds code or other objects \(\w+.mkdir\) .* was not run: get it as"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "made").exists()


def _broken(kind: str, folder):
    path = folder / kind
    if kind == "folder":
        path.mkdir()
    elif kind.startswith("text"):
        path.write_text("no weights at all, " * 20)
    elif kind.startswith("empty"):
        path.touch()
    elif kind.startswith("half"):
        whole = folder.parent / f"whole{path.suffix}"
        tensors = {"a": torch.zeros(3000)}
        if path.suffix == ".safetensors":
            save_file(tensors, whole)
        else:
            torch.save(tensors, whole, _use_new_zipfile_serialization=path.suffix != ".pt")
        path.write_bytes(whole.read_bytes()[:-700])
    elif kind == "tensor.pth":
        torch.save(torch.zeros(3), path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("gone.pth", "gone.pth does not exist: check"),
        ("folder", "folder is a folder without a diffusers network .* give"),
        ("text.pth", r"text.pth \(380 bytes\) is no weight file: give"),
        ("text.safetensors", r'is no weight file: give .* \(it is text that begins "no weights at all'),
        ("empty.ckpt", "is no weight file: give"),
        ("half.safetensors", "not a complete .safetensors file: copy"),
        ("half.pth", "not a complete PyTorch file: copy"),
        ("half.pt", "not a complete PyTorch file: copy"),
        ("tensor.pth", "holds a Tensor, not named tensors: give"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, kind, message):
    (tmp_path / "files").mkdir()
    with pytest.raises(InputError, match=message) as error:
        read_weights(_broken(kind, tmp_path / "files"))
    assert "\n" not in str(error.value)


def test_the_reader_for_comfyui_takes_no_pickle(tmp_path):
    torch.save(TENSORS, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="is pickled by PyTorch, whatever its name says.*inhabit convert"):
        read_safetensors(tmp_path / "a.safetensors")
