"""Decoded frames → RGB as a computer's screen shows it: matrix, range, primaries, and HDR brought down to SDR."""

import functools

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from .arrays import resize
from .hdr import needs_conversion, peak_of, to_sdr
from .pictures import over_ground

BICUBIC, FULL_CHROMA, ACCURATE = 4, 0x2000, 0x40000
CONVERSION = BICUBIC | FULL_CHROMA | ACCURATE  # swscale's default loses 9 dB on the way to 4:2:0 and back

LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
ITU709, FCC, ITU601, SMPTE240M, ITU2020 = 1, 4, 5, 7, 9  # SWS_CS_*
MATRICES = {1: ITU709, 4: FCC, 5: ITU601, 6: ITU601, 7: SMPTE240M, 9: ITU2020, 10: ITU2020}  # by AVCOL_SPC_*
HD_SIDE = 577  # a short side from which players take untagged colours for BT.709, below for BT.601


UNSPECIFIED = 2  # AVCOL_TRC_…, AVCOL_PRI_…


class ToRGB:
    """Turns the frames of one video to uint8 RGB; `ground`, 0…1, shows through its alpha layer, if it has one.

    transfer, primaries: the file's tags (AVCOL_TRC_*, AVCOL_PRI_*), for frames that have none of their own.
    size: (width, height) to which frames will be shrunk; opaque HDR, whose conversion takes long, is shrunk before it.
    """

    def __init__(
        self,
        ground: float,
        transfer: int = UNSPECIFIED,
        primaries: int = UNSPECIFIED,
        size: tuple[int, int] | None = None,
    ):
        self.ground, self.transfer, self.primaries, self.size = ground, transfer, primaries, size
        self.reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """A frame as decoded → uint8 (h, w, 3), SDR, of its own size or `size`."""
        transfer = _own(frame, "color_trc", self.transfer)
        primaries = _own(frame, "color_primaries", self.primaries)
        if not needs_conversion(transfer, primaries):
            return over_ground(self.convert(frame, "rgba"), self.ground) if has_alpha(frame) else self.convert(frame)
        if has_alpha(frame):
            deep = self.convert(frame, "rgba64le")
            colours, alpha = to_sdr(deep[..., :3], transfer, primaries, peak_of(frame)), np.rint(deep[..., 3] / 257)
            return over_ground(np.dstack([colours, alpha]), self.ground)
        deep = self.convert(frame, "rgb48le")
        if self.size is not None and self.size[0] * self.size[1] < frame.width * frame.height:
            deep = resize(deep[None], *self.size)[0]
        return to_sdr(deep, transfer, primaries, peak_of(frame))

    def convert(self, frame: av.VideoFrame, form: str = "rgb24") -> np.ndarray:
        """By the frame's own matrix and range, to rgb24, rgba, rgb48le or rgba64le."""
        if is_grey(frame) and form == "rgb24":
            grey = grey_of(frame)
            grey = grey if grey.dtype == np.uint8 else np.rint(grey / 257).astype(np.uint8)
            return np.repeat(grey[..., None], 3, axis=2)
        return self.reformatter.reformat(
            frame,
            format=form,
            interpolation=CONVERSION,
            src_colorspace=matrix_of(frame),
            dst_colorspace=ITU601,  # of no meaning for RGB; older versions of PyAV look at the source's if this differs
            src_color_range="JPEG" if is_full_range(frame) else "MPEG",
        ).to_ndarray()


def is_grey(frame: av.VideoFrame) -> bool:
    """Whether a frame has one plane of grey, without alpha."""
    return frame.format.name.startswith("gray") and not frame.format.name.startswith("grayf")


def grey_of(frame: av.VideoFrame) -> np.ndarray:
    """A frame of grey → (h, w), full range: uint16 where it has more than 8 bits, else uint8."""
    deep = frame.format.components[0].bits > 8
    grey = frame.to_ndarray(format="gray16le" if deep else "gray")
    if is_full_range(frame):
        return grey
    unit, top = (256, 65535) if deep else (1, 255)
    return np.clip(np.rint((grey.astype(np.float32) - 16 * unit) * (top / (219 * unit))), 0, top).astype(grey.dtype)


def _own(frame: av.VideoFrame, name: str, of_file: int) -> int:
    own = int(getattr(frame, name, UNSPECIFIED))  # older versions of PyAV tell the file's alone
    return of_file if own == UNSPECIFIED else own


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether the pixel format carries alpha."""
    return _alpha_format(frame.format.name)


@functools.cache
def _alpha_format(name: str) -> bool:
    return name == "pal8" or any(component.is_alpha for component in av.VideoFormat(name).components)


def matrix_of(frame: av.VideoFrame) -> int:
    """The matrix a frame's colours were made with, as swscale counts them (SWS_CS_*)."""
    usual = ITU709 if min(frame.width, frame.height) >= HD_SIDE else ITU601
    return MATRICES.get(int(frame.colorspace), usual)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether black is 0 rather than 16 (of 255)."""
    name = frame.format.name
    if name.startswith("yuvj") or frame.format.is_rgb or name.startswith("pal"):
        return True
    if name.startswith(("gray", "mono", "ya")):
        return int(frame.color_range) != LIMITED
    return int(frame.color_range) == FULL
