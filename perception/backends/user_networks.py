"""Networks of transformers from a folder of the user's: loaded once, checked for being whole, never downloaded."""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import InputError
from ...weights.user_models import UserModel


def folder_of(model: UserModel) -> Path:
    """The folder of its files. Raises InputError, with what to do, where there is none."""
    folder = model.folder()
    if folder is None:
        raise InputError(model.why_missing())
    return folder


def load_network(kind: type, folder: Path) -> torch.nn.Module:
    """A transformers model in float32 on the device there is, for inference.

    Raises InputError where the file lacks weights of it, has others, or cannot be read.
    """
    try:
        network, told = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be loaded as {kind.__name__}: {str(error).splitlines()[0]}") from error
    for key, what in (("missing_keys", "lacks"), ("unexpected_keys", "has, unknown to it,")):
        if told[key]:
            names = sorted(told[key])
            raise InputError(
                f"{folder}/model.safetensors {what} {len(names)} weights of {kind.__name__}, such as {names[0]}: "
                "give the file that belongs to its config.json"
            )
    return network.eval().requires_grad_(False).to(device())


def load_processor(kind: type, folder: Path):
    """A transformers processor. Raises InputError where it cannot be read."""
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} has no readable {kind.__name__}: {str(error).splitlines()[0]}") from error


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
