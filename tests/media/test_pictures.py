"""Pictures: which way is up, what shows through, what deep, printed and profiled colours are."""

import io

import numpy as np
import pytest
from inhabit.errors import InputError
from inhabit.media import open_video, read_image, read_video, write_image
from PIL import Image, ImageCms

SMALL = np.random.default_rng(2).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def pixels(path) -> np.ndarray:
    return (read_image(path)[0].numpy() * 255).round().astype(np.uint8)


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_all_eight_exif_orientations(tmp_path, turn, ending):
    picture = Image.fromarray(SMALL)
    exif = picture.getexif()
    exif[0x0112] = turn
    options = {"lossless": True} if ending == "webp" else {}
    picture.save(tmp_path / f"a.{ending}", exif=exif, **options)
    ways = {1: SMALL, 2: SMALL[:, ::-1], 3: SMALL[::-1, ::-1], 4: SMALL[::-1]}
    ways |= {5: SMALL.swapaxes(0, 1), 6: np.rot90(SMALL, -1), 7: SMALL[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(SMALL)}
    assert np.array_equal(pixels(tmp_path / f"a.{ending}"), ways[turn])
    assert open_video(tmp_path / f"a.{ending}").size == ways[turn].shape[1::-1]


def test_what_is_hidden_under_transparency_does_not_show(tmp_path):
    alpha = np.tile(np.array([0, 128, 255], np.uint8), (6, 3))
    Image.fromarray(np.dstack([SMALL, alpha])).save(tmp_path / "a.png")
    share = alpha[..., None] / 255
    expected = SMALL * share + 127.5 * (1 - share)
    assert np.abs(pixels(tmp_path / "a.png") - expected).max() <= 1
    assert (np.abs(pixels(tmp_path / "a.png")[:, ::3].astype(int) - 128) <= 1).all()


def test_the_ground_of_a_video_can_be_chosen(tmp_path):
    Image.fromarray(np.dstack([SMALL, np.zeros((6, 9), np.uint8)])).save(tmp_path / "a.png")
    assert (open_video(tmp_path, ground=0).read() == 0).all() and (open_video(tmp_path).read() == 128).all()


def test_transparency_of_palettes_and_greys(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    indexed.putpalette([255, 0, 255, 10, 200, 30])
    indexed.save(tmp_path / "p.png", transparency=0)
    assert pixels(tmp_path / "p.png").tolist() == [[[128] * 3, [10, 200, 30]], [[10, 200, 30], [128] * 3]]
    Image.merge("LA", [Image.new("L", (2, 1), 50), Image.fromarray(np.array([[0, 255]], np.uint8))]).save(
        tmp_path / "la.png"
    )
    assert pixels(tmp_path / "la.png").tolist() == [[[128] * 3, [50] * 3]]


def test_deep_grey_and_printed_colours(tmp_path):
    Image.fromarray((np.arange(256, dtype=np.uint16) * 257)[None]).save(tmp_path / "deep.png")
    assert np.array_equal(pixels(tmp_path / "deep.png")[0, :, 1], np.arange(256))
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg")  # no cyan
    assert np.abs(pixels(tmp_path / "red.jpg")[4, 4].astype(int) - [255, 0, 0]).max() < 40


def test_colour_profiles_are_converted_to_srgb(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    Image.fromarray(SMALL).save(tmp_path / "same.png", icc_profile=lab.tobytes())
    assert np.abs(pixels(tmp_path / "same.png").astype(int) - SMALL).max() <= 1
    swapped = bytearray(lab.tobytes())
    red, green = swapped.find(b"rXYZ"), swapped.find(b"gXYZ")  # a profile whose red is green
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    Image.fromarray(np.full((4, 4, 3), (255, 0, 0), np.uint8)).save(tmp_path / "other.png", icc_profile=bytes(swapped))
    assert np.abs(pixels(tmp_path / "other.png")[0, 0].astype(int) - [0, 255, 0]).max() <= 4


def test_a_broken_profile_is_told(tmp_path, caplog):
    Image.fromarray(SMALL).save(tmp_path / "a.png", icc_profile=b"no profile at all")
    assert np.array_equal(pixels(tmp_path / "a.png"), SMALL) and "profile" in caplog.text


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff"])
def test_pictures_written_are_read_back(tmp_path, ending):
    smooth = np.asarray(Image.fromarray(SMALL).resize((90, 60), Image.Resampling.BICUBIC))
    write_image(tmp_path / f"a.{ending}", smooth)
    assert np.abs(pixels(tmp_path / f"a.{ending}").astype(int) - smooth).mean() < (
        6 if ending in ("jpg", "webp") else 1e-9
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{ending}"]


def test_names_that_say_no_picture_are_refused(tmp_path):
    with pytest.raises(InputError, match="a.txt"):
        write_image(tmp_path / "a.txt", SMALL)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a.png is not a readable picture \(10 bytes\)"):
        read_image(tmp_path / "a.png")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "PNG")
    (tmp_path / "b.png").write_bytes(buffer.getvalue()[:3000])
    with pytest.raises(InputError, match="b.png is not a readable picture"):
        read_video(tmp_path / "b.png")
