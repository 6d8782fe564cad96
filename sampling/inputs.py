"""The address that `pipeline.inputs` had once, for scripts that know it."""

from ..pipeline.inputs import InputFiles, Inputs, load_inputs, open_inputs, with_neighbours

__all__ = ["InputFiles", "Inputs", "load_inputs", "open_inputs", "with_neighbours"]
