"""The address that `pipeline.inputs` had once."""

from ..former import found_in

__all__ = ["InputFiles", "Inputs", "load_inputs", "open_inputs", "with_neighbours"]  # noqa: F822 - they have moved
__getattr__ = found_in("pipeline.inputs", __all__)
