"""The noise schedule: a further shift of the SNR on a MODEL, and the trailing steps that any sampler can take."""

from __future__ import annotations

from comfy_api.latest import io

from ..errors import InputError
from .host.schedule import gamma_of, trailing_sigmas, with_shifted_snr
from .host.settings import own_steps
from .inputs import checked_latent
from .kinds import SAMPLING, STEPS, schema

AUTOMATIC = 0.0  # γ by the size of the latent


class InhabitShiftedSNR(io.ComfyNode):
    """HIA's formula (algorithm 1) at sampling alone; what a model was trained with is in the model already."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitShiftedSNR",
            display_name="Inhabit Shifted SNR",
            category=SAMPLING,
            search_aliases=["noise schedule", "model sampling", "zero terminal snr", "high resolution", "hia"],
            description="Adds noise at every step beyond what the model was trained with, since the same noise "
            "hides less of a large picture. The network is told step t and given the noise of a later step. For "
            "Inhabit's models and any with discrete noise levels (Stable Diffusion 1.5, 2, XL).",
            inputs=[
                io.Model.Input("model", tooltip="The model whose schedule is shifted; flow models have none."),
                io.Float.Input(
                    "gamma",
                    default=AUTOMATIC,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Factor on the signal-to-noise ratio of the model's own schedule; 1 changes nothing, and "
                    "is right for a model that was trained with a gamma. 0 is automatic: 512 x 512 over the pixels of "
                    "the latent, over the model's own gamma, at most 1.",
                ),
                io.Latent.Input("latent", optional=True, tooltip="What is sampled, for the automatic gamma."),
            ],
            outputs=[io.Model.Output("model_out", display_name="model")],
        )

    @classmethod
    def execute(cls, model, gamma: float, latent: dict | None = None) -> io.NodeOutput:
        if gamma == AUTOMATIC:
            if latent is None:
                raise InputError("gamma is 0, automatic, but no latent is connected; connect it, or give up to 1")
            gamma = gamma_of(model, checked_latent(latent, "latent"))
        return io.NodeOutput(with_shifted_snr(model, gamma))


class InhabitTrailingSigmas(io.ComfyNode):
    """The steps `inhabit animate` takes, for core's custom samplers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitTrailingSigmas",
            display_name="Inhabit Trailing Sigmas",
            category=SAMPLING,
            search_aliases=["scheduler", "timesteps", "zero terminal snr", "basic scheduler"],
            description="Steps that begin at the noisiest one the model was trained on. For SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip="Shifted by Inhabit Shifted SNR, the steps are, too."),
                io.Int.Input("steps", **STEPS),
            ],
            outputs=[io.Sigmas.Output("sigmas")],
        )

    @classmethod
    def execute(cls, model, steps: int) -> io.NodeOutput:
        return io.NodeOutput(trailing_sigmas(model, own_steps(model, steps)))
