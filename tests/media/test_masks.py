"""What the pixels of a mask mean: any channel, alpha, 0/1, palettes, deep and limited grey, arrays."""

import av
import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import open_mask, read_mask, write_lossless, write_video
from PIL import Image

from .test_colour import lossless_yuv

SHAPE = np.zeros((24, 32), bool)
SHAPE[5:20, 8:21] = True
SOFT = (np.linspace(0, 1, 24 * 32).reshape(24, 32) * 255).astype(np.uint8)


def png(folder, pixels, mode=None, count=2, **options):
    for index in range(count):
        picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)
        picture.save(folder / f"{index}.png", **options)
    return folder


def painted(colour, ground=(0, 0, 0)):
    return np.where(SHAPE[..., None], np.array(colour, np.uint8), np.array(ground, np.uint8))


def rgba(colours, alpha):
    return np.dstack([np.broadcast_to(np.array(colours, np.uint8), (*SHAPE.shape, 3)), alpha])


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255)])
def test_a_mask_in_any_colour(tmp_path, colour):
    assert np.array_equal(read_mask(png(tmp_path, painted(colour)))[1], SHAPE)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_one_colour_on_nothing_is_its_alpha(tmp_path, colour):
    mask = read_mask(png(tmp_path, rgba(colour, SOFT)))
    assert np.allclose(mask * 255, SOFT, atol=1e-3)


def test_a_cut_out_picture_is_its_alpha(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    mask = read_mask(png(tmp_path, np.dstack([photo, SHAPE * np.uint8(255)])))
    assert np.array_equal(mask[0], SHAPE)


def test_black_and_white_with_alpha_is_what_is_seen_on_black(tmp_path):
    alpha = np.full((24, 32), 255, np.uint8)
    alpha[:, 14:] = 0  # half of the shape is erased
    mask = read_mask(png(tmp_path, np.dstack([painted((255, 255, 255)), alpha])))
    assert np.array_equal(mask[0], SHAPE & (alpha > 0))


def test_opaque_alpha_says_nothing(tmp_path):
    opaque = np.full((24, 32), 255, np.uint8)
    assert np.array_equal(read_mask(png(tmp_path, np.dstack([painted((255, 255, 255)), opaque])))[0], SHAPE)
    (tmp_path / "all").mkdir()
    assert (read_mask(png(tmp_path / "all", rgba((255, 255, 255), opaque))) == 1).all()


def test_a_palette_and_its_transparency(tmp_path):
    indexed = Image.fromarray(SHAPE.astype(np.uint8), "P")
    indexed.putpalette([0, 0, 0, 255, 0, 0])
    assert np.array_equal(read_mask(png(tmp_path, indexed))[0], SHAPE)
    indexed.putpalette([255, 255, 255, 255, 255, 255])
    (tmp_path / "clear").mkdir()
    assert np.array_equal(read_mask(png(tmp_path / "clear", indexed, transparency=bytes([0, 255])))[0], SHAPE)


def test_grey_with_alpha_and_one_bit(tmp_path):
    grey_alpha = Image.merge("LA", [Image.new("L", (32, 24), 255), Image.fromarray(SOFT)])
    assert np.allclose(read_mask(png(tmp_path, grey_alpha))[0] * 255, SOFT, atol=1e-3)
    (tmp_path / "bit").mkdir()
    assert np.array_equal(read_mask(png(tmp_path / "bit", Image.fromarray(SHAPE)))[0], SHAPE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("top", [1, 255])
def test_zeros_and_ones_of_any_depth(tmp_path, dtype, top):
    assert np.array_equal(read_mask(png(tmp_path, SHAPE.astype(dtype) * dtype(top)))[0], SHAPE)
    write_lossless(tmp_path / "a.mkv", np.stack([SHAPE * 0, SHAPE]).astype(dtype) * dtype(top), 8)
    assert np.array_equal(read_mask(tmp_path / "a.mkv"), np.stack([SHAPE * 0, SHAPE]))


def test_zeros_and_ones_are_known_from_the_whole_clip(tmp_path):
    """A dark frame among others is no frame of ones."""
    write_lossless(tmp_path / "a.mkv", np.stack([SHAPE * np.uint8(1), SHAPE * np.uint8(200)]), 8)
    assert np.allclose(read_mask(tmp_path / "a.mkv").amax((1, 2)) * 255, [1, 200])


def test_small_numbers_of_a_lossy_file_are_black(tmp_path):
    write_video(tmp_path / "a.mp4", np.ones((3, 24, 32, 3), np.uint8), 8)
    assert read_mask(tmp_path / "a.mp4").unique().tolist() == pytest.approx([1 / 255])
    (tmp_path / "jpg").mkdir()
    Image.fromarray(np.ones((24, 32), np.uint8)).save(tmp_path / "jpg" / "0.jpg")
    assert read_mask(tmp_path / "jpg").unique().tolist() == pytest.approx([1 / 255])


def test_grey_of_limited_range_reaches_black_and_white(tmp_path):
    numbers = np.where(SHAPE, 235, 16).astype(np.uint8)[None]
    path = lossless_yuv(tmp_path / "a.mkv", numbers, "gray", color_range=1)
    assert np.array_equal(read_mask(path)[0], SHAPE)


@pytest.mark.parametrize(
    ("codec", "form", "ending"),
    [("libvpx-vp9", "yuva420p", "webm"), ("prores_ks", "yuva444p10le", "mov")]
    + [("ffv1", "bgra", "mkv"), ("qtrle", "argb", "mov"), ("png", "rgba", "mov")]
    + [("rawvideo", form, "nut") for form in ("ayuv", "uyva", "vuya")],
)
def test_alpha_of_video_codecs(tmp_path, codec, form, ending):
    shape = np.zeros((64, 64), bool)
    shape[16:48, 16:40] = True
    pixels = np.dstack([np.full((64, 64, 3), 255, np.uint8), shape * np.uint8(255)])
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8, options={"profile": "4"} if codec == "prores_ks" else {})
        stream.width, stream.height, stream.pix_fmt = 64, 64, form
        if codec.startswith("libvpx"):
            stream.metadata["alpha_mode"] = "1"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=form)))
        container.mux(stream.encode())
    mask = read_mask(path).numpy()
    assert mask.shape == (3, 64, 64) and ((mask > 0.5) == shape).mean() > 0.99


