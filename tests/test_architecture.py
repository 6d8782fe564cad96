"""The house rules, read from the source text: who may import whom, and what no file of the pack may do."""

import ast
import functools
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Imports point down: a file may import its own room and the rooms of the rows above its own, and no other.
ORDER = [
    {"errors"},
    {"atomic", "former", "cli_values"},
    {"media"},
    {"models"},
    {"weights", "sampling"},
    {"perception", "scenes"},
    {"pipeline"},
    {"training"},
    {"evaluation"},
    {"nodes", "cli_arguments", "fetch"},
    {"cli", "__init__"},
    {"__main__"},
]
MAY_IMPORT = {room: set().union(*ORDER[:row]) | {room} for row, rooms in enumerate(ORDER) for room in rooms}
COMFYUI = {"comfy", "comfy_api", "comfy_api_nodes", "comfy_execution", "comfy_extras", "folder_paths", "server"}
COMFYUI |= {"execution", "latent_preview", "node_helpers", "nodes", "app"}
STABLE_COMFY = {"comfy.model_management", "comfy.utils"}  # progress and interrupt, as every pack uses them
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "subprocess", "pty"}
UNSAFE_MODULES |= {"runpy"}
NETWORK_MODULES = {"socket", "ssl", "http", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "websockets"}
UNSAFE_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.execv",
    "os.spawnv",
    "torch.hub.load",
}
MAY_PRINT = {"cli.py"}
MAY_RUN_PIP = {"fetch.py": {"runpy"}}  # the download that somebody asks for; ComfyUI never loads this file


def shipped_files() -> list[Path]:
    rooms = [room for room in MAY_IMPORT if (ROOT / room).is_dir()]
    files = [*ROOT.glob("*.py"), *(path for room in rooms for path in (ROOT / room).rglob("*.py"))]
    return sorted(path for path in files if "__pycache__" not in path.parts)


FILES = shipped_files()


def each_file(files: list[Path]):
    return pytest.mark.parametrize("path", files, ids=lambda path: str(path.relative_to(ROOT)))


def room_of(path: Path) -> str:
    """`models/unet.py` → models, `cli.py` → cli."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def relative_targets(path: Path, node: ast.ImportFrom) -> Iterator[tuple[str, ...]]:
    """Yield what `from ..a.b import c` names, as parts below the repository's root."""
    package = path.relative_to(ROOT).parent.parts
    base = package[: len(package) - (node.level - 1)]
    if node.level - 1 > len(package):
        raise AssertionError(f"{path}:{node.lineno} imports from above the pack")
    module = tuple(node.module.split(".")) if node.module else ()
    for alias in node.names:
        yield (*base, *module, alias.name)


def absolute_targets(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module


def dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def test_every_room_is_seen():
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT), "a new file or folder at the root needs a row here"


@each_file(FILES)
def test_imports_point_down(path: Path):
    room = room_of(path)
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            for target in relative_targets(path, node):
                assert target[0] in MAY_IMPORT[room], f"{path}:{node.lineno}: {room} may not import {'.'.join(target)}"


def test_names_are_found_where_they_were_once():
    """Scripts of others import from there; nothing of the pack does."""
    from inhabit import models, pipeline, sampling, weights
    from inhabit.pipeline import inputs
    from inhabit.sampling import inputs as former

    assert {name: getattr(models, name) for name in models.MOVED} == {n: getattr(weights, n) for n in models.MOVED}
    assert all(getattr(sampling, name) is getattr(pipeline, name) for name in sampling.MOVED)
    assert former.load_inputs is inputs.load_inputs and former.InputFiles is inputs.InputFiles
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        models.nothing  # noqa: B018


@each_file(FILES)
def test_own_modules_are_imported_relatively(path: Path):
    own = {"inhabit"} | set(MAY_IMPORT) - {"__init__", "__main__", "nodes"}
    for line, name in absolute_targets(parse(path)):
        assert name.split(".")[0] not in own, f"{path}:{line}: import {name} relatively, ComfyUI knows no such name"


@each_file([path for path in FILES if room_of(path) != "nodes"])
def test_comfyui_is_imported_in_nodes_alone(path: Path):
    for line, name in absolute_targets(parse(path)):
        assert name.split(".")[0] not in COMFYUI, f"{path}:{line} imports ComfyUI's {name}"


@each_file([path for path in FILES if path.parent == ROOT / "nodes"])
def test_comfyui_internals_are_imported_in_nodes_host_alone(path: Path):
    for line, name in absolute_targets(parse(path)):
        internal = name.split(".")[0] == "comfy" and name not in STABLE_COMFY
        assert not internal and name != "latent_preview", f"{path}:{line} imports {name}: nodes/host/ does that"


