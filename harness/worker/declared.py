"""The predict of a package without Python: pixels, network, labels."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.formats import FORMATS, MODEL_FILE, Declared
from harness.worker.complaints import unusable
from harness.worker.package import Failed, Predict
from harness.worker.pixels import preparing, with_pillow, with_torch
from harness.worker.runtimes import RUNTIMES, Run


def load(package: Path, device: str) -> Predict:
    """The predict of the declared package that is staged in the current folder. Raises Failed."""
    its = msgspec.json.decode((package / MODEL_FILE).read_bytes(), type=Declared)
    classes = len(json.loads((package / "classes.json").read_bytes()))
    if not (package / its.file).is_file():
        raise unusable(its.file, "the model's file", "none")
    given = int(os.environ.get("OMP_NUM_THREADS", "1"))
    run = RUNTIMES[its.model.format](its, device, min(its.model.threads or given, given))
    prepare = preparing(its.input, with_torch if FORMATS[its.model.format].by_torch else with_pillow)
    _try(its, run, 1, classes)
    if its.batch > 1:
        _try(its, run, 2, classes)

    def predict(crops: list[np.ndarray]) -> list[int]:
        """One label a crop; at most `batch` crops at once, for its axis may be fixed."""
        labels: list[int] = []
        for first in range(0, len(crops), its.batch):
            labels += run(prepare(crops[first : first + its.batch])).argmax(1).tolist()
        return labels

    return predict


def _try(its: Declared, run: Run, crops: int, classes: int) -> None:
    """Raises Failed where black crops do not come out as scores, or the network raises."""
    black: np.ndarray[Any, Any] = np.zeros((crops, *its.input.shape()), its.input.type)
    takes = f"a network that takes {crops} x {' x '.join(map(str, its.input.shape()))}"
    if crops > 1:
        takes += f" (a free first axis, or batch = 1 in place of {its.batch})"
    try:
        scores = run(black)
    except Failed:
        raise
    except Exception as error:
        raise unusable(its.file, takes, error) from error
    shape = tuple(getattr(scores, "shape", ()))
    if shape != (crops, classes):
        raise unusable(its.file, f"scores of shape {(crops, classes)}, one for each class", shape)
