"""`harness prepare folder`: a folder with one folder of photos a class, made into a store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.data.photos import SUFFIXES, BadPhoto, decode_photos
from harness.data.preparation import (
    BAD,
    PrepareSettings,
    Progress,
    Reading,
    check_settings,
    refuse_bad,
    write_reading,
)
from harness.data.store import Manifest, Pixels
from harness.data.writer import Crop, Spool, half_made, open_spool
from harness.errors import DataError


class Listing(NamedTuple):
    """The files below a source folder. `photos`: (path below it, label), sorted by path."""

    classes: tuple[str, ...]
    photos: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, str], ...]  # (path below it, reason)


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
        refuse_bad(source, bad, settings)
        reading = Reading(source, listing.classes, crops, thumbnails, (*listing.left_out, *bad), {})
        return write_reading(folder, spool, reading, name, kind, settings)


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
    return Listing(classes, tuple(photos), tuple(others))


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
) -> tuple[list[Crop], dict[str, Pixels], list[tuple[str, str]]]:
    """Decode the photos into the spool: their crops and thumbnails, and (path, reason) of each bad one."""
    crops, thumbnails, bad = [], {}, []
    decoded = decode_photos([source / photo for photo, _ in listing.photos], settings.longest_side)
    with contextlib.closing(decoded):
        for number, ((photo, label), result) in enumerate(zip(listing.photos, decoded, strict=True), start=1):
            if isinstance(result, BadPhoto):
                bad.append((photo, BAD + result.reason))
            else:
                offset = spool.append(result.pixels)
                crops.append(Crop(photo, result.sha256, label, offset, result.height, result.width))
                thumbnails[photo] = result.thumbnail
            progress(number, len(listing.photos))
    return crops, thumbnails, bad