MOVING = np.stack([SHAPE, np.roll(SHAPE, 3, 1)])


@pytest.mark.parametrize(
    "array",
    [MOVING, MOVING.astype(np.uint8), MOVING * np.uint8(255), MOVING.astype(np.float32), MOVING.astype(np.int64)]
    + [MOVING * np.float64(255), MOVING[..., None] * np.int32(255), MOVING * np.uint16(65535), MOVING * np.uint16(1)],
    ids=lambda array: f"{array.dtype}-{array.max():g}-{array.ndim}d",
)
def test_arrays(tmp_path, array):
    np.save(tmp_path / "mask.npy", array)
    assert np.array_equal(read_mask(tmp_path / "mask.npy"), MOVING)


def test_an_array_of_one_frame_and_soft_values(tmp_path):
    soft = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    np.save(tmp_path / "mask.npy", soft)
    mask = open_mask(tmp_path / "mask.npy")
    assert (len(mask), mask.size) == (1, (32, 24)) and np.array_equal(mask.read()[0], soft)


@pytest.mark.parametrize(
    ("array", "told"),
    [(np.zeros((2, 3, 4, 3)), "shape"), (np.zeros(5), "shape"), (np.zeros((0, 4, 4)), "shape")]
    + [
        (np.full((2, 4, 4), -1), "from -1 to -1"),
        (np.full((2, 4, 4), 70_000), "70000"),
        (np.zeros((2, 2), "U1"), "<U1"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(tmp_path, array, told):
    np.save(tmp_path / "mask.npy", array)
    with pytest.raises(InputError, match=told):
        open_mask(tmp_path / "mask.npy")


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "mask.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="numpy.save"):
        open_mask(tmp_path / "mask.npy")


def test_upscaling_keeps_the_range(tmp_path):
    mask = open_mask(png(tmp_path, painted((255, 255, 255)), count=1))
    for size in ((100, 70), (7, 5)):
        grown = mask.read(size)
        assert grown.shape == (1, size[1], size[0]) and grown.min() >= 0 and grown.max() <= 1
