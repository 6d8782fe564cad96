"""Models whose files people bring themselves: what they are, where they are looked for, and what is missing.

Nothing here reaches the network. Their files have no hash here: there are many sizes and trainings of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .installed import PACK, model_folder


@dataclass(frozen=True)
class UserModel:
    """One model: names of the files that it needs, of which each may go by several; the page and licence of them.

    usual: folders below ComfyUI's `models/` where they may lie as well.
    """

    name: str
    page: str
    licence: str
    files: tuple[tuple[str, ...], ...]
    usual: tuple[str, ...] = ()

    @property
    def own_folder(self) -> Path:
        """Where `inhabit fetch-weights` puts them."""
        return model_folder() / self.name

    def folder(self) -> Path | None:
        """The first folder that holds all of the files, or None."""
        places = [self.own_folder]
        if PACK.parent.name == "custom_nodes":
            places += [PACK.parents[1] / "models" / name for name in self.usual]
        return next((place for place in places if not self.missing_in(place)), None)

    def missing_in(self, folder: Path) -> list[str]:
        """What a folder lacks of the files."""
        return [" or ".join(names) for names in self.files if not any((folder / name).is_file() for name in names)]

    def why_missing(self) -> str | None:
        """One line with what to do, or None where the files are there."""
        if self.folder() is not None:
            return None
        return (
            f"{self.name}: {', '.join(self.missing_in(self.own_folder))} not in {self.own_folder}: download from "
            f"{self.page} ({self.licence}) and run `inhabit fetch-weights --what {self.name} --from FOLDER` once"
        )


# config.json and the like, as transformers' own `save_pretrained` writes them
TRANSFORMERS = (("config.json",), ("model.safetensors",), ("preprocessor_config.json", "processor_config.json"))
