"""Initial noise for core's custom samplers."""

from __future__ import annotations

from comfy_api.latest import io

from .host.noise import ReferenceNoise
from .inputs import checked_latent
from .kinds import SAMPLING, schema


class InhabitReferenceNoise(io.ComfyNode):
    """HIA's initial reference noise (§3.4)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitReferenceNoise",
            display_name="Inhabit Reference Noise",
            category=SAMPLING,
            search_aliases=["random noise", "init noise", "initial noise", "hia"],
            description="Noise with the reference's picture under it, as at the model's last timestep. For "
            "SamplerCustomAdvanced with an empty latent. Models of zero terminal SNR, as inhabit-puppets, were trained "
            "to start from noise alone: with them it changes almost nothing.",
            inputs=[
                io.Model.Input(
                    "model", tooltip="The one to sample with, after Inhabit Shifted SNR where that is used."
                ),
                io.Latent.Input(
                    "reference", tooltip="VAE Encode of the character's picture; resized to what is sampled."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Of the noise and the window offsets; the noise is RandomNoise's of the same seed.",
                ),
            ],
            outputs=[io.Noise.Output("noise")],
        )

    @classmethod
    def execute(cls, model, reference: dict, seed: int) -> io.NodeOutput:
        return io.NodeOutput(ReferenceNoise(model, checked_latent(reference, "reference"), seed))
