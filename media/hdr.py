"""HDR and wide-gamut video → SDR with BT.709's primaries, as its own screen would show the part an SDR screen can.

Light is counted in nits (cd/m2). SDR white is 203 nits, HDR's reference white (ITU-R BT.2408). In between: the EOTF of
HLG at a peak of 1000 nits or PQ (ITU-R BT.2100), the EETF of ITU-R BT.2390 §5.4 on the largest of red, green and blue
(hue stays), the primaries, and the inverse of the SDR screen's EOTF (ITU-R BT.1886, gamma 2.4).
"""

import functools

import av
import numpy as np

PQ, HLG = 16, 18  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
BT2020, P3 = 9, 12  # AVCOL_PRI_BT2020, AVCOL_PRI_SMPTE432
WHITE = 203.0  # nits
PEAK = 1000.0  # nits: HLG's nominal one, and PQ's where the file does not tell
SCREEN_GAMMA = 2.4
STEPS = 4096  # of the tables over the square root of light

M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
A, B, C = 0.17883277, 0.28466892, 0.55991073
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
TO_709 = {  # linear RGB → linear RGB of BT.709, both with D65 (ITU-R BT.2087 for BT.2020)
    BT2020: np.array(
        [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
    ),
    P3: np.array([[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]]),
}


def needs_conversion(transfer: int, primaries: int) -> bool:
    """Whether colours with these tags (AVCOL_TRC_*, AVCOL_PRI_*) are not what an SDR screen takes."""
    return transfer in (PQ, HLG) or primaries in TO_709


def to_sdr(rgb: np.ndarray, transfer: int, primaries: int, peak: float = PEAK) -> np.ndarray:
    """uint16 (h, w, 3), full range, by the tags' transfer and primaries → uint8 (h, w, 3), SDR, BT.709.

    peak: nits of the brightest light there is in PQ; brighter light is cut there.
    """
    if transfer == HLG:
        light = _table(HLG)[rgb]
        light *= PEAK * (light @ LUMA_2020)[..., None] ** 0.2  # OOTF, system gamma 1.2
        peak, primaries = PEAK, primaries if primaries in TO_709 else BT2020
    elif transfer == PQ:
        light = np.minimum(_table(PQ)[rgb], peak)
        primaries = primaries if primaries in TO_709 else BT2020
    else:
        light = _table(0)[rgb]
    if transfer in (PQ, HLG):
        brightest = light.max(axis=-1)
        place = np.rint(np.sqrt(brightest / peak) * (STEPS - 1)).astype(np.int32)
        light *= (_tone_table(peak)[place] / WHITE)[..., None]
    light = np.clip(light @ TO_709[primaries].T.astype(np.float32), 0, 1)
    return _screen_table()[np.rint(np.sqrt(light) * (STEPS - 1)).astype(np.int32)]


def peak_of(frame: av.VideoFrame) -> float:
    """Nits of the brightest light by a frame's metadata (MaxCLL, else the mastering screen's), else 1000."""
    found = {data.type.name: bytes(data) for data in frame.side_data}
    if "CONTENT_LIGHT_LEVEL" in found:
        level = float(np.frombuffer(found["CONTENT_LIGHT_LEVEL"], np.uint32)[0])
        if WHITE < level <= 10_000:
            return level
    if "MASTERING_DISPLAY_METADATA" in found:
        numbers = np.frombuffer(found["MASTERING_DISPLAY_METADATA"], np.int32)
        top, bottom, told = numbers[18], numbers[19], numbers[21]
        if told and bottom and WHITE < top / bottom <= 10_000:
            return float(top / bottom)
    return PEAK


def pq_light(signal: np.ndarray) -> np.ndarray:
    """PQ signal 0…1 → nits (BT.2100 table 4, EOTF)."""
    power = np.asarray(signal, np.float64) ** (1 / M2)
    return 10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1)


def pq_signal(light: np.ndarray) -> np.ndarray:
    """Nits → PQ signal 0…1 (inverse EOTF)."""
    power = (np.asarray(light, np.float64) / 10_000) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def tone_map(light: np.ndarray, peak: float) -> np.ndarray:
    """Nits up to `peak` → nits up to SDR's white: as they are below a knee, rolled off above it (BT.2390 EETF)."""
    top = float(pq_signal(peak))
    goal = float(pq_signal(WHITE)) / top
    signal, knee = pq_signal(light) / top, 1.5 * goal - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    rolled = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * goal
    return pq_light(np.where(signal < knee, signal, rolled) * top)


@functools.cache
def _table(transfer: int) -> np.ndarray:
    """Signal of 16 bits → light: nits (PQ), the scene's 0…1 (HLG), the screen's 0…1 (SDR)."""
    signal = np.arange(65536) / 65535
    if transfer == PQ:
        return pq_light(signal).astype(np.float32)
    if transfer == HLG:
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - C) / A) + B) / 12).astype(np.float32)
    return (signal**SCREEN_GAMMA).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _tone_table(peak: float) -> np.ndarray:
    """Square root of light / peak, in STEPS → by what light is multiplied."""
    light = peak * (np.arange(STEPS) / (STEPS - 1)) ** 2
    light[0] = light[1]
    return (tone_map(light, peak) / light).astype(np.float32)


@functools.cache
def _screen_table() -> np.ndarray:
    """Square root of light 0…1, in STEPS → 8 bits for an SDR screen."""
    return np.rint(255 * (np.arange(STEPS) / (STEPS - 1)) ** (2 / SCREEN_GAMMA)).astype(np.uint8)
