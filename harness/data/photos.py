"""From the bytes of a photo to uint8 RGB pixels, on all cores. Pillow does the decoding."""

import contextlib
import hashlib
import io
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.data.store import Pixels
from harness.errors import MachineError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
# JPEG includes MPO, what many phones write as .jpg. Others stay shut: EPS, for one, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
THUMBNAIL = 48  # side in pixels; what near-duplicates are found in
SIXTEEN_BIT = 65535


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
    """Read and decode `path`; its longer side is at most `longest_side` pixels afterwards.

    A warning of Pillow (a picture as large as a bomb, broken EXIF) makes a bad photo too.
    """
    try:
        if not path.is_file():  # a FIFO would be waited on for ever
            raise ValueError("not a plain file, or a link to nothing")
        content = path.read_bytes()
        if not content:
            raise ValueError("empty file")
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            image = _open_rgb(content, longest_side)
            thumbnail = np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    except UnidentifiedImageError:
        return BadPhoto(f"not a picture in {', '.join(FORMATS)}")
    except MemoryError:
        return BadPhoto("too large for the memory of this machine")
    except OSError as error:
        return BadPhoto(error.strerror or str(error))
    except Exception as error:  # noqa: BLE001 (on a broken file Pillow raises anything; it is named in the list)
        return BadPhoto(" ".join(str(error).split()) or type(error).__name__)
    return Photo(hashlib.sha256(content).hexdigest(), image.height, image.width, image.tobytes(), thumbnail)


def _open_rgb(content: bytes, longest_side: int) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        scale = min(1.0, longest_side / max(image.size))
        if scale < 0.5:  # a JPEG decodes at 1/2, 1/4 or 1/8 for less; what is left is at least twice too large
            image.draft(image.mode, (round(2 * scale * image.width), round(2 * scale * image.height)))
        upright = ImageOps.exif_transpose(image)
        rgb = to_rgb(upright)
    scale = min(1.0, longest_side / max(rgb.size))
    if scale == 1.0:
        return rgb
    size = (max(1, round(scale * rgb.width)), max(1, round(scale * rgb.height)))
    return rgb.resize(size, Image.Resampling.LANCZOS)


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
    """`decode_photo` of each path, in order, by a process a core; few results are held at once.

    However the iteration ends, no process is left. Raises MachineError where one was killed.
    """
    cores = max(1, min(len(os.sched_getaffinity(0)), len(paths)))
    # spawn: the caller may have threads (a progress bar), and a fork of those may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_follow_parent)
    decode = partial(decode_photo, longest_side=longest_side)
    waiting: deque[Future[Photo | BadPhoto]] = deque()
    try:
        for path in paths:
            with _interrupts_held():
                waiting.append(pool.submit(decode, path))
            if len(waiting) >= 8 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MachineError("a process that decoded photos was killed; free some memory and prepare again") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back in this thread; processes started meanwhile never see it (a mask is inherited)."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow_parent() -> None:
    """A worker ends when its parent does, even one that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
