"""LoRA file → MODEL with it."""

from __future__ import annotations

from comfy_api.latest import io

from ..weights.lora import NEIGHBOUR
from .folders import LORAS, fingerprint, lora_names, path_in
from .host.lora import with_lora
from .inputs import chosen, number
from .kinds import schema


class InhabitLoRALoader(io.ComfyNode):
    """Core's LoraLoaderModelOnly takes kohya's names; this takes those of peft and diffusers, too."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitLoRALoader",
            display_name="Inhabit LoRA Loader",
            category="Inhabit",
            search_aliases=["load lora", "peft", "adapter", "finetune"],
            description="Changes the model by a LoRA, whether peft, diffusers, kohya's scripts or ComfyUI named its "
            "layers. The log tells how many of them fit.",
            inputs=[
                io.Model.Input("model", tooltip="From Inhabit Model Loader or Inhabit Assemble Model."),
                io.Combo.Input(
                    "lora",
                    options=lora_names(),
                    tooltip="A .safetensors file of models/loras, trained on a model of the same layers.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-20.0,
                    max=20.0,
                    step=0.05,
                    tooltip="How much of it: 0 is none, 1 as it was trained, below 0 the opposite.",
                ),
            ],
            outputs=[io.Model.Output("model_out", display_name="model")],
        )

    @classmethod
    def fingerprint_inputs(cls, model, lora: str, strength: float) -> str:
        """Apply again when the file, or peft's settings beside it, were replaced."""
        path = path_in(LORAS, lora)
        neighbour = path.with_name(NEIGHBOUR)
        return fingerprint(path, *[neighbour] if neighbour.is_file() else [])

    @classmethod
    def execute(cls, model, lora: str, strength: float) -> io.NodeOutput:
        path = path_in(LORAS, chosen(lora, lora_names(), "lora"))
        return io.NodeOutput(with_lora(model, path, number(strength, "strength")))
