"""Writes what a fit leaves in a package: weights/<data>.safetensors, and weights/<data>.json beside it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from harness.errors import DataError


class WeightsInfo(msgspec.Struct, frozen=True):
    """What weights were fitted on and how; enough to fit them again. Those from elsewhere say their classes alone."""

    classes: tuple[str, ...]  # the data set's, in index order
    data_digest: str | None = None  # of the data set's manifest
    recipe: dict[str, int | float | str] = msgspec.field(default_factory=dict)  # every setting of the fit
    log: list[dict[str, int | float | str]] = msgspec.field(default_factory=list)  # one entry an epoch


def write_weights(package: Path, data: str, tensors: Mapping[str, NDArray[Any]], info: WeightsInfo) -> Path:
    """Write `tensors` and `info` to package/weights/ for the data set named `data`; the path of the tensors.

    Both appear whole or not at all: where the disk is full (OSError), what was there stays. An info never lies beside
    tensors of another fit.
    """
    folder = package / "weights"
    folder.mkdir(exist_ok=True)
    path, info_path = folder / f"{data}.safetensors", folder / f"{data}.json"
    # safetensors writes the buffer as it lies, so each array has to be in C order (and shape () stays so).
    arrays = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    with _temporary(path, save(arrays)) as written, _temporary(info_path, _encoded(info)) as written_info:
        info_path.unlink(missing_ok=True)
        written.replace(path)
        written_info.replace(info_path)
    return path


def write_info(path: Path, info: WeightsInfo) -> None:
    """Write `info` to weights/<data>.json, whole or not at all."""
    with _temporary(path, _encoded(info)) as written:
        written.replace(path)


def read_info(path: Path) -> WeightsInfo:
    """The info in a weights/<data>.json, also where it is staged as weights.json.

    Raises DataError where it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WeightsInfo)
    except OSError as error:
        raise DataError(f"{path}: expected the info of fitted weights, got {error.strerror}; fit again") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected the info of fitted weights, got {error}; fit again") from error


def _encoded(info: WeightsInfo) -> bytes:
    return msgspec.json.format(msgspec.json.encode(info), indent=1) + b"\n"


@contextlib.contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    """The content in a synced file beside `path`, to be renamed to it; gone afterwards where it was not."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # mkstemp makes files that only their owner can read
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)
