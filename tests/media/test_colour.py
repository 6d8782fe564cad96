"""Colours mean what the file's tags say, HDR becomes SDR, and what is written is tagged as what it is."""

import av
import numpy as np
import pytest
from inhabit.media import open_video, read_video, write_video

RANDOM = np.random.default_rng(5)
KR_KB = {"bt709": (0.2126, 0.0722, 1), "bt601": (0.299, 0.114, 6), "bt2020": (0.2627, 0.0593, 9)}
GREYS = np.linspace(0.02, 1, 16)


def yuv444(rgb: np.ndarray, matrix: str, full: bool, bits: int = 8) -> np.ndarray:
    """R'G'B' 0…1 (h, w, 3) → Y'CbCr (3, h, w), by the textbook (ITU-R BT.709 §3)."""
    kr, kb, _ = KR_KB[matrix]
    y = rgb @ np.array([kr, 1 - kr - kb, kb])
    chroma = (rgb[..., 2] - y) / (2 - 2 * kb), (rgb[..., 0] - y) / (2 - 2 * kr)
    top, half = 2**bits - 1, 2 ** (bits - 1)
    if full:
        planes = [y * top, *(c * top + half for c in chroma)]
    else:
        unit = 2 ** (bits - 8)
        planes = [(y * 219 + 16) * unit, *((c * 224 + 128) * unit for c in chroma)]
    return np.stack([np.clip(np.rint(plane), 0, top) for plane in planes]).astype(np.uint8 if bits == 8 else np.uint16)


def lossless_yuv(path, planes: np.ndarray, form: str, **tags: int):
    """An FFV1 video of two frames of these very numbers, with these tags."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.height, stream.width = planes.shape[1:]
        stream.pix_fmt = form
        for tag, value in tags.items():
            setattr(stream.codec_context, tag, value)
        for index in range(2):
            frame = av.VideoFrame(planes.shape[2], planes.shape[1], form)
            for plane, numbers in zip(frame.planes, planes, strict=True):
                rows = np.zeros((plane.height, plane.line_size // numbers.itemsize), numbers.dtype)
                rows[:, : plane.width] = numbers
                plane.update(rows.tobytes())
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", KR_KB)
def test_matrix_and_range_are_the_files_own(tmp_path, matrix, full):
    rgb = RANDOM.random((16, 16, 3))
    path = tmp_path / "a.mkv"
    lossless_yuv(path, yuv444(rgb, matrix, full), "yuv444p", colorspace=KR_KB[matrix][2], color_range=2 if full else 1)
    assert np.abs(read_video(path).frames[0] - rgb * 255).max() < 2.5


@pytest.mark.parametrize(("side", "matrix"), [(64, "bt601"), (720, "bt709")])
def test_untagged_colours_are_what_players_take_them_for(tmp_path, side, matrix):
    rgb = np.repeat(np.repeat(RANDOM.random((8, 8, 3)), side // 8, 0), side // 8, 1)
    lossless_yuv(tmp_path / "a.mkv", yuv444(rgb, matrix, False), "yuv444p")
    assert np.abs(read_video(tmp_path / "a.mkv").frames[0] - rgb * 255).max() < 2.5


@pytest.mark.parametrize(("lines", "space"), [(48, 6), (720, 1)])
def test_what_is_written_is_tagged_as_what_it_is(tmp_path, lines, space):
    colour = np.array([200, 40, 90], np.uint8)
    write_video(tmp_path / "a.mp4", np.full((2, lines, 64, 3), colour), 8)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (space, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
        frame = next(container.decode(video=0))
    expected = yuv444(colour[None, None] / 255, "bt709" if space == 1 else "bt601", False)[:, 0, 0]
    assert np.abs([bytes(frame.planes[i])[0] - int(expected[i]) for i in range(3)]).max() <= 1
    assert np.abs(read_video(tmp_path / "a.mp4").frames[0, 5, 5].astype(int) - colour).max() <= 3


def hlg_signal(light: np.ndarray) -> np.ndarray:
    """Scene light 0…1 → HLG (ITU-R BT.2100 table 5, OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), a * np.log(np.maximum(12 * light - b, 1e-9)) + c)


