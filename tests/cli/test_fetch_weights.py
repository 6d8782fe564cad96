"""`inhabit fetch-weights` with a small set of files in place of the real one, in all the forms that people have."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from inhabit import fetch
from inhabit.cli import main
from inhabit.weights import installed
from inhabit.weights.installed import FileSet, KnownFile

BODY, HAND, LARGE = (bytes(4) + b"TFL3" + name * 50 for name in (b"body", b"hand!", b"large"))


def with_a_zip_behind(content: bytes) -> bytes:
    """A graph as many are published: its metadata lies behind it as a zip archive."""
    behind = io.BytesIO()
    with zipfile.ZipFile(behind, "w") as archive:
        archive.writestr("labels.txt", "left right")
    return content + behind.getvalue()


HAND_WITH_LABELS = with_a_zip_behind(HAND)


def known(name: str, *contents: bytes, optional: bool = False) -> KnownFile:
    forms = tuple((len(content), hashlib.sha256(content).hexdigest()) for content in contents)
    return KnownFile(name, forms, optional)


TOY = FileSet(
    "mediapipe",
    "toy==1.5",
    "MIT (nobody)",
    (
        known("body.tflite", BODY),
        known("hand.tflite", HAND_WITH_LABELS, HAND),
        known("large.tflite", LARGE, optional=True),
    ),
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Where the files go; pip is out of reach unless a test gives another one."""
    monkeypatch.setitem(fetch.SETS, "mediapipe", TOY)
    monkeypatch.setattr(fetch, "_pip", lambda arguments: (1, "Looking in …\nERROR: No matching distribution found\n"))
    monkeypatch.setenv(installed.VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models" / "mediapipe"


def run(*arguments) -> int:
    return main(["fetch-weights", "--what", "mediapipe", *map(str, arguments)])


def zipped(path: Path, *contents: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("toy/__init__.py", "raise RuntimeError('nothing of it is run')")
        for index, content in enumerate(contents):
            archive.writestr(f"toy/graph-{index}.tflite", content)
    return path


def tarred(path: Path, content: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/packed_assets.data")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_pip_downloads_the_pinned_wheel_and_the_wanted_files_are_taken(folder, monkeypatch, capsys):
    def pip(arguments: list[str]) -> tuple[int, str]:
        assert arguments[0] == "download" and "--no-deps" in arguments and arguments[-1] == "toy==1.5"
        zipped(Path(arguments[arguments.index("--dest") + 1]) / "toy-1.5.whl", BODY, b"another", HAND_WITH_LABELS)
        return 0, ""

    monkeypatch.setattr(fetch, "_pip", pip)
    assert run() == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "body.tflite": BODY,
        "hand.tflite": HAND_WITH_LABELS,
    }
    told = capsys.readouterr().out
    assert "MIT (nobody)" in told and str(folder) in told and told.count("as published") == 2
    assert "large.tflite: not there, and may be absent" in told
    monkeypatch.setattr(fetch, "_pip", None)
    assert run() == 0, "what is there is not downloaded again"
    (folder / "body.tflite").write_bytes(b"damaged")
    monkeypatch.setattr(fetch, "_pip", pip)
    assert run() == 0 and (folder / "body.tflite").read_bytes() == BODY, "what is damaged is"


@pytest.mark.parametrize("form", ["wheel", "bundle", "npm", "packed", "folder", "files"])
def test_files_are_taken_from_what_people_have(folder, tmp_path, form):
    packed = b"text" + LARGE + HAND + b"TFL3 is no graph here" + BODY
    source = tmp_path / "given"
    source.mkdir()
    if form == "wheel":
        given = [zipped(source / "toy.whl", BODY, HAND, LARGE)]
    elif form == "bundle":
        given = [zipped(source / "toy.task", BODY, HAND_WITH_LABELS, LARGE, compression=zipfile.ZIP_STORED)]
    elif form == "npm":
        given = [tarred(source / "toy.tgz", packed)]
    else:
        (source / "any name").write_bytes(packed if form == "packed" else BODY)
        (source / "other.tflite").write_bytes(b"" if form == "packed" else HAND_WITH_LABELS)
        (source / "large").write_bytes(LARGE)
        given = [source] if form == "folder" else sorted(source.iterdir())
    assert run("--from", *given) == 0
    assert (folder / "body.tflite").read_bytes() == BODY and (folder / "large.tflite").read_bytes() == LARGE
    assert (folder / "hand.tflite").read_bytes() in (HAND, HAND_WITH_LABELS)


def test_what_is_not_the_published_file_is_refused_and_the_rest_kept(folder, tmp_path, capsys):
    given = zipped(tmp_path / "toy.whl", BODY, HAND[:-1] + b"?")
    assert run("--from", given) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{given} holds no published form of hand.tflite, by their sha256" in line
    assert [path.name for path in folder.iterdir()] == ["body.tflite"]


@pytest.mark.parametrize("wrong", ["missing.whl", "damaged.whl", "damaged.tgz"])
def test_what_cannot_be_read_is_one_line(folder, tmp_path, capsys, wrong):
    path = tmp_path / wrong
    if wrong == "damaged.whl":
        content = zipped(path, BODY * 9, HAND, compression=zipfile.ZIP_STORED).read_bytes()
        path.write_bytes(content.replace(BODY[8:60], b"x" * 52))
    elif wrong == "damaged.tgz":
        path.write_bytes(tarred(path, BODY + bytes(range(256)) * 999).read_bytes()[:-400])
    assert run("--from", path) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert str(path) in line and not folder.exists()


def test_without_a_network_the_way_out_is_told(folder, capsys):
    assert run() == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "pip could not download toy==1.5 (ERROR: No matching distribution found): " in line and "--from" in line
    assert not folder.exists()


def test_a_list_changes_nothing(folder, capsys):
    assert run("--list") == 0
    told = capsys.readouterr().out
    assert "toy==1.5" in told and "MIT" in told and told.count("missing") == 2 and not folder.parent.exists()
    folder.mkdir(parents=True)
    (folder / "body.tflite").write_bytes(BODY)
    (folder / "hand.tflite").write_bytes(b"?")
    assert run("--list") == 0
    told = capsys.readouterr().out
    assert f"body.tflite: {len(BODY)} bytes, as published" in told and "hand.tflite: 1 bytes, NOT the" in told
    assert run("--list", "--from", folder) == 2
    assert "--from says nothing to --list" in capsys.readouterr().err


def test_pip_runs_in_this_process():
    """In a fresh interpreter, since pip sets up logging for itself."""
    code = (
        "import sys; from inhabit.fetch import _pip; before = list(sys.argv)\n"
        "assert _pip(['--version'])[0] == 0\n"
        "status, told = _pip(['download', '--no-index', '--no-deps', 'there-is-no-such-thing'])\n"
        "assert status != 0 and 'ERROR' in told and sys.argv == before, (status, told)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
