"""Boxes in a photo: where they lie, and which are worth a crop. Pure.

The cleaning is the original competition's: of two boxes that overlap much the larger is dropped, boxes of
extreme shape are dropped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.metrics import Floats

Flags = NDArray[np.bool_]

OVERLAP = 0.4  # intersection over union; the original competition's limit
EXTREME = 6.0  # longer by shorter side: padded to a square of 156 pixels, 26 are left of the shorter one
SMALLEST = 8.0  # pixels: below it a side is one block of a JPEG, and no material can be told

Size = tuple[float, float]  # width, height


class Box(NamedTuple):
    """Left and upper edge, width and height, in pixels, as an annotation file has them."""

    x: float
    y: float
    width: float
    height: float

    def is_proper(self) -> bool:
        """Finite, with an area.

        >>> Box(0, 0, 1, 1).is_proper(), Box(0, 0, 1, 0).is_proper(), Box(0, float("nan"), 1, 1).is_proper()
        (True, False, False)
        """
        return bool(np.isfinite(self).all()) and self.width > 0 and self.height > 0


class Rectangle(NamedTuple):
    """Whole pixels of a photo: columns left to right - 1, rows top to bottom - 1."""

    left: int
    top: int
    right: int
    bottom: int


class Dropped(NamedTuple):
    """Why a box gives no crop, in a few words."""

    reason: str


class Frame(NamedTuple):
    """Which pixels boxes refer to: of the photo as displayed, or as stored in the file; after scaling."""

    displayed: bool
    scale: Size


def find_frame(annotated: Size, displayed: Size, stored: Size) -> Frame | None:
    """The frame of boxes in a photo that the annotations say is `annotated` pixels.

    `displayed`: its size upright, as EXIF turns it; `stored`: its size in the file. Where both fit (no turn, or
    half a turn) the boxes are taken for the displayed photo. Failing both, a photo of the same shape is one
    that was resized. None where nothing fits.

    >>> find_frame((30, 40), (30, 40), (40, 30))
    Frame(displayed=True, scale=(1.0, 1.0))
    >>> find_frame((80, 60), (30, 40), (40, 30))
    Frame(displayed=False, scale=(0.5, 0.5))
    """
    sizes = ((True, displayed), (False, stored))
    for is_displayed, size in sizes:
        if annotated == size:
            return Frame(is_displayed, (1.0, 1.0))
    for is_displayed, size in sizes:
        if min(annotated) > 0 and _same_shape(annotated, size):
            return Frame(is_displayed, (size[0] / annotated[0], size[1] / annotated[1]))
    return None


def _same_shape(annotated: Size, size: Size) -> bool:
    """Is `size` what some one factor makes of `annotated`, each side rounded to a pixel in any way?"""
    low = max((side - 1) / old for side, old in zip(size, annotated, strict=True))
    high = min((side + 1) / old for side, old in zip(size, annotated, strict=True))
    return low < high


def clean_boxes(boxes: Sequence[Box], scale: Size, size: Size) -> list[Rectangle | Dropped]:
    """The pixels of each proper box that is worth a crop, or why it is not: one entry a box.

    `boxes` are brought to the photo by `scale` and clipped to its `size`. An overlap drops the larger box even
    where the smaller one is itself dropped for a third, for its object is in the picture all the same. Of
    identical boxes neither is larger; of others with equal areas the later one counts as the larger.
    """
    edges = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    with np.errstate(over="ignore"):  # infinity is clipped like any other far edge
        edges[:, 2:] += edges[:, :2]
        edges = np.clip(edges * (*scale, *scale), 0.0, (*size, *size))
    sides = edges[:, 2:] - edges[:, :2]
    results: list[Rectangle | Dropped | None] = [_unfit(width, height) for width, height in sides.tolist()]
    fit = np.array([number for number, result in enumerate(results) if result is None], dtype=np.int64)
    for number, covered in zip(fit.tolist(), _covers_smaller(edges[fit]).tolist(), strict=True):
        if covered:
            results[number] = Dropped(f"overlaps a smaller box (IoU {OVERLAP:g} or more)")
    pixels = np.rint(edges).astype(np.int64).tolist()
    return [Rectangle(*its) if result is None else result for its, result in zip(pixels, results, strict=True)]


def _unfit(width: float, height: float) -> Dropped | None:
    """Why a clipped box of these sides is dropped; None where it is not."""
    if min(width, height) <= 0:
        return Dropped("outside the photo")
    if min(width, height) < SMALLEST:
        return Dropped(f"a side under {SMALLEST:g} pixels")
    if max(width, height) > EXTREME * min(width, height):
        return Dropped(f"longer than 1:{EXTREME:g}")
    return None


def _covers_smaller(edges: Floats) -> Flags:
    """Is each of the boxes (n, 4) the larger of a pair that overlaps too much? Shape (n,)."""
    low, high = edges[:, :2], edges[:, 2:]
    area = (high - low).prod(axis=1)
    corner = np.maximum(low[:, None], low), np.minimum(high[:, None], high)
    both = np.maximum(corner[1] - corner[0], 0.0).prod(axis=2)
    much = both >= OVERLAP * (area[:, None] + area - both)
    order = np.arange(len(edges))
    larger = (area[:, None] > area) | ((area[:, None] == area) & (order[:, None] > order))
    identical = (edges[:, None] == edges).all(axis=2)
    covers: Flags = (much & larger & ~identical).any(axis=1)
    return covers
