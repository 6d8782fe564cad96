"""Guidance for core's custom samplers."""

from __future__ import annotations

from comfy_api.latest import io

from .host.guider import AnimationGuider
from .inputs import checked_conditioning, number
from .kinds import CFG, SAMPLING, schema


class InhabitAnimationGuider(io.ComfyNode):
    """HIA's animation-cfg (§3.4, eq. 4)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitAnimationGuider",
            display_name="Inhabit Animation Guider",
            category=SAMPLING,
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
                io.Float.Input("cfg", **CFG),
            ],
            outputs=[io.Guider.Output("guider")],
        )

    @classmethod
    def execute(cls, model, positive, negative, cfg: float) -> io.NodeOutput:
        guider = AnimationGuider(model)
        guider.set_conds(checked_conditioning(positive, "positive"), checked_conditioning(negative, "negative"))
        guider.set_cfg(number(cfg, "cfg"))
        return io.NodeOutput(guider)
