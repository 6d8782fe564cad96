"""The address that `pipeline.inputs` had once, for scripts that know it."""

import importlib

__all__ = ["InputFiles", "Inputs", "load_inputs", "open_inputs", "with_neighbours"]  # noqa: F822 - by the function below


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("...pipeline.inputs", __name__), name)
