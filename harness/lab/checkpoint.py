"""The state of a stopped training: one file beside the weights, whole or not there, read without running its code."""

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

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


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Written and synced beside its place, then renamed: a power cut leaves the old one or the new one."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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
