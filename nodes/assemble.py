"""Stable Diffusion checkpoint, motion modules and an Inhabit checkpoint → MODEL and VAE."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from .folders import CHECKPOINTS, MOTION_MODULES, checkpoint_names, checkpoint_path, fingerprint, names_in, path_in
from .host.model import assemble_model, load_checkpoint_vae
from .kinds import schema
from .loader import vae_or_blocker

NONE = "none"


class InhabitAssembleModel(io.ComfyNode):
    """Puts a model together from files in ComfyUI's own folders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitAssembleModel",
            display_name="Inhabit Assemble Model",
            category="Inhabit",
            search_aliases=["animatediff", "stable diffusion 1.5", "motion module", "load checkpoint"],
            description="Builds a model from a Stable Diffusion 1.5 checkpoint, AnimateDiff's motion modules and an "
            "Inhabit checkpoint. Without the last it is what a training starts from: it does not know characters yet.",
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=names_in(CHECKPOINTS),
                    tooltip="Stable Diffusion 1.5, a .safetensors file of models/checkpoints: denoiser and VAE.",
                ),
                io.Combo.Input(
                    "motion_module",
                    options=[NONE, *names_in(MOTION_MODULES)],
                    default=NONE,
                    tooltip="AnimateDiff v1, v2 or v3, a .safetensors file of models/animatediff_models "
                    "(inhabit convert makes one of a .ckpt). none: the Inhabit file's, or new ones.",
                ),
                io.Combo.Input(
                    "inhabit",
                    options=[NONE, *checkpoint_names()],
                    default=NONE,
                    optional=True,
                    tooltip="A file of models/inhabit that was trained from Stable Diffusion 1.5: its ReferenceNet, "
                    "guiders, environment input and settings. none: a copy of Stable Diffusion, new guiders.",
                ),
            ],
            outputs=[
                io.Model.Output("model"),
                io.Vae.Output("vae", tooltip="The checkpoint's; where it has none, use Load VAE."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str, motion_module: str, inhabit: str = NONE) -> str:
        """Assemble again when a file was replaced."""
        return fingerprint(*filter(None, cls._paths(checkpoint, motion_module, inhabit)))

    @classmethod
    def execute(cls, checkpoint: str, motion_module: str, inhabit: str = NONE) -> io.NodeOutput:
        paths = cls._paths(checkpoint, motion_module, inhabit)
        vae = vae_or_blocker(load_checkpoint_vae(paths[0]), checkpoint)
        return io.NodeOutput(assemble_model(*paths), vae)

    @staticmethod
    def _paths(checkpoint: str, motion_module: str, inhabit: str) -> tuple[Path, Path | None, Path | None]:
        """Raises InputError for a name that is not in its folder."""
        modules = None if motion_module == NONE else path_in(MOTION_MODULES, motion_module)
        ours = None if inhabit == NONE else checkpoint_path(inhabit)
        return path_in(CHECKPOINTS, checkpoint), modules, ours