def pq_signal(nits: np.ndarray) -> np.ndarray:
    """Light → PQ (ITU-R BT.2100 table 4, inverse EOTF)."""
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hdr(path, nits_2020: np.ndarray, transfer: int, alpha: np.ndarray | None = None):
    """A video that shows this light (h, w, 3), linear, of BT.2020's primaries, on a screen of 1000 nits.

    alpha: (h, w), 0…1.
    """
    if transfer == 18:
        luma = nits_2020 @ np.array([0.2627, 0.6780, 0.0593]) / 1000
        signal = hlg_signal(nits_2020 / 1000 * np.maximum(luma, 1e-9)[..., None] ** (1 / 1.2 - 1))
    else:
        signal = pq_signal(nits_2020)
    planes, form = yuv444(signal, "bt2020", False, bits=10), "yuv444p10le"
    if alpha is not None:
        planes, form = np.concatenate([planes, np.rint(alpha[None] * 1023).astype(np.uint16)]), "yuva444p10le"
    return lossless_yuv(path, planes, form, colorspace=9, color_range=1, color_primaries=9, color_trc=transfer)


@pytest.mark.parametrize("transfer", [18, 16], ids=["hlg", "pq"])
def test_hdr_below_the_knee_shows_the_same_light(tmp_path, transfer):
    """Colours of BT.709 up to 80 nits, of 203 for white, leave an SDR screen (gamma 2.4) as the HDR one shows them."""
    light_709 = RANDOM.uniform(2, 80, (16, 16, 3))
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
    path = hdr(tmp_path / "hdr.mkv", light_709 @ to_2020.T, transfer)
    expected = 255 * (light_709 / 203) ** (1 / 2.4)
    assert np.abs(read_video(path).frames[0] - expected).max() < 4


@pytest.mark.parametrize("transfer", [18, 16], ids=["hlg", "pq"])
def test_hdr_with_alpha_is_converted_before_it_is_put_on_its_ground(tmp_path, transfer):
    nits, alpha = np.repeat(RANDOM.uniform(2, 80, (16, 16, 1)), 3, 2), RANDOM.random((16, 16))
    path = hdr(tmp_path / "hdr.mkv", nits, transfer, alpha)
    shown, share = 255 * (nits / 203) ** (1 / 2.4), alpha[..., None]
    for ground in (0.0, 0.5):
        expected = shown * share + 255 * ground * (1 - share)
        assert np.abs(open_video(path, ground).read()[0] - expected).max() < 4


@pytest.mark.parametrize("transfer", [18, 16], ids=["hlg", "pq"])
def test_hdr_highlights_are_rolled_off_and_greys_stay_grey(tmp_path, transfer):
    nits = np.repeat(np.repeat(GREYS[None, :, None] * 1000, 16, 0), 3, 2)
    shown = read_video(hdr(tmp_path / "hdr.mkv", nits, transfer)).frames[0, 0].astype(int)
    assert (np.ptp(shown, axis=-1) <= 2).all() and (np.diff(shown[:, 1]) >= 0).all() and shown[-1, 1] >= 253
    white = np.interp(203, nits[0, :, 0], shown[:, 1])
    assert 215 < white < 240  # HDR's reference white is bright, and leaves room for what is brighter


def test_wide_gamut_is_converted(tmp_path):
    """Display P3's (0.5, 0.3, 0.2) of linear light has these linear BT.709 parts (CSS Color 4, its matrices)."""
    signal = np.full((8, 8, 3), np.array([0.5, 0.3, 0.2]) ** (1 / 2.4))
    planes = yuv444(signal, "bt709", False)
    path = lossless_yuv(tmp_path / "p3.mkv", planes, "yuv444p", colorspace=1, color_range=1, color_primaries=12)
    expected = 255 * np.array([0.5449880, 0.2915886, 0.1862513]) ** (1 / 2.4)
    assert np.abs(open_video(path).read()[0, 0, 0] - expected).max() < 2.5


def test_hdr_is_shrunk_as_it_is_read(tmp_path):
    smooth = np.linspace(0, 300, 16)[:, None, None] + np.linspace(0, 300, 16)[None, :, None] + np.zeros(3)
    video = open_video(hdr(tmp_path / "hdr.mkv", smooth, 18))
    small = video.read((8, 8)).astype(int)
    assert small.shape == (2, 8, 8, 3)
    whole = video.read().astype(int).reshape(2, 8, 2, 8, 2, 3).mean((2, 4))
    assert np.abs(small - whole).max() < 8  # averages of signals that a curve bends a little
