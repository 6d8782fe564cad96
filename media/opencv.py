"""OpenCV, imported when it is first used: without it the pack loads, and what needs it says what to install."""

import importlib

from ..errors import InputError

INSTALL = "python -m pip install opencv-python-headless"


class _OpenCV:
    """Stands for the module `cv2`."""

    def __getattr__(self, name: str):
        """Raises InputError where OpenCV is not installed, or lacks `name`."""
        try:
            module = importlib.import_module("cv2")
        except ImportError as error:
            raise InputError(f"this needs OpenCV, which is not installed here: {INSTALL}") from error
        value = getattr(module, name)
        setattr(self, name, value)  # the next access finds it without coming here
        return value


cv2 = _OpenCV()
