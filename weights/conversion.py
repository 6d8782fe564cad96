"""`inhabit convert`: public weights in, one .safetensors file out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ..errors import InputError
from ..media.outputs import check_output
from ..models.config import UNetConfig
from ..models.model import AnimationModel
from ..models.unet import UNet
from .architecture import NOT_GIVEN, Numbers, level_widths, motion_config, settle
from .assembly import KINDS, Report, assemble, check_complete
from .checkpoint import MOTION_KEY, apart, save, write_tensors
from .files import read_weights
from .layouts import Part, recognise_all


def convert(
    kind: str,
    files: Sequence[str | Path],
    out: str | Path,
    *,
    dtype: torch.dtype | None = None,
    numbers: Numbers = NOT_GIVEN,
) -> Report:
    """Read public weights, in any order, and write one checkpoint; of AnimateDiff's motion modules alone, just these.

    Args:
        kind: a key of `KINDS`.
        files: weight files and diffusers folders, recognised by their content.
        out: ends in `.safetensors`; appears complete or not at all.
        dtype: storage type; None keeps each tensor's own.
        numbers: what shapes do not tell, where it is not as usual.
    Raises:
        InputError: a file cannot be used, a part is missing or there twice, or `out` cannot be written.
    """
    _check_out(Path(out), files)
    parts = [part for file in files for part in recognise_all(read_weights(file))]
    metadata = {"modelspec.description": f"Converted from {', '.join(Path(part.source).name for part in parts)}"}
    if kind == "animatediff" and all(part.layout == "motion modules" for part in parts):
        report = _write_motion_modules(parts, out, dtype, numbers, metadata)
    else:
        temporal = kind == "sd15" and any("motion modules" in part.roles for part in parts)
        assembled = assemble(parts, KINDS["animatediff" if temporal else kind], numbers)
        with torch.device("meta"):
            model = AnimationModel(assembled.config)
        model.load_state_dict(apart(assembled.tensors), assign=True)
        save(out, model, dtype=dtype, metadata=metadata)
        report = assembled.report
    size = Path(out).stat().st_size / 2**20
    return dataclasses.replace(report, written=f"wrote {out}: {report.written}, {size:.1f} MiB")


def _check_out(out: Path, files: Sequence[str | Path]) -> None:
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out} must end in .safetensors: give --out {out.with_suffix('.safetensors')}")
    if not out.parent.is_dir():
        raise InputError(f"--out {out} cannot be written: give a file in an existing folder")
    for file in files:
        if out.exists() and Path(file).exists() and out.samefile(file):
            raise InputError(f"--out {out} is one of the files to convert: give another name")
        check_output(out, {"FILE": file})


def _write_motion_modules(
    parts: Sequence[Part], out: str | Path, dtype: torch.dtype | None, numbers: Numbers, metadata: Mapping[str, str]
) -> Report:
    """Write AnimateDiff's motion modules alone, by our names."""
    if len(parts) > 1:
        raise InputError(f"{parts[0].source} and {parts[1].source} both hold the motion modules: give one of them")
    [part] = parts
    numbers, origins = settle(numbers, parts)
    widths, layers = level_widths(part, "motion_modules", "norm.weight")
    config = UNetConfig(
        block_out_channels=widths,
        attention=(False,) * len(widths),
        layers_per_block=layers,
        heads=1,
        norm_groups=1,
        cross_attention_dim=None,
        motion_modules=motion_config(part, widths, numbers),
    )
    with torch.device("meta"):
        whole = UNet(config, in_channels=config.in_channels, temporal=True).state_dict()
    shapes = {f"denoiser.{name}": tensor.shape for name, tensor in whole.items() if ".motion_modules." in name}
    check_complete(part, part.tensors, shapes)
    config = config.motion_modules
    settings = {"motion_num_attention_heads": config.heads, "motion_norm_num_groups": config.norm_groups}
    header = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "inhabit/motion-modules",
        "modelspec.implementation": "inhabit",
        "modelspec.title": "Inhabit motion modules",
        MOTION_KEY: json.dumps(settings),
        **metadata,
    }
    write_tensors(out, apart(part.tensors), header, dtype)
    told = tuple(origin for name, origin in origins.items() if name.startswith("motion_"))
    return Report((part,), numbers=told, written=f"motion modules alone, {len(part.tensors)} tensors")
