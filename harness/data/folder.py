"""`harness prepare folder`: a folder with one folder of photos a class, made into a store."""

import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness.data.duplicates import duplicate_groups
from harness.data.photos import SUFFIXES, BadPhoto, decode_photos
from harness.data.split import TESTS, TRAIN, split_groups
from harness.data.store import SPLITS, LeftOut, Manifest, Pixels
from harness.data.writer import Crop, Origin, Spool, half_made, open_spool, write_store
from harness.errors import DataError, UsageError
from harness.metrics import Ints

Progress = Callable[[int, int], None]  # photos done, photos in all
LISTED = 20  # bad photos named in a message; the rest is a count


class PrepareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How photos become a store. `shares`: in the order of SPLITS; `longest_side` of a crop in pixels."""

    seed: int = 0
    shares: tuple[float, float, float, float] = (0.6, 0.1, 0.15, 0.15)
    longest_side: int = 512
    skip_bad: bool = False


class Listing(NamedTuple):
    """The files below a source folder. `photos`: (path below it, label), sorted by path."""

    classes: tuple[str, ...]
    photos: tuple[tuple[str, int], ...]
    left_out: tuple[LeftOut, ...]


def prepare_folder(
    source: Path, target: Path, name: str, settings: PrepareSettings, progress: Progress, kind: str = "folder"
) -> Manifest:
    """Read every photo of `source`, group near-duplicates, split by group and write the store `target`.

    The classes are the names of the folders in `source`, sorted without regard to case. Of files with the
    same bytes one is kept; where they lie in different classes none is, for their class is unknown.
    Raises DataError on what the source lacks or has broken (all bad photos in one message), UsageError on
    settings that make no sense, MachineError where the disk refuses. Then, and on Ctrl-C, nothing is left.
    """
    check_settings(settings)
    with half_made(target) as folder, open_spool(folder) as spool:
        listing = list_photos(source)
        crops, thumbnails, bad = _read(source, listing, spool, settings, progress)
        if bad and not settings.skip_bad:
            raise DataError(_bad_message(source, bad))
        kept, copies = drop_copies(crops)
        crops = [crops[number] for number in kept]
        groups = duplicate_groups(np.stack(thumbnails)[kept]) if kept else np.zeros(0, np.int64)
        splits = _split(source, listing.classes, crops, groups, settings)
        origin = Origin(
            name=name,
            source=kind,
            classes=listing.classes,
            seed=settings.seed,
            shares=settings.shares,
            longest_side=settings.longest_side,
            near_duplicates=int((np.bincount(groups)[groups] > 1).sum()),
            left_out=(*listing.left_out, *_by_reason(bad), *_by_reason(copies)),
        )
        return write_store(folder, spool, crops, splits, origin)


def check_settings(settings: PrepareSettings) -> None:
    """Raise UsageError unless the shares sum to 1, train and test have some, and the side is 1 or more."""
    train, _, *tests = shares = settings.shares
    if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6) or train <= 0 or sum(tests) <= 0:
        raise UsageError(f"shares: expected four that sum to 1, train and test above 0, got {shares}")
    if settings.longest_side < 1:
        raise UsageError(f"longest side: expected 1 pixel or more, got {settings.longest_side}")


def list_photos(source: Path) -> Listing:
    """What lies in `source`: classes, photos (by suffix) at any depth, and what is left out.

    Raises DataError where it is no folder, has fewer than two class folders, or one without photos.
    """
    if not source.is_dir():
        raise DataError(f"{source}: expected a folder with one folder of photos a class, got no folder")
    folders = [path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")]
    classes = tuple(sorted((path.name for path in folders), key=lambda name: (name.casefold(), name)))
    if len(classes) < 2:
        raise DataError(f"{source}: expected two or more folders, one a class, got {len(classes)}; name their parent")
    photos: list[tuple[str, int]] = []
    others: list[tuple[str, str]] = []
    for path in _files(source):
        reason, below = _why_not(path), str(path)
        if reason is None:
            photos.append((below, classes.index(path.parts[0])))
        else:
            others.append((below.encode(errors="replace").decode(), reason))
    found = {label for _, label in photos}
    if empty := [name for label, name in enumerate(classes) if label not in found]:
        raise DataError(
            f"{source}: expected photos in each class, got none in {', '.join(empty)}; add some or remove it"
        )
    return Listing(classes, tuple(photos), _by_reason(others))


def _files(source: Path) -> Iterator[Path]:
    """Every file below `source`, sorted, as paths below it. Links to folders are followed at the top only."""
    found = []
    for top in source.iterdir():
        below = top.rglob("*") if top.is_dir() else iter((top,))
        found += [path.relative_to(source) for path in below if path.is_symlink() or not path.is_dir()]
    yield from sorted(found, key=lambda path: path.as_posix())


def _why_not(path: Path) -> str | None:
    """Why the file at `path` below the source is no photo of a class; None where it is one."""
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    if len(path.parts) == 1:
        return "outside the class folders"
    if path.suffix.lower() not in SUFFIXES:
        return f"not a photo (known: {' '.join(sorted(SUFFIXES))})"
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None


def _read(
    source: Path, listing: Listing, spool: Spool, settings: PrepareSettings, progress: Progress
) -> tuple[list[Crop], list[Pixels], list[tuple[str, str]]]:
    """Decode the photos into the spool: their crops and thumbnails, and (path, reason) of each bad one."""
    crops, thumbnails, bad = [], [], []
    decoded = decode_photos([source / photo for photo, _ in listing.photos], settings.longest_side)
    with contextlib.closing(decoded):
        for number, ((photo, label), result) in enumerate(zip(listing.photos, decoded, strict=True), start=1):
            if isinstance(result, BadPhoto):
                bad.append((photo, f"bad photo: {result.reason}"))
            else:
                offset = spool.append(result.pixels)
                crops.append(Crop(photo, result.sha256, label, offset, result.height, result.width))
                thumbnails.append(result.thumbnail)
            progress(number, len(listing.photos))
    return crops, thumbnails, bad


def _bad_message(source: Path, bad: Sequence[tuple[str, str]]) -> str:
    named = ", ".join(f"{photo} ({reason.removeprefix('bad photo: ')})" for photo, reason in bad[:LISTED])
    more = f" and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
    return f"{source}: expected readable photos, got {len(bad)} bad: {named}{more}; repair or add --skip-bad"


def drop_copies(crops: Sequence[Crop]) -> tuple[list[int], list[tuple[str, str]]]:
    """The positions to keep of photos with the same bytes, and (photo, reason) of the others.

    Copies in one class: the first stays. Copies in two classes: none stays, for one of the labels is wrong.
    """
    same: dict[str, list[int]] = defaultdict(list)
    for number, crop in enumerate(crops):
        same[crop.sha256].append(number)
    kept, dropped = [], []
    for numbers in same.values():
        if len({crops[number].label for number in numbers}) > 1:
            dropped += [(crops[number].photo, "the same file lies in two classes") for number in numbers]
        else:
            kept.append(numbers[0])
            dropped += [(crops[number].photo, "a copy of another file of its class") for number in numbers[1:]]
    return sorted(kept), sorted(dropped)


def _split(
    source: Path, classes: Sequence[str], crops: Sequence[Crop], groups: Ints, settings: PrepareSettings
) -> list[str]:
    """The split of each crop, every class in train and in a test split; DataError where that cannot be."""
    labels = np.array([crop.label for crop in crops], dtype=np.int64)
    counts = np.zeros((int(groups.max(initial=-1)) + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (groups, labels), 1)
    splits = split_groups(counts, settings.shares, settings.seed)[groups]
    for label, name in enumerate(classes):
        its = set(splits[labels == label].tolist())
        if TRAIN not in its or its.isdisjoint(TESTS):
            raise DataError(
                f"{source}: expected photos of {name} for train and for test, got {(labels == label).sum()} "
                f"that form {(counts[:, label] > 0).sum()} groups of near-duplicates; add photos of {name}"
            )
    return [SPLITS[split] for split in splits.tolist()]


def _by_reason(pairs: Sequence[tuple[str, str]]) -> tuple[LeftOut, ...]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for photo, reason in pairs:
        reasons[reason].append(photo)
    return tuple(LeftOut(reason, tuple(photos)) for reason, photos in sorted(reasons.items()))
