"""Where files of other people's models lie, and that only the published ones are read."""

import hashlib
from pathlib import Path

import pytest
from inhabit.errors import InputError
from inhabit.weights import installed
from inhabit.weights.installed import FileSet, KnownFile, model_folder, read_installed, why_missing

OLD, NEW, LARGE = b"one form", b"another form", b"the large one"


def known(name: str, *contents: bytes, optional: bool = False) -> KnownFile:
    forms = tuple((len(content), hashlib.sha256(content).hexdigest()) for content in contents)
    return KnownFile(name, forms, optional)


FILES = FileSet("toy", "toy==1", "MIT", (known("small", OLD, NEW), known("large", LARGE, optional=True)))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path))
    (tmp_path / "toy").mkdir()
    return tmp_path / "toy"


def test_the_variable_goes_first_then_comfyui_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(installed.VARIABLE, "~/weights")
    assert model_folder() == Path.home() / "weights"
    monkeypatch.delenv(installed.VARIABLE)
    monkeypatch.setattr(installed, "PACK", tmp_path / "ComfyUI" / "custom_nodes" / "pack")
    assert model_folder() == tmp_path / "ComfyUI" / "models" / "inhabit"
    monkeypatch.setattr(installed, "PACK", tmp_path / "pack")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert model_folder() == tmp_path / "cache" / "inhabit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert model_folder() == Path.home() / ".cache" / "inhabit"


@pytest.mark.parametrize("content", [OLD, NEW])
def test_every_published_form_is_read_and_the_first_of_several_names(folder, content):
    (folder / "small").write_bytes(content)
    assert why_missing(FILES) is None
    assert read_installed(FILES, ["large", "small"]) == content
    (folder / "large").write_bytes(LARGE)
    assert read_installed(FILES, ["large", "small"]) == LARGE


def test_what_is_missing_is_named_with_the_command(folder):
    for message in (why_missing(FILES), str(pytest.raises(InputError, read_installed, FILES, ["small"]).value)):
        assert message == f"small not in {folder}: run `inhabit fetch-weights --what toy` once"


@pytest.mark.parametrize("content", [b"one fOrm", b"", b"longer than any"])
def test_another_content_is_refused(folder, content):
    (folder / "small").write_bytes(content)
    with pytest.raises(InputError, match="small is not the published file, by its sha256: delete it and run"):
        read_installed(FILES, ["small"])
