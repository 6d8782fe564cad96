"""`python <pack folder> …`: the `inhabit` command without installation, whatever the folder is called."""

import importlib
import sys
import tempfile
from pathlib import Path


def run() -> int:
    """Run the command line and return its exit status.

    Python cannot import a folder such as `ComfyUI-Inhabit` by name, so the folder is lent the name `inhabit` by a
    one-line package on the search path. Worker processes inherit the search path and find the same modules.
    """
    if __package__:
        from .cli import main

        return main()
    folder = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory(prefix="inhabit-") as place:
        package = Path(place) / "inhabit"
        package.mkdir()
        (package / "__init__.py").write_text(f"__path__ = [{str(folder)!r}]\n", encoding="utf-8")
        sys.path[0] = place  # instead of the folder itself, whose `models` or `media` would shadow other packages
        return importlib.import_module("inhabit.cli").main()


if __name__ == "__main__":
    sys.exit(run())
