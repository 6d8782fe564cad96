"""The hints of ControlNets and T2I adapters in context windows, for models of others."""

from __future__ import annotations

import copy

from torch import Tensor

CACHES = ("cond_hint", "control_input", "extra_concat")  # what core keeps of a hint between steps


class WindowControls:
    """The chains of `comfy.controlnet.ControlBase` as one window of frames sees them.

    One object a window for all conditionings: core joins those that share it in one call. The user's own stays.
    """

    def __init__(self, window: list[int], axis: int, frames: int) -> None:
        """`axis`: of the video's `frames`, in latents and hints: 0, or 2 where latents are (B, C, F, h, w)."""
        self._window, self._axis, self._frames = window, axis, frames
        self._made: dict[int, object] = {}

    def of(self, control):
        """Return the control, and those before it in its chain, with the hints of the window; made where it is new.

        A shallow copy, not core's `copy()`: that one forgets what `pre_run` set up for this run.
        """
        if control is None:
            return None
        if id(control) not in self._made:
            made = copy.copy(control)
            made.cond_hint_original = self._cut(control.cond_hint_original)
            made.extra_concat_orig = [self._cut(tensor) for tensor in control.extra_concat_orig]
            made.previous_controlnet = self.of(control.previous_controlnet)
            for name in CACHES:
                if hasattr(made, name):
                    setattr(made, name, None)
            self._made[id(control)] = made
        return self._made[id(control)]

    def _cut(self, hint):
        """Return the window's frames of a hint (F, C, H, W), or (B, C, F, H, W) of as many frames as the video.

        Of fewer pictures than frames core repeats all from the first on; one serves every frame.
        """
        if not isinstance(hint, Tensor) or hint.ndim < self._axis + 3 or hint.shape[self._axis] == 1:
            return hint
        if self._axis == 0:
            return hint[[frame % len(hint) for frame in self._window]]
        return hint[:, :, self._window] if hint.shape[2] == self._frames else hint
