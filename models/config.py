"""Model configuration: frozen, complete, stored as JSON in the checkpoint's header."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PATCH = 2  # latents a side of the patches of patch attention
TYPICAL_SHARPNESS = 3200.0  # of hands in rendered pictures of 128 pixels; see PoseGuiderConfig.typical_sharpness


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _renamed(values, former: dict[str, str]):
    """The fields of a config by today's names, where files of earlier versions have others and not both."""
    if not isinstance(values, dict):
        return values
    return {former[name] if former.get(name) not in (None, *values) else name: value for name, value in values.items()}


class MotionModuleConfig(_Frozen):
    """AnimateDiff temporal layers (one after every spatial layer of the denoiser)."""

    heads: int = 8
    max_frames: int = 32  # length of the position table: the longest window
    mid_block: bool = True
    norm_groups: int = 32
    norm_per_frame: bool = True  # True: AnimateDiff / Animate Anyone; False: statistics over all frames (diffusers)


class UNetConfig(_Frozen):
    """Shape shared by the denoiser and the ReferenceNet; the names follow diffusers' UNets."""

    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[bool, ...] = (True, True, True, False)  # spatial attention, a flag per level
    layers_per_block: int = 2
    heads: int = 8
    cross_attention_dim: int | None = 768  # None: no cross-attention layers at all
    norm_groups: int = 32
    motion_modules: MotionModuleConfig = MotionModuleConfig()

    @model_validator(mode="after")
    def _levels_agree(self) -> UNetConfig:
        if len(self.attention) != len(self.block_out_channels):
            raise ValueError(
                f"attention has {len(self.attention)} flags for {len(self.block_out_channels)} levels of "
                "block_out_channels: give one a level"
            )
        return self


class ReferenceConfig(_Frozen):
    """ReferenceNet: where its features enter the denoiser, and what it sees."""

    mode: Literal["midup", "full"] = "midup"  # Animate Anyone 2: mid and up blocks; v1 weights: all blocks
    coordinates: bool = False  # two extra input channels, x and y in -1…1
    # (rows, columns) of the box-averaged latents that make one embedding of the whole picture; None: no such embedding
    pooled_grid: tuple[int, int] | None = None
    patch_attention: bool = False  # mid and up layers also attend to the picture's own patches, with their places

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values):
        return _renamed(values, {"appearance_grid": "pooled_grid", "lookup": "patch_attention"})


class PoseGuiderConfig(_Frozen):
    """Depth-wise pose modulation. `channels`: v1 pose-guider widths; one stride of 2 between neighbours."""

    channels: tuple[int, ...] = (16, 32, 96, 256)
    depth: bool = True  # depth-wise modulation of AA2; v1 weights: False
    temporal: bool = True  # the 3-D convolution of AA2; v1 weights: False
    # widths of the branch that reads the hands' motion-blur maps (HIA §3.2), as many as `channels`; None: no branch.
    # Not in paper: an encoder of its own; HIA paints the maps over the skeleton, and its ControlNet reads both as one
    blur: tuple[int, ...] | None = None
    # Not in paper (HIA gives its sharpness no scale): the variance of the Laplacian, of grey values 0…255, of an
    # ordinary hand in the training data, whose map says 0.5. It depends on the size of the pictures, as the variance
    # does: a model trained at another size or on other footage has its own.
    typical_sharpness: float = Field(TYPICAL_SHARPNESS, gt=0, allow_inf_nan=False)
    heads: int = 8

    @model_validator(mode="before")
    @classmethod
    def _blur_as_it_was_written(cls, values):
        """Files of earlier versions say false for no branch, true for one of the widths of `channels`."""
        if isinstance(values, dict) and isinstance(values.get("blur"), bool):
            channels = values.get("channels", cls.model_fields["channels"].default)
            values = values | {"blur": channels if values["blur"] else None}
        return values


class ObjectGuiderConfig(_Frozen):
    """Object guider and spatial blending. `blend_bias`: initial bias before the sigmoid of AA2 eq. 3."""

    # Not in paper: as printed it is 0.0, which halves a pretrained network's features
    blend_bias: float = -3.0


class LatentConfig(_Frozen):
    """The VAE's latents as the denoiser sees them: `scale` multiplies what the encoder returns."""

    channels: int = 4
    downscale: int = 8
    scale: float = 0.18215


