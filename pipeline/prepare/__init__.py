"""A folder of videos → a training set of scene folders."""

from .dataset import prepare
from .settings import PrepareSettings

__all__ = ["PrepareSettings", "prepare"]
