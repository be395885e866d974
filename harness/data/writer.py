"""Writes a store: in a hidden folder beside its place, renamed when whole, removed when anything stops it."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

from harness.data.labels import Labels, write_labels
from harness.data.store import CHANNELS, MANIFEST, SPLITS, Index, LeftOut, Manifest
from harness.errors import DataError, MachineError


class Crop(NamedTuple):
    """One crop in the spool: where from, of which class, and where its pixels lie."""

    photo: str  # path below the source folder
    sha256: str  # of the photo's bytes
    label: int
    offset: int  # in the spool, in bytes
    height: int
    width: int
    box: tuple[float, float, float, float] | None = None  # in the photo, as the source has it; None: all of it
    split: str | None = None  # where the source gives it
    named: str | None = None  # what the user knows it by; None: the photo


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a preparation knows beside the crops; the fields are those of Manifest."""

    name: str
    source: str
    classes: tuple[str, ...]
    seed: int
    shares: tuple[float, float, float, float] | None
    longest_side: int | None
    near_duplicates: int = 0
    across_splits: int = 0
    left_out: tuple[LeftOut, ...] = ()
    unmapped: dict[str, int] = {}
    absent: tuple[str, ...] = ()
    few_photos: dict[str, int] = {}
    digest_splits: tuple[str, ...] = SPLITS


@contextlib.contextmanager
def half_made(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, which becomes it when the block ends well and is removed otherwise.

    What a killed preparation left is cleared first; one still at work is seen by its lock. Raises DataError
    where `target` exists or is being prepared, MachineError where the disk refuses.
    """
    if target.exists() or target.is_symlink():
        raise DataError(f"{target}: expected no data set there yet; choose another name or remove the folder")
    folder = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            try:
                yield folder
                folder.rename(target)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise MachineError(
            f"{target}: expected to write a data set there, got {error.strerror or error}; choose or free another place"
        ) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """`folder`, empty, held by this process alone."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder}: another process is preparing this data set; wait for it") from error
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield
    finally:
        os.close(descriptor)


class Spool:
    """Pixels in the order in which photos are read, until it is known which split each goes to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0

    def append(self, pixels: bytes) -> int:
        """Keep `pixels`; their offset."""
        offset, self._end = self._end, self._end + len(pixels)
        self._file.write(pixels)
        return offset

    def read(self, crop: Crop) -> bytes:
        """The pixels of `crop`."""
        self._file.seek(crop.offset)
        return self._file.read(crop.height * crop.width * CHANNELS)


@contextlib.contextmanager
def open_spool(folder: Path) -> Iterator[Spool]:
    """A spool in `folder` for the length of the block."""
    path = folder / "spool"
    with path.open("w+b") as file:
        yield Spool(file)
    path.unlink()


def source_digest(crops: Sequence[Crop], splits: Sequence[str], origin: Origin) -> str:
    """sha256 over classes, settings and, sorted, each crop's photo, the sha256 of its bytes, its split, and the
    label and box of one that was cut from a photo; the crops of `origin.digest_splits` alone.

    Never over decoded pixels: two decoders that differ in a bit give one digest.
    """
    covered = [pair for pair in zip(crops, splits, strict=True) if pair[1] in origin.digest_splits]
    photos = sorted({_identity(crop, split) for crop, split in covered})
    settings = (origin.seed, origin.shares, origin.longest_side)
    return hashlib.sha256(msgspec.json.encode((origin.source, origin.classes, settings, photos))).hexdigest()


def _identity(crop: Crop, split: str) -> tuple[str | int | float, ...]:
    whole = (crop.photo, crop.sha256, split)  # its path holds its class
    return whole if crop.box is None else (*whole, crop.label, *crop.box)


def write_store(folder: Path, spool: Spool, crops: Sequence[Crop], splits: Sequence[str], origin: Origin) -> Manifest:
    """Write the files of a store into `folder`: `crops` from `spool`, each in its split. Its manifest."""
    count, photos = dict.fromkeys(SPLITS, 0), dict.fromkeys(SPLITS, 0)
    by_class: dict[str, tuple[int, ...]] = {}
    for split in SPLITS:
        chosen = [crop for crop, its in zip(crops, splits, strict=True) if its == split]
        chosen.sort(key=lambda crop: _shuffled(crop, origin.seed))
        _write_split(folder, split, spool, chosen)
        count[split] = len(chosen)
        photos[split] = len({crop.photo for crop in chosen})
        labels = [crop.label for crop in chosen]
        by_class[split] = tuple(map(labels.count, range(len(origin.classes))))
    digest = source_digest(crops, splits, origin)
    fields = msgspec.structs.asdict(origin) | {"crops": count, "photos": photos, "class_crops": by_class}
    manifest = Manifest(**fields, digest=digest)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def _shuffled(crop: Crop, seed: int) -> tuple[bytes, int]:
    """Sort key: by a hash of seed, photo bytes and box. A seeded permutation of sorted names could be undone."""
    box = "" if crop.box is None else f" {crop.box}"
    return hashlib.sha256(f"{seed} {crop.sha256}{box}".encode()).digest(), crop.offset


def _write_split(folder: Path, split: str, spool: Spool, crops: Sequence[Crop]) -> None:
    offsets, end = [], 0
    with (folder / f"{split}.pixels").open("wb") as file:
        for crop in crops:
            offsets.append(end)
            end += file.write(spool.read(crop))
    index = Index(tuple(offsets), tuple(crop.height for crop in crops), tuple(crop.width for crop in crops))
    (folder / f"{split}.index.json").write_bytes(msgspec.json.encode(index))
    labels = np.array([crop.label for crop in crops], dtype=np.int64)
    write_labels(folder, split, Labels(labels, tuple(crop.photo for crop in crops)))