class ScheduleConfig(_Frozen):
    """Training noise schedule and what the network predicts.

    # Not in paper: v-prediction and zero terminal SNR as the defaults. Animate Anyone 2 (eq. 1) and HIA (eq. 4) predict
    ε, on schedules whose last step still shows a little of the picture.
    """

    betas: Literal["linear", "scaled_linear"] = "linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    train_steps: int = 1000
    zero_terminal_snr: bool = True
    # HIA's γ (§3.3, algorithm 1): the signal-to-noise ratio is γ times that of the betas, in training and sampling;
    # None, and 1: as it is. HIA gives no number; `gamma_for` of `sampling/schedules.py` has one for a size.
    gamma: float | None = Field(None, gt=0, le=1)
    prediction: Literal["epsilon", "v"] = "v"


class SamplingConfig(_Frozen):
    """Defaults used where the user gives none."""

    steps: int = 25
    guidance: float = 3.5
    window: int = 24
    overlap: int = 4
    # what guidance goes without in its unconditional pass: both in HIA (eq. 4). Not in paper: the model learns it in
    # training, by going without them now and then; v1 weights never learned to miss the motion
    unconditional_without: tuple[Literal["reference", "motion"], ...] = ("reference", "motion")


class AutoencoderConfig(_Frozen):
    """The small bundled autoencoder (see `autoencoder.py`)."""

    patch: int = 4
    latent_channels: int = 4
    encoder_channels: int = 64
    decoder_channels: int = 128
    blocks: int = 3


class ModelConfig(_Frozen):
    """Everything needed to build an `AnimationModel` (and its bundled autoencoder, when there is one)."""

    name: str
    unet: UNetConfig = UNetConfig()
    environment: bool = True  # environment and mask channels at the denoiser's input
    # Not in paper: the environment is filled by a clean plate where one is known, and a second channel of the mask says
    # where nothing is. False: it is blank wherever the mask is.
    plate: bool = False
    reference: ReferenceConfig = ReferenceConfig()
    pose: PoseGuiderConfig = PoseGuiderConfig()
    objects: ObjectGuiderConfig | None = ObjectGuiderConfig()  # None: no object guider and no spatial blending
    latent: LatentConfig = LatentConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    sampling: SamplingConfig = SamplingConfig()
    autoencoder: AutoencoderConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values):
        return _renamed(values, {"motion": "pose"})

    @model_validator(mode="after")
    def _resolutions_agree(self) -> ModelConfig:
        if self.plate and not self.environment:
            raise ValueError("plate is true, but environment, which it fills, is false: set both, or neither")
        guider_downscale = 2 ** (len(self.pose.channels) - 1)
        if guider_downscale != self.latent.downscale:
            raise ValueError(
                f"pose.channels has {len(self.pose.channels)} widths, a downscale of {guider_downscale}, but "
                f"latent.downscale is {self.latent.downscale}: they must be equal"
            )
        if self.pose.blur is not None and len(self.pose.blur) != len(self.pose.channels):
            raise ValueError(
                f"pose.blur has {len(self.pose.blur)} widths, pose.channels {len(self.pose.channels)}: "
                "give as many, or null"
            )
        if self.autoencoder and self.autoencoder.patch != self.latent.downscale:
            raise ValueError(
                f"autoencoder.patch {self.autoencoder.patch} must equal latent.downscale {self.latent.downscale}"
            )
        return self

    @property
    def size_multiple(self) -> int:
        """Frame sides must be multiples of this many pixels (8 at least, as ComfyUI's images are cropped to)."""
        return max(8, self.latent.downscale * (PATCH if self.reference.patch_attention else 1))


PRESETS: dict[str, ModelConfig] = {
    "sd15": ModelConfig(name="sd15"),
    "puppets": ModelConfig(
        name="puppets",
        unet=UNetConfig(
            block_out_channels=(64, 128, 160),
            attention=(False, True, True),
            layers_per_block=1,
            heads=4,
            cross_attention_dim=None,
            norm_groups=16,
            motion_modules=MotionModuleConfig(heads=4, max_frames=24, mid_block=False, norm_groups=16),
        ),
        reference=ReferenceConfig(coordinates=True, pooled_grid=(16, 8), patch_attention=True),
        pose=PoseGuiderConfig(channels=(16, 32, 64), blur=(8, 16, 24), heads=2),
        latent=LatentConfig(downscale=4, scale=2.0),
        sampling=SamplingConfig(steps=3, guidance=1.0, window=16, overlap=4),
        autoencoder=AutoencoderConfig(),
    ),
}
