"""Guidance for core's custom samplers."""

from __future__ import annotations

from comfy_api.latest import io

from . import host_guider
from .inputs import checked_conditioning, number
from .kinds import schema
from .sampler import CATEGORY


class InhabitAnimationGuider(io.ComfyNode):
    """HIA's animation-cfg (§3.4, eq. 4)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitAnimationGuider",
            display_name="Inhabit Animation Guider",
            category=CATEGORY,
            search_aliases=["cfg guider", "animation-cfg", "classifier-free guidance", "hia"],
            description="Guidance towards reference and motion: the negative side goes without both, even where the "
            "same conditioning is wired to both sides. For SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip="From Inhabit Model Loader or Inhabit Assemble Model."),
                io.Conditioning.Input("positive", tooltip="Reference, motion, environment and objects."),
                io.Conditioning.Input(
                    "negative",
                    tooltip="Environment and objects; of the positive one, reference and motion are taken out.",
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="How strongly reference and motion are followed. 1 needs half the time and suits "
                    "inhabit-puppets; about 3.5 suits full-size models.",
                ),
            ],
            outputs=[io.Guider.Output("guider")],
        )

    @classmethod
    def execute(cls, model, positive, negative, cfg: float) -> io.NodeOutput:
        guider = host_guider.AnimationGuider(model)
        guider.set_conds(checked_conditioning(positive, "positive"), checked_conditioning(negative, "negative"))
        guider.set_cfg(number(cfg, "cfg"))
        return io.NodeOutput(guider)
