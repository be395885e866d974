"""A prepared data set: data/<name>/, read-only and memory-mapped.

manifest.json            Manifest
<split>.pixels           crops one after another, RGB bytes, in an order that says nothing of the class
<split>.index.json       offset, height and width of each crop, nothing else
labels/ (mode 0700)      <split>.json (mode 0600): class and photo of each crop, apart from all pixels
"""

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.data.labels import Labels, read_labels
from harness.errors import DataError
from harness.metrics import Ints

Pixels = NDArray[np.uint8]

SCHEMA = 1
SPLITS = ("train", "val", "test-public", "test-private")
TRAINING_SPLITS = ("train", "val")
TEST_SPLITS = ("test-public", "test-private")
MANIFEST = "manifest.json"
CHANNELS = 3  # RGB
FEW = 8  # photos: of fewer, two test splits of .15 would hold one each, so a class has one test split


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the source is in no split, and why."""

    reason: str
    photos: tuple[str, ...]  # paths below the source folder, or boxes as path#annotation


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a store holds. `digest`: see harness.data.writer.source_digest."""

    schema: int = SCHEMA
    name: str
    source: str  # kind: "folder", "coco", "synthetic", …
    classes: tuple[str, ...]  # a label is a position in it
    digest: str
    crops: dict[str, int]  # by split
    photos: dict[str, int]  # by split
    near_duplicates: int  # photos kept in the split of another one because they look the same
    across_splits: int = 0  # photos with a near-duplicate in another split, where the source gives the splits
    left_out: tuple[LeftOut, ...] = ()
    unmapped: dict[str, int] = {}  # boxes of each category of the source that is in no class
    absent: tuple[str, ...] = ()  # categories of the classes that the source does not have
    class_crops: dict[str, tuple[int, ...]] = {}  # by split, in the order of `classes`
    few_photos: dict[str, int] = {}  # photos of each class with fewer than FEW
    seed: int
    shares: tuple[float, float, float, float] | None  # in the order of SPLITS; None: the source gives the splits
    digest_splits: tuple[str, ...] = SPLITS  # those whose crops the digest covers
    longest_side: int | None  # in pixels, of the stored crops; None: never reduced


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the crops of a split lie: offset in bytes, height and width in pixels, each one a crop."""

    offset: tuple[int, ...]
    height: tuple[int, ...]
    width: tuple[int, ...]

    def size_bytes(self) -> int | None:
        """Length of the pixel file, or None where the crops do not lie one after another."""
        if not len(self.offset) == len(self.height) == len(self.width):
            return None
        end = 0
        for offset, height, width in zip(self.offset, self.height, self.width, strict=True):
            if offset != end or height < 1 or width < 1:
                return None
            end += height * width * CHANNELS
        return end


class Crops:
    """One split's crops: `crops[i]` is a read-only uint8 array (height, width, 3), RGB, mapped from the file.

    `sizes`: (n, 2) int64 of (height, width). IndexError outside range(-n, n).
    """

    __slots__ = ("_offsets", "_pixels", "sizes")

    def __init__(self, pixels: Pixels, index: Index) -> None:
        self._pixels = pixels
        self._offsets = index.offset
        self.sizes: Ints = np.array([index.height, index.width], dtype=np.int64).T.reshape(-1, 2)
        self.sizes.setflags(write=False)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, number: int) -> Pixels:
        offset = self._offsets[number]
        height, width = self.sizes[number].tolist()
        return self._pixels[offset : offset + height * width * CHANNELS].reshape(height, width, CHANNELS)


class Store(msgspec.Struct, frozen=True):
    """An open data set. It never gives the labels of a test split."""

    path: Path
    manifest: Manifest

    def crops(self, split: str) -> Crops:
        """The pixels of one of SPLITS. Raises DataError on another name or a file that has changed."""
        if split not in SPLITS:
            raise DataError(f"{self.manifest.name}: expected a split of {', '.join(SPLITS)}, got {split!r}")
        index = _read_index(self.path, split, self.manifest.crops[split])
        if not index.offset:  # an empty file cannot be mapped
            return Crops(np.zeros(0, np.uint8), index)
        return Crops(np.memmap(self.path / f"{split}.pixels", np.uint8, mode="r").view(np.ndarray), index)

    def training_labels(self, split: str) -> Labels:
        """Labels of "train" or "val", in the order of the crops. Raises DataError on any other, or none to train on."""
        if split not in TRAINING_SPLITS:
            raise DataError(
                f"{self.manifest.name}: expected split train or val, got {split!r}; "
                "the labels of the test splits are opened by evaluate alone"
            )
        if split == "train" and not self.manifest.crops[split]:
            raise DataError(
                f"{self.manifest.name}: expected crops to train on, got a data set that was prepared without; "
                f"remove {self.path} and prepare it whole, or let `harness train` add them"
            )
        return read_labels(self.path, split, self.manifest.crops[split], len(self.manifest.classes))


def open_store(path: Path) -> Store:
    """The data set in the folder `path`, with its files checked against its manifest (not its labels).

    Raises DataError where it is missing (the message lists the data sets beside it) or damaged.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(_missing(path)) from error
    manifest = _decode_manifest(text, path / MANIFEST)
    for split in SPLITS:
        _read_index(path, split, manifest.crops[split])
    return Store(path, manifest)


class _Versioned(msgspec.Struct, frozen=True):
    """A manifest of any schema: the one struct that allows other fields, to tell which schema it is."""

    schema: int


def _decode_manifest(text: bytes, path: Path) -> Manifest:
    try:
        schema = msgspec.json.decode(text, type=_Versioned).schema
        if schema != SCHEMA:
            raise DataError(f"{path}: expected schema {SCHEMA}, got {schema}; update harness or prepare it again")
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: expected a manifest of schema {SCHEMA}, got {error}; prepare it again") from error
    if not manifest.crops.keys() == manifest.photos.keys() == set(SPLITS) or len(manifest.classes) < 2:
        raise DataError(f"{path}: expected splits {', '.join(SPLITS)} and two or more classes; prepare it again")
    return manifest


def _read_index(path: Path, split: str, crops: int) -> Index:
    pixels, name = path / f"{split}.pixels", path / f"{split}.index.json"
    try:
        index = msgspec.json.decode(name.read_bytes(), type=Index)
        size = pixels.stat().st_size
    except OSError as error:
        raise DataError(f"{error.filename}: expected a file of the data set, got {error.strerror}; {_AGAIN}") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{name}: expected offset, height and width, got {error}; {_AGAIN}") from error
    expected = index.size_bytes()
    if expected is None or len(index.offset) != crops:
        raise DataError(f"{name}: expected {crops} crops one after another, got {len(index.offset)}; {_AGAIN}")
    if size != expected:
        raise DataError(f"{pixels}: expected {expected} bytes, got {size}; {_AGAIN}")
    return index


_AGAIN = "remove the folder and prepare it again"


def _missing(path: Path) -> str:
    name = path.name
    command = f"harness prepare folder DIR --name {name}"
    message = f"no data set {name}: expected folder {path}; prepare one with `{command}`"
    beside = sorted(found.parent.name for found in path.parent.glob(f"[!.]*/{MANIFEST}") if found.parent != path)
    return message + (f"; beside it: {', '.join(beside)}" if beside else "")
