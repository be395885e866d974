"""From the bytes of a photo to uint8 RGB pixels. Pillow does the decoding."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.data.pool import on_all_cores
from harness.data.store import Pixels

Result = TypeVar("Result")

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
# JPEG includes MPO, what many phones write as .jpg. Others stay shut: EPS, for one, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
THUMBNAIL = 48  # side in pixels; what near-duplicates are found in
SIXTEEN_BIT = 65535
MISSING = "no such file"  # what a BadPhoto says of a path with nothing there


class Photo(NamedTuple):
    """A decoded photo: `pixels` is height * width * 3 bytes, RGB; `thumbnail` (THUMBNAIL, THUMBNAIL, 3)."""

    sha256: str  # of the file's bytes
    height: int
    width: int
    pixels: bytes
    thumbnail: Pixels


class BadPhoto(NamedTuple):
    """Why a file is no photo, in a few words."""

    reason: str


def decode_photo(path: Path, longest_side: int) -> Photo | BadPhoto:
    """Read and decode `path`, whole; its longer side is at most `longest_side` pixels afterwards."""
    return read_photo(path, partial(_whole, longest_side=longest_side))


def read_photo(path: Path, decode: Callable[[bytes], Result]) -> Result | BadPhoto:
    """What `decode` makes of the bytes of `path`, or why it could not.

    A picture of more than 179 million pixels, and what Pillow warns of (broken EXIF), make a bad photo too.
    """
    try:
        if not path.is_file():  # a FIFO would be waited on for ever
            raise ValueError("not a plain file, or a link to nothing" if os.path.lexists(path) else MISSING)
        content = path.read_bytes()
        if not content:
            raise ValueError("empty file")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter(
                "ignore", Image.DecompressionBombWarning
            )  # 90 million pixels; at twice that it raises
            return decode(content)
    except UnidentifiedImageError:
        return BadPhoto(f"not a picture in {', '.join(FORMATS)}")
    except MemoryError:
        return BadPhoto("too large for the memory of this machine")
    except OSError as error:
        return BadPhoto(error.strerror or str(error))
    except Exception as error:  # noqa: BLE001 (on a broken file Pillow raises anything; it is named in the list)
        return BadPhoto(" ".join(str(error).split()) or type(error).__name__)


def _whole(content: bytes, longest_side: int) -> Photo:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        scale = min(1.0, longest_side / max(image.size))
        if scale < 0.5:  # a JPEG decodes at 1/2, 1/4 or 1/8 for less; what is left is at least twice too large
            image.draft(image.mode, (round(2 * scale * image.width), round(2 * scale * image.height)))
        rgb = shrunk(to_rgb(ImageOps.exif_transpose(image)), longest_side)
    return Photo(hashlib.sha256(content).hexdigest(), rgb.height, rgb.width, rgb.tobytes(), thumbnail(rgb))


def shrunk(image: Image.Image, longest_side: int) -> Image.Image:
    """`image` with its longer side at most `longest_side` pixels; never enlarged."""
    scale = min(1.0, longest_side / max(image.size))
    if scale == 1.0:
        return image
    size = (max(1, round(scale * image.width)), max(1, round(scale * image.height)))
    return image.resize(size, Image.Resampling.LANCZOS)


def thumbnail(image: Image.Image) -> Pixels:
    """(THUMBNAIL, THUMBNAIL, 3): the whole of an RGB image squeezed into a square."""
    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB: transparency on white, 16-bit grey scaled to 8 bits.

    Raises ValueError on pixels of no known range (floating point, 32-bit).

    >>> to_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > SIXTEEN_BIT:
            raise ValueError("expected grey values of 16 bits, got 32")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("expected 8 or 16 bits a channel, got floating point")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def decode_photos(paths: Sequence[Path], longest_side: int) -> Generator[Photo | BadPhoto, None, None]:
    """`decode_photo` of each path, in order, on all cores."""
    return on_all_cores(partial(decode_photo, longest_side=longest_side), paths)
