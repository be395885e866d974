"""Where objects lie, which part of them stays visible, and the boxes around that."""

from typing import NamedTuple

import numpy as np

from harness.data.scenes.noise import Plane, Rng

Box = tuple[float, float, float, float]  # x, y, width, height
TRIES = 25
HIDDEN = 0.35  # an object of which less is visible is not annotated
SHARED = 0.3  # of the smaller of two boxes that the other may cover
MOST_IOU = 0.38  # the COCO road drops the larger of two boxes from .4 on
SLIMMEST = 4.0  # sides of a box
OUTSIDE = 0.15  # of an object that may lie beyond the photo's edge


class Placed(NamedTuple):
    """An object in the photo. `shift`: pixels (right, down) from its model to the photo."""

    label: int
    box: Box
    shift: tuple[float, float]
    visible: Plane  # (height, width), 0 to 1
    whole: float = 0.0  # sum of `visible` when nothing lay over it

    def hidden_by(self, cover: Plane) -> "Placed":
        """What is left visible below something else."""
        whole = self.whole or float(self.visible.sum())
        return self._replace(visible=self.visible * (1 - cover), whole=whole)


def free_place(rng: Rng, extent: Box, shape: tuple[int, int], label: int, placed: list[Placed]) -> Placed | None:
    """A random place for an object of `extent` (left, top, right, bottom) that covers no other one much."""
    left, top, right, bottom = extent
    wide, high = right - left, bottom - top
    if max(wide, high) > SLIMMEST * min(wide, high):
        return None
    edge_x, edge_y = OUTSIDE * wide * (rng.random() < 0.25), OUTSIDE * high * (rng.random() < 0.25)
    for _ in range(TRIES):
        x = rng.uniform(-edge_x, max(shape[1] - wide + edge_x, -edge_x + 1))
        y = rng.uniform(-edge_y, max(shape[0] - high + edge_y, -edge_y + 1))
        box = (float(x), float(y), wide, high)
        if all(_shared(box, other.box) < SHARED for other in placed):
            return Placed(label, box, (box[0] - left, box[1] - top), np.zeros(shape, np.float32))
    return None


def box_of(one: Placed, least: int) -> Box | None:
    """The box around what is visible, or None for too little of it."""
    if one.whole and float(one.visible.sum()) < HIDDEN * one.whole:
        return None
    rows, columns = (np.flatnonzero((one.visible > 0.4).sum(axis=axis) >= 2) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    x, y = float(columns[0]), float(rows[0])
    wide, high = float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)
    if min(wide, high) < least or max(wide, high) > SLIMMEST * min(wide, high):
        return None
    return x, y, wide, high


def keep_apart(boxes: list[tuple[int, Box | None]]) -> list[tuple[int, Box]]:
    """Those with a box, less any that one before it nearly coincides with."""
    kept: list[tuple[int, Box]] = []
    for label, box in boxes:
        if box is not None and all(iou(box, other) < MOST_IOU for _, other in kept):
            kept.append((label, box))
    return kept


def iou(one: Box, two: Box) -> float:
    """Intersection over union.

    >>> iou((0, 0, 2, 2), (1, 0, 2, 2))
    0.3333333333333333
    """
    both = _intersection(one, two)
    return both / (one[2] * one[3] + two[2] * two[3] - both)


def _shared(one: Box, two: Box) -> float:
    return _intersection(one, two) / min(one[2] * one[3], two[2] * two[3])


def _intersection(one: Box, two: Box) -> float:
    wide = min(one[0] + one[2], two[0] + two[2]) - max(one[0], two[0])
    high = min(one[1] + one[3], two[1] + two[3]) - max(one[1], two[1])
    return max(wide, 0.0) * max(high, 0.0)
