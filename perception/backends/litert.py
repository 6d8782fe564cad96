"""One network file on LiteRT, on one thread: pictures in, arrays out."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np

from ...errors import InputError

INSTALL = "python -m pip install ai-edge-litert"


def why_no_litert() -> str | None:
    """One line with the command that installs the runtime, or None where it is installed."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        return None
    return f"ai-edge-litert is not installed here: {INSTALL}"


class Graph:
    """A network of one float picture. One thread: these nets are small, and two threads wait for each other."""

    def __init__(self, content: bytes):
        """content: a .tflite file. Raises InputError where LiteRT is not installed, or broken."""
        reason = why_no_litert()
        if reason is not None:
            raise InputError(reason)
        try:
            interpreter = importlib.import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            raise InputError(f"ai-edge-litert cannot be loaded ({error}): {INSTALL} --force-reinstall") from error
        self._interpreter = interpreter.Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.side = int(self._input["shape"][1])  # pixels of the square picture that it takes

    def __call__(self, picture_HWC: np.ndarray) -> list[np.ndarray]:
        """(side, side, 3) float32 in the graph's own range → its outputs, in the file's order, without the batch."""
        self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(picture_HWC[None], np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output["index"])[0] for output in self._outputs]
