"""The label files of a store: the only place where classes and photo names of crops are written or read.

Only store.py (train and val), answers.py (test) and writer.py import this module; tests/test_imports.py
may hold them to it. Photo names lie here too: in a folder data set a photo's name holds its class.
"""

import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness.errors import DataError
from harness.metrics import Ints

FOLDER = "labels"
FOLDER_MODE = 0o700  # the owner alone: what hides them from a worker, which runs as another user
FILE_MODE = 0o600


class Labels(NamedTuple):
    """Of one split, in the order of its crops. `labels`: (n,) int64; `photos`: what each was cut from."""

    labels: Ints
    photos: tuple[str, ...]


class _LabelsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    labels: tuple[int, ...]
    photos: tuple[str, ...]


def read_labels(store: Path, split: str, crops: int, classes: int) -> Labels:
    """The labels of `split`, checked to be `crops` integers in range(`classes`).

    Raises DataError where the file is missing, closed to this user or damaged.
    """
    path = store / FOLDER / f"{split}.json"
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_LabelsFile)
    except OSError as error:
        raise DataError(f"{path}: expected the labels of {split}, got {error.strerror}; prepare it again") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: expected labels and photos, got {error}; prepare it again") from error
    labels = np.array(content.labels, dtype=np.int64)
    in_range = not labels.size or (labels.min() >= 0 and labels.max() < classes)
    if not len(labels) == len(content.photos) == crops or not in_range:
        raise DataError(f"{path}: expected {crops} labels in range({classes}), got others; prepare it again")
    return Labels(labels, content.photos)


def write_labels(store: Path, split: str, labels: Labels) -> None:
    """Write `split`'s labels, readable by the owner alone whatever the umask is."""
    folder = store / FOLDER
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    content = _LabelsFile(tuple(labels.labels.tolist()), labels.photos)
    descriptor = os.open(folder / f"{split}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE_MODE)
        file.write(msgspec.json.encode(content))
