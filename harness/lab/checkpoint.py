"""The state of a stopped training: one file beside the weights, whole or not there, read without running its code."""

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.atomic import machine, replace
from harness.errors import SubmissionError

_AGAIN = "--fresh starts over"


def checkpoint_path(package: Path, data: str) -> Path:
    """Where the training of a package on the data set of this name keeps its state."""
    return package / "weights" / f"{data}.checkpoint"


def epochs_in(log: Sequence[Mapping[str, int | float | str]]) -> int:
    """How many epochs a log holds; the start, where it is noted, is epoch 0.

    >>> epochs_in([{"epoch": 0, "val_f1": 0.5}, {"epoch": 1, "val_f1": 0.6}])
    1
    """
    return int(log[-1]["epoch"]) if log else 0


def epochs_since_best(log: Sequence[Mapping[str, int | float | str]]) -> int:
    """Epochs after the first one of the best validation macro F1.

    >>> epochs_since_best([{"epoch": 1, "val_f1": 0.5}, {"epoch": 2, "val_f1": 0.4}, {"epoch": 3, "val_f1": 0.5}])
    2
    """
    best = max(log, key=lambda entry: float(entry["val_f1"]), default=None)
    return epochs_in(log) - int(best["epoch"]) if best else 0


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Replaces the checkpoint; a power cut or a full disk leaves the old one. Raises MachineError where it cannot."""
    content = io.BytesIO()  # else a full disk would be torch's to report
    torch.save(state, content)
    with machine(path.parent):
        path.parent.mkdir(exist_ok=True)
        replace(path, content.getvalue())


def read_checkpoint(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of a stopped training of this identity, None where there is none.

    Raises SubmissionError (kind "checkpoint") where the file is damaged or another training's, and says which.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)  # no pickled code
        theirs, done = state["identity"], epochs_in(state["log"])
    except (EOFError, OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise SubmissionError(
            f"{path}: expected a stopped training, got a damaged file; {_AGAIN}", kind="checkpoint"
        ) from error
    if theirs != identity:
        raise SubmissionError(
            f"{path}: expected a stopped training of these settings, got one of {_difference(theirs, identity)} after "
            f"{done} epochs; give the same ones to go on, {_AGAIN}",
            kind="checkpoint",
        )
    return state


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Which of their settings are not ours.

    >>> _difference({"recipe": {"epochs": 24}, "data": "a"}, {"recipe": {"epochs": 50}, "data": "a"})
    'epochs 24 (here 50)'
    >>> _difference({"recipe": {}, "data": "a"}, {"recipe": {}, "data": "b"})
    'another data'
    """
    mine, yours = ours["recipe"], theirs.get("recipe", {})
    settings = [f"{key} {yours.get(key)} (here {value})" for key, value in mine.items() if yours.get(key) != value]
    return ", ".join(settings or [f"another {key}" for key in ours if theirs.get(key) != ours[key]])
