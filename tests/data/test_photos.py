"""Every kind of photo that a folder may hold, from real files."""

import io
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import photos
from harness.data.photos import BadPhoto, Photo, decode_photo
from tests.data.conftest import blocks


def decoded(path: Path, longest_side: int = 512) -> np.ndarray:
    photo = decode_photo(path, longest_side)
    assert isinstance(photo, Photo), photo
    return np.frombuffer(photo.pixels, np.uint8).reshape(photo.height, photo.width, 3)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_a_png_keeps_every_pixel_and_its_size(tmp_path):
    assert np.array_equal(decoded(saved(tmp_path / "a.png", Image.fromarray(blocks(1)))), blocks(1))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr"])
def test_other_modes_become_the_rgb_that_pillow_shows(tmp_path, mode):
    suffix = "tif" if mode in {"CMYK", "YCbCr"} else "png"
    image = Image.fromarray(blocks(2)).convert(mode)
    assert np.array_equal(decoded(saved(tmp_path / f"a.{suffix}", image)), np.asarray(image.convert("RGB")))


def test_a_cmyk_jpeg_is_decoded(tmp_path):
    image = Image.new("RGB", (40, 30), (200, 30, 30)).convert("CMYK")
    pixel = decoded(saved(tmp_path / "a.jpg", image))[15, 20].astype(int)
    assert np.abs(pixel - (200, 30, 30)).max() < 8


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_to_eight_bits_not_cut(tmp_path, suffix):
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    pixels = decoded(saved(tmp_path / f"a.{suffix}", Image.fromarray(values)))
    assert pixels[0].tolist() == [[0, 0, 0], [100, 100, 100], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image = image.quantize() if mode == "P" else image.convert(mode)
    assert (decoded(saved(tmp_path / "a.png", image)) == 255).all()


def test_half_transparent_black_becomes_grey(tmp_path):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decoded(saved(tmp_path / "a.png", image))[0, 0].tolist() == [127, 127, 127]


def test_the_exif_orientation_turns_the_photo(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    pixels = decoded(saved(tmp_path / "a.png", Image.fromarray(blocks(3)), exif=exif))
    assert np.array_equal(pixels, np.rot90(blocks(3), -1))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_longer_side_is_capped_and_the_shape_kept(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(blocks(4, 300, 1200)))
    assert decoded(path, longest_side=100).shape == (25, 100, 3)
    assert decoded(path, longest_side=1200).shape == (300, 1200, 3)
    assert np.abs(decoded(path, 100)[2, 5].astype(int) - blocks(4)[0, 0]).max() < 8


def test_a_very_long_photo_keeps_at_least_one_pixel_of_width(tmp_path):
    assert decoded(saved(tmp_path / "a.png", Image.new("RGB", (1, 900))), 100).shape == (100, 1, 3)


def test_the_first_frame_of_an_animation_is_the_photo(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pixels = decoded(saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    assert pixels[0, 0].tolist() == [255, 0, 0]


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(blocks(5, 200, 200)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not a picture in JPEG"),
        (jpeg()[:2000], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_a_broken_photo_is_named_with_its_reason(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    photo = decode_photo(tmp_path / "a.jpg", 512)
    assert isinstance(photo, BadPhoto)
    assert reason in photo.reason
    assert "\n" not in photo.reason
    assert "0x" not in photo.reason


def test_a_picture_as_large_as_a_bomb_is_bad_and_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert isinstance(decode_photo(saved(tmp_path / "a.png", Image.new("RGB", (40, 40))), 512), Photo)  # below twice it
    photo = decode_photo(saved(tmp_path / "a.png", Image.new("RGB", (50, 50))), 512)
    assert isinstance(photo, BadPhoto)
    assert "2000" in photo.reason


def test_floating_point_pixels_are_bad_for_their_range_is_unknown(tmp_path):
    photo = decode_photo(saved(tmp_path / "a.tif", Image.new("F", (4, 4), 0.5)), 512)
    assert photo == BadPhoto("expected 8 or 16 bits a channel, got floating point")


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_is_no_plain_file_is_bad_and_never_waited_on(tmp_path, kind):
    path = tmp_path / "a.jpg"
    {"fifo": os.mkfifo, "link": lambda p: p.symlink_to("nothing"), "folder": os.mkdir}[kind](path)
    assert decode_photo(path, 512) == BadPhoto("not a plain file, or a link to nothing")


def test_any_flipped_byte_gives_a_photo_or_a_reason_never_an_exception(tmp_path):
    rng, good, path = np.random.default_rng(0), jpeg(), tmp_path / "a.jpg"
    for _ in range(200):
        content = bytearray(good)
        content[rng.integers(len(good))] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        assert isinstance(decode_photo(path, 64), Photo | BadPhoto)


def test_a_png_with_a_wrong_checksum_is_bad(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(blocks(6)))
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    assert isinstance(decode_photo(path, 512), BadPhoto)
    assert zlib.crc32(path.read_bytes()) != zlib.crc32(content)


def test_photos_come_back_in_order_and_broken_ones_in_their_place(tmp_path):
    paths = [saved(tmp_path / f"{n}.png", Image.new("RGB", (n + 1, 5))) for n in range(40)]
    paths[7].write_bytes(b"no")
    results = list(photos.decode_photos(paths, 512))
    assert isinstance(results[7], BadPhoto)
    widths = [result.width for result in results if isinstance(result, Photo)]
    assert widths == [n + 1 for n in range(40) if n != 7]
