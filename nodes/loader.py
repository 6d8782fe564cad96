"""Checkpoint file → MODEL and VAE."""

from __future__ import annotations

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from .folders import checkpoint_names, checkpoint_path, fingerprint
from .host.model import load_model, load_vae
from .inputs import chosen
from .kinds import schema


def vae_or_blocker(vae, checkpoint: str):
    """The VAE; where there is none, what tells so to the nodes that want one."""
    if vae is None:
        return ExecutionBlocker(f"{checkpoint} carries no VAE: use Load VAE with the one it was trained with")
    return vae


class InhabitModelLoader(io.ComfyNode):
    """Loads one `.safetensors` file of `models/inhabit`, or the bundled small model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitModelLoader",
            display_name="Inhabit Model Loader",
            category="Inhabit",
            search_aliases=["animate anyone", "character animation", "wan animate", "video to video", "load inhabit"],
            description="Loads an Inhabit checkpoint. The bundled inhabit-puppets knows rendered puppets only.",
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=checkpoint_names(),
                    tooltip="A file of models/inhabit; inhabit-puppets.safetensors comes with the pack.",
                ),
            ],
            outputs=[
                io.Model.Output("model"),
                io.Vae.Output("vae", tooltip="Only where the file carries one; otherwise use Load VAE."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str) -> str:
        """Load again when the file was replaced."""
        return fingerprint(checkpoint_path(checkpoint))

    @classmethod
    def execute(cls, checkpoint: str) -> io.NodeOutput:
        path = checkpoint_path(chosen(checkpoint, checkpoint_names(), "checkpoint"))
        return io.NodeOutput(load_model(path), vae_or_blocker(load_vae(path), checkpoint))
