"""A contact sheet of misclassified validation crops. Pure: pixels and labels in, small JPEGs as text out."""

import base64
import io
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.metrics import Ints
from harness.report.clean import clean

_MOST = 60  # crops: a screen or two
_SIDE = 112  # pixels of a crop's longer side


class Mistake(msgspec.Struct, frozen=True):
    """One crop."""

    truth: str
    answer: str
    image: str  # a data: address


class Sheet(msgspec.Struct, frozen=True):
    """The worst of them, and how many there were."""

    crops: int
    wrong: int
    mistakes: tuple[Mistake, ...]


def order(truth: Ints, answers: Ints) -> list[int]:
    """Numbers of the misclassified crops, those of the commonest confusion first. A package gives labels and no
    scores, so how sure it was is not known; what it does again and again is.

    >>> order(np.array([0, 0, 0, 1, 2]), np.array([1, 0, 1, 1, 0]))
    [0, 2, 4]
    """
    pairs = list(zip(truth.tolist(), answers.tolist(), strict=True))
    common = Counter(pair for pair in pairs if pair[0] != pair[1])
    wrong = [number for number, pair in enumerate(pairs) if pair[0] != pair[1]]
    return sorted(wrong, key=lambda number: (-common[pairs[number]], pairs[number], number))


def sheet(truth: Ints, answers: Ints, classes: Sequence[str], crop: Callable[[int], NDArray[np.uint8]]) -> Sheet:
    """The sheet of a validation split. `crop`: (H, W, 3) pixels by number."""
    wrong = order(truth, answers)
    names = [clean(name, 40) for name in classes]
    return Sheet(
        crops=int(truth.size),
        wrong=len(wrong),
        mistakes=tuple(
            Mistake(names[truth[number]], names[answers[number]], _jpeg(crop(number))) for number in wrong[:_MOST]
        ),
    )


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((_SIDE, _SIDE))
    body = io.BytesIO()
    image.save(body, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(body.getvalue()).decode()}"
