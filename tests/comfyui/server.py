"""A real ComfyUI in a process of its own, with this pack in `custom_nodes`, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from .cores import Core, cores, nothing_found
from .scripts import without_this_python

ROOT = Path(__file__).resolve().parents[2]
PACK = "ComfyUI-Inhabit"  # a folder name that is no Python name, as people have it
START_SECONDS, RUN_SECONDS = 300, 900
SWITCHED_ON = "dynamic VRAM is switched on"
SWITCH = f"""
import logging
import comfy.memory_management, comfy.model_patcher
comfy.memory_management.aimdo_enabled = True
comfy.model_patcher.CoreModelPatcher = comfy.model_patcher.ModelPatcherDynamic
NODE_CLASS_MAPPINGS = {{}}
import comfy.ops
if comfy.ops.disable_weight_init.Linear(2, 2).weight is None:
    logging.info("{SWITCHED_ON}")
"""
EARLY = "import comfy_aimdo.control; comfy_aimdo.control.init()"  # before core's modules bind the library


def first_core() -> Core:
    """Return the oldest checkout that can be started, for the generators. Raises RuntimeError where there is none."""
    usable = [core for core in cores() if core.missing is None]
    if not usable:
        raise RuntimeError(nothing_found())
    return usable[0]


class ComfyServer:
    """Starts on construction; `stop` ends it. `base` is its folder for models, inputs and outputs.

    `dynamic_vram` does what `main.py` does on a machine with an NVIDIA GPU, before core's modules are imported and by a
    custom node. `environment` goes before the process's own variables.
    """

    def __init__(
        self,
        base: Path,
        core: Core | None = None,
        *,
        dynamic_vram: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.base, self.core = base, core or first_core()
        (base / "custom_nodes").mkdir(parents=True)
        (base / "custom_nodes" / PACK).symlink_to(ROOT, target_is_directory=True)
        environment = environment or {}
        if dynamic_vram:
            environment = environment | {"PYTHONPATH": str(base / "early")}
            (base / "early").mkdir()
            (base / "early" / "sitecustomize.py").write_text(EARLY)
            (base / "custom_nodes" / "dynamic_vram.py").write_text(SWITCH)
        self.port = _free_port()
        self.log = base / "comfyui.log"
        command = [str(self.core.python), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--base-directory", str(base), "--database-url", f"sqlite:///{base / 'comfyui.db'}"]
        command += ["--disable-api-nodes", "--disable-auto-launch"]
        threads = {"OMP_NUM_THREADS": "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"}
        variables = without_this_python(os.environ) | threads | environment
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.core.folder, stdout=log, stderr=subprocess.STDOUT, env=variables
            )
        self._wait_until_it_answers()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict) -> dict:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} answered {error.code}: {error.read().decode()}") from error
        return json.loads(text) if text else {}

    def run(self, prompt: dict) -> dict:
        """Queue an API-format workflow, wait, and return its history entry, whether it succeeded or not."""
        return self.wait(self.queue(prompt))

    def queue(self, prompt: dict) -> str:
        return self.post("/prompt", {"prompt": prompt})["prompt_id"]

    def wait(self, number: str) -> dict:
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            history = self.get(f"/history/{number}")
            if number in history and history[number]["status"]["status_str"] in ("success", "error"):
                return history[number]
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise AssertionError(f"the workflow did not end\n{self.log_tail()}")

    def upload(self, path: Path) -> str:
        """Put a file into the input folder as the upload buttons do, and return the name to choose it by."""
        border = "----inhabit"
        head = f'--{border}\r\nContent-Disposition: form-data; name="image"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + f"\r\n--{border}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/upload/image", body, kind), timeout=60
        ) as answer:
            return json.load(answer)["name"]

    def files(self, history: dict, kind: str = "images") -> list[Path]:
        """Return what the workflow's output nodes wrote, in order."""
        saved = [entry for node in history["outputs"].values() for entry in node.get(kind, [])]
        return [self.base / entry["type"] / entry["subfolder"] / entry["filename"] for entry in saved]

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.3)
        self.stop()
        raise AssertionError(f"ComfyUI did not start\n{self.log_tail()}")


def failure(history: dict) -> str | None:
    """Return the message of the exception that ended a workflow; None when it succeeded."""
    for name, details in history["status"]["messages"]:
        if name == "execution_error":
            return details["exception_message"].strip()
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
