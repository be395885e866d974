"""From the bytes of a photo and its boxes to crops of their natural size."""

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from harness.data.annotations import BoxedPhoto
from harness.data.boxes import Dropped, Frame, Rectangle, clean_boxes, find_frame
from harness.data.photos import FORMATS, BadPhoto, read_photo, shrunk, thumbnail, to_rgb
from harness.data.store import Pixels

ORIENTATION = 0x0112  # EXIF's tag
# How EXIF's orientations that swap the sides are undone; the others change no size, so no box can mean them.
TURNS = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What undoes a turn; the other two undo themselves.
BACK = {
    Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
}


class Cut(NamedTuple):
    """One crop: height * width * 3 bytes, RGB."""

    height: int
    width: int
    pixels: bytes


class CutPhoto(NamedTuple):
    """What a photo gave: a crop or a reason for each of its boxes; `thumbnail` is of the whole photo."""

    sha256: str  # of the file's bytes
    thumbnail: Pixels
    cuts: tuple[Cut | Dropped, ...]


def cut_photo(boxed: BoxedPhoto, images: Path, longest_side: int) -> CutPhoto | BadPhoto:
    """Read the photo below the folder `images`, clean its boxes and cut them out, upright.

    A crop's longer side is at most `longest_side` pixels. The photo is bad where its size is not, and is not in
    proportion to, what the annotations say.
    """
    return read_photo(images / boxed.photo, partial(_cut, boxed=boxed, longest_side=longest_side))


def _cut(content: bytes, boxed: BoxedPhoto, longest_side: int) -> CutPhoto:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
        # Never drafted: a JPEG decoded at a part of its size would take that from the crops.
        upright = ImageOps.exif_transpose(image)  # TIFF is turned on loading, and says so no more
        displayed = upright.size
        said_w, said_h = boxed.width or displayed[0], boxed.height or displayed[1]  # silent: as displayed
        frame = find_frame((said_w, said_h), displayed, displayed if turn is None else displayed[::-1])
        if frame is None:
            said, got = f"{said_w:g}x{said_h:g}", f"{displayed[0]}x{displayed[1]}"
            raise ValueError(f"the annotations say {said} pixels, it has {got}")
        rgb = to_rgb(upright)
    turn = None if frame.displayed else turn
    if turn is not None:
        rgb = rgb.transpose(BACK.get(turn, turn))
    cuts = tuple(_crop(rgb, its, turn, longest_side) for its in _cleaned(boxed, frame, rgb))
    return CutPhoto(hashlib.sha256(content).hexdigest(), thumbnail(rgb), cuts)


def _cleaned(boxed: BoxedPhoto, frame: Frame, rgb: Image.Image) -> list[Rectangle | Dropped]:
    return clean_boxes([its.box for its in boxed.boxes], frame.scale, rgb.size)


def _crop(
    rgb: Image.Image, place: Rectangle | Dropped, turn: Image.Transpose | None, longest_side: int
) -> Cut | Dropped:
    if isinstance(place, Dropped):
        return place
    crop = shrunk(rgb.crop(place), longest_side)
    if turn is not None:
        crop = crop.transpose(turn)
    return Cut(crop.height, crop.width, crop.tobytes())
