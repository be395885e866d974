"""The predict of a package without Python: pixels, network, labels."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.formats import FORMATS, MODEL_FILE, Declared
from harness.worker.complaints import unusable
from harness.worker.package import Failed, Predict
from harness.worker.pixels import preparing, with_pillow, with_torch
from harness.worker.runtimes import RUNTIMES

_LFS = b"version https://git-lfs.github.com/spec/"  # how the file begins that stands for one that was not fetched


def load(package: Path, device: str) -> Predict:
    """The predict of the declared package that is staged in the current folder. Raises Failed."""
    its = msgspec.json.decode((package / MODEL_FILE).read_bytes(), type=Declared)
    classes = len(json.loads((package / "classes.json").read_bytes()))
    if not (package / its.file).is_file():
        raise unusable(its.file, "the model's file", "none")
    with open(its.file, "rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise unusable(its.file, "the model's file", "Git LFS's pointer to it; `git lfs pull` fetches it")
    given = int(os.environ.get("OMP_NUM_THREADS", "1"))
    network = RUNTIMES[its.model.format](its, device, min(its.model.threads or given, given))
    prepare = preparing(its.input, with_torch if FORMATS[its.model.format].by_torch else with_pillow)
    noise = np.random.default_rng(0).integers(0, 256, (*its.input.sides(), 3), np.uint8)
    run = network.only(_which(its, _tried(its, network.outputs, prepare([noise])), 1, classes))
    if its.batch > 1:
        _which(its, [_tried(its, run, prepare([noise] * 2))], 2, classes)

    def predict(crops: list[np.ndarray]) -> list[int]:
        """One label a crop; at most `batch` crops at once, for its axis may be fixed."""
        labels: list[int] = []
        for first in range(0, len(crops), its.batch):
            some = crops[first : first + its.batch]
            labels += run(prepare(some)).reshape(len(some), classes).argmax(1).tolist()
        return labels

    return predict


def _tried(its: Declared, run: Callable[[Any], Any], pixels: NDArray[Any]) -> Any:
    """What comes out. Raises Failed where the network raises."""
    takes = f"a network that takes {' x '.join(map(str, pixels.shape))}"
    if len(pixels) > 1:
        takes += f" (a free first axis, or batch = 1 in place of {its.batch})"
    try:
        return run(pixels)
    except Failed:
        raise
    except Exception as error:
        raise unusable(its.file, takes, error) from error


def _which(its: Declared, outputs: Sequence[Any], crops: int, classes: int) -> int:
    """The place of the first output that is one score a class. Raises Failed where none is, or a score is no number."""
    for number, scores in enumerate(outputs):
        if are_scores(scores, crops, classes):
            if np.isnan(scores).any():
                raise unusable(its.file, "scores that are numbers", "nan for a crop of noise")
            return number
    got = ", ".join(str(tuple(getattr(one, "shape", ()))) for one in outputs)
    if any(getattr(one, "size", 0) == crops and one.dtype.kind in "iu" for one in outputs):
        got += ", labels it seems: let the network end before its argmax"
    raise unusable(its.file, f"scores of shape {(crops, classes)}, one for each class", got)


def are_scores(output: Any, crops: int, classes: int) -> bool:
    """Whether it is numbers of shape (crops, classes), where sides of one count for nothing.

    >>> are_scores(np.zeros((2, 1, 1, 6)), 2, 6), are_scores(np.zeros((6, 2)), 2, 6), are_scores(np.zeros(1, int), 1, 6)
    (True, False, False)
    """
    if not isinstance(output, np.ndarray) or output.dtype.kind not in "fiu":
        return False
    return [side for side in output.shape if side != 1] == [side for side in (crops, classes) if side != 1]
