"""Sampling: context windows for any sampler of core, and one node that does it all."""

from __future__ import annotations

from comfy_api.latest import io

from .host import sampling
from .host.clips import sample_clips
from .host.settings import model_config, own_steps
from .host.windows import with_windows
from .inputs import checked_conditioning, checked_latent, chosen, number
from .kinds import CFG, OWN, SAMPLING, STEPS, rare, schema

LENGTH_TOOLTIP = "Frames denoised together, at most as many as the model was trained on (16 suits inhabit-puppets)."
OVERLAP_TOOLTIP = "Frames that neighbouring windows share. More is smoother and slower."
LONG_VIDEO = ["windows", "clips"]


class InhabitContextWindows(io.ComfyNode):
    """Makes KSampler and all other samplers of core work through a long video window by window."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitContextWindows",
            display_name="Inhabit Context Windows",
            category=SAMPLING,
            search_aliases=["sliding window", "long video", "context options"],
            description="Long videos: overlapping windows of frames, averaged at every step. For KSampler and others.",
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="Inhabit's or any other; frames are the latent batch, or a video latent's time axis.",
                ),
                io.Int.Input("length", default=16, min=1, max=256, tooltip=LENGTH_TOOLTIP),
                io.Int.Input("overlap", default=4, min=0, max=255, tooltip=OVERLAP_TOOLTIP),
                rare(
                    io.Boolean.Input,
                    "random_offset",
                    default=True,
                    tooltip="Move all windows by a random number of frames at every step: no seam stays in place.",
                ),
            ],
            outputs=[io.Model.Output("model_out", display_name="model")],
        )

    @classmethod
    def execute(cls, model, length: int, overlap: int, random_offset: bool) -> io.NodeOutput:
        return io.NodeOutput(with_windows(model, length, overlap, random_offset))


class InhabitWindowedSampler(io.ComfyNode):
    """Context windows, the schedule the model was trained with, and core's samplers, in one node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="InhabitWindowedSampler",
            display_name="Inhabit Windowed Sampler",
            category=SAMPLING,
            search_aliases=[
                "animate",
                "animate anyone",
                "wan animate",
                "character animation",
                "video to video",
                "vid2vid",
                "pose transfer",
                "motion transfer",
                "replace character",
                "character replacement",
                "character swap",
                "dance",
                "ksampler",
                "video sampler",
                "long video",
            ],
            description="Samples a video of any length. Gives what `inhabit animate` gives with the same seed.",
            inputs=[
                io.Model.Input("model", tooltip="From Inhabit Model Loader or Inhabit Assemble Model."),
                io.Conditioning.Input("positive", tooltip="Reference, motion, environment and objects."),
                io.Conditioning.Input("negative", tooltip="The same without reference and motion."),
                io.Latent.Input("latent", tooltip="Of Inhabit Environment: one latent a frame."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Of the initial noise and the window offsets.",
                ),
                io.Int.Input("steps", **STEPS),
                io.Float.Input("cfg", **CFG),
                rare(
                    io.Combo.Input,
                    "sampler",
                    options=sampling.SAMPLERS,
                    default="euler",
                    tooltip="euler is deterministic DDIM here.",
                ),
                rare(
                    io.Combo.Input,
                    "scheduler",
                    options=sampling.SCHEDULERS,
                    default=sampling.TRAILING,
                    tooltip="trailing starts at the noisiest step the model was trained on; the others are core's.",
                ),
                io.Int.Input(
                    "length",
                    default=OWN,
                    min=OWN,
                    max=256,
                    tooltip="Frames denoised together. 0: the model's own number, 16 for inhabit-puppets and 24 for "
                    "full-size models. At most as many as the model was trained on.",
                ),
                io.Int.Input("overlap", default=4, min=0, max=255, tooltip=OVERLAP_TOOLTIP),
                io.Combo.Input(
                    "long_video",
                    options=LONG_VIDEO,
                    default=LONG_VIDEO[0],
                    tooltip="windows: overlapping windows, averaged and shifted at every step. clips: one after the "
                    "other, each led by the overlap's finished frames.",
                ),
            ],
            outputs=[io.Latent.Output("latent_out", display_name="latent")],
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        latent: dict,
        seed: int,
        steps: int,
        cfg: float,
        sampler: str,
        scheduler: str,
        length: int,
        overlap: int,
        long_video: str,
    ) -> io.NodeOutput:
        chosen(sampler, sampling.SAMPLERS, "sampler")
        chosen(scheduler, sampling.SCHEDULERS, "scheduler")
        chosen(long_video, LONG_VIDEO, "long_video")
        positive, negative = checked_conditioning(positive, "positive"), checked_conditioning(negative, "negative")
        checked_latent(latent, "latent")
        sampling.check_inputs(model, positive, negative, latent)
        sigmas = sampling.sigmas_for(model, scheduler, own_steps(model, steps))
        how = sampling.Sampling(number(cfg, "cfg"), sampler, sigmas, seed)
        length = model_config(model).sampling.window if length == OWN else length
        if long_video == "clips":
            return io.NodeOutput(sample_clips(model, positive, negative, latent, how, length, overlap))
        model = with_windows(model, length, overlap, random_offset=True)
        return io.NodeOutput(sampling.sample(model, positive, negative, latent, how))