@each_file(FILES)
def test_nothing_unsafe(path: Path):
    tree = parse(path)
    unsafe = (UNSAFE_MODULES | NETWORK_MODULES) - MAY_RUN_PIP.get(str(path.relative_to(ROOT)), set())
    for line, name in absolute_targets(tree):
        assert name.split(".")[0] not in unsafe, f"{path}:{line} imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            assert name not in UNSAFE_CALLS, f"{path}:{node.lineno} calls {name}"
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("shell") != "True", f"{path}:{node.lineno} starts a shell"
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", f"{path}:{node.lineno} unpickles"
            if name in {"np.load", "numpy.load"}:
                assert keywords.get("allow_pickle", "False") == "False", f"{path}:{node.lineno} unpickles"
            if name == "yaml.load":
                assert "Safe" in keywords.get("Loader", ""), f"{path}:{node.lineno} builds any object"


@each_file([path for path in FILES if room_of(path) != "cli"])
def test_the_command_line_alone_downloads(path: Path):
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            assert ("fetch",) not in {target[:1] for target in relative_targets(path, node)}, f"{path}:{node.lineno}"


@each_file([path for path in FILES if str(path.relative_to(ROOT)) not in MAY_PRINT])
def test_only_the_command_line_prints(path: Path):
    calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call) and dotted(node.func) == "print"]
    assert not calls, f"{path}:{calls[0].lineno} prints: use logging"


@each_file(FILES)
def test_module_level_holds_definitions_only(path: Path):
    """Imports, definitions, constants; no bare call, loop or `with` runs when a module is imported."""
    definitions = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    definitions |= ast.Assign | ast.AnnAssign | ast.AugAssign
    for node in parse(path).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "__name__ == '__main__'"}
        optional = isinstance(node, ast.Try) and all(isinstance(inner, definitions) for inner in node.body)
        assert docstring or guard or optional or isinstance(node, definitions), f"{path}:{node.lineno} runs on import"


IMPORT_EVERYTHING = """
import importlib, json, logging, os, random, sys
sys.dont_write_bytecode = True
import accelerate, av, cv2, diffusers, numpy, torch, torchmetrics, transformers  # what these do is theirs
def state():
    return {
        "threads": torch.get_num_threads(), "grad": torch.is_grad_enabled(), "dtype": str(torch.get_default_dtype()),
        "torch": torch.get_rng_state().sum().item(), "random": hash(random.getstate()),
        "numpy": int(numpy.random.get_state()[1].astype("int64").sum()), "environment": dict(os.environ),
        "handlers": len(logging.getLogger().handlers), "level": logging.getLogger().level,
        "folder": os.getcwd(), "files": sorted(os.listdir()),
    }
before = state()
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
after = state()
changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
comfyui = sorted(name for name in sys.modules if name.split(".")[0] in ("comfy", "comfy_api", "folder_paths", "server"))
json.dump({"changed": changed, "comfyui": comfyui}, sys.stdout)
"""


def test_importing_changes_nothing(tmp_path: Path):
    """Every module outside nodes/ is imported in a fresh interpreter: no state, file or output comes of it."""
    files = [path for path in FILES if room_of(path) not in {"nodes", "__main__"}]
    modules = [".".join(("inhabit", *path.relative_to(ROOT).with_suffix("").parts)) for path in files]
    names = json.dumps([name.removesuffix(".__init__") for name in modules])
    command = [sys.executable, "-c", IMPORT_EVERYTHING, names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"changed": {}, "comfyui": []}, "nothing but the check's own line is printed"


def test_the_package_itself_needs_neither_torch_nor_comfyui():
    code = "import sys, inhabit; sys.exit(not {'torch', 'numpy', 'comfy', 'comfy_api'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_requirements():
    """ComfyUI brings torch, numpy and (through other packs) OpenCV; an upper pin would move its packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert sorted(line for line in lines if line and not line.startswith("#")) == sorted(project["dependencies"])
    for requirement in project["dependencies"]:
        assert not requirement.startswith(("torch", "numpy", "opencv", "rtmlib")), requirement
        assert not any(sign in requirement for sign in ("<", "==", "~=")), f"{requirement} pins an upper version"


def test_every_package_is_installed():
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    expected = {
        ".".join(("inhabit", *path.parent.relative_to(ROOT).parts)) for path in FILES if path.name == "__init__.py"
    }
    assert packages == expected


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff(command: list[str]):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
