"""What the roads from photos to a store share: settings, what is refused or left out, groups, splits, writing."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from harness.data.duplicates import duplicate_groups
from harness.data.photos import THUMBNAIL
from harness.data.split import TESTS, TRAIN, split_groups
from harness.data.store import CHANNELS, FEW, SPLITS, LeftOut, Manifest, Pixels
from harness.data.writer import Crop, Origin, Spool, write_store
from harness.errors import DataError, UsageError
from harness.metrics import Ints

Progress = Callable[[int, int], None]  # photos done, photos in all
LEAST_TOLD = 5  # reasons and categories named where a class is empty
LISTED = 20  # bad photos named in a message; the rest is a count
BAD = "bad photo: "  # before its reason, in a manifest


class PrepareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How photos become a store. `shares`: in the order of SPLITS; `longest_side` of a crop in pixels.

    `digest_splits`: those that the digest covers. A source that gives the splits may lack the others, and then
    no class has to be in them.
    """

    seed: int = 0
    shares: tuple[float, float, float, float] = (0.6, 0.1, 0.15, 0.15)
    longest_side: int = 512
    skip_bad: bool = False
    exact_duplicates: bool = False  # only photos of the same bytes are kept together: for a fixed camera
    digest_splits: tuple[str, ...] = SPLITS


class Reading(NamedTuple):
    """What was read of a source, the crops' pixels apart."""

    source: Path  # named in messages
    classes: tuple[str, ...]
    crops: Sequence[Crop]
    thumbnails: Mapping[str, Pixels]  # of whole photos, by path
    left_out: Sequence[tuple[str, str]]  # (photo or box, reason)
    unmapped: dict[str, int]
    absent: tuple[str, ...] = ()


def check_settings(settings: PrepareSettings) -> None:
    """Raise UsageError unless the shares sum to 1, train and test have some, and the side is 1 or more."""
    train, _, *tests = shares = settings.shares
    if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6) or train <= 0 or sum(tests) <= 0:
        raise UsageError(f"shares: expected four that sum to 1, train and test above 0, got {shares}")
    if settings.longest_side < 1:
        raise UsageError(f"longest side: expected 1 pixel or more, got {settings.longest_side}")
    if not set(settings.digest_splits) <= set(SPLITS):
        raise UsageError(f"digest splits: expected some of {', '.join(SPLITS)}, got {settings.digest_splits}")


def refuse_bad(source: Path, bad: Sequence[tuple[str, str]], settings: PrepareSettings) -> None:
    """Raise DataError that names the bad photos (path, reason), unless they may be skipped."""
    if bad and not settings.skip_bad:
        named = ", ".join(f"{photo} ({reason.removeprefix(BAD)})" for photo, reason in bad[:LISTED])
        more = f" and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
        raise DataError(
            f"{source}: expected readable photos, got {len(bad)} bad: {named}{more}; repair or add --skip-bad"
        )


def by_reason(pairs: Sequence[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """(name, reason) pairs gathered, reasons sorted."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in pairs:
        reasons[reason].append(name)
    return tuple(LeftOut(reason, tuple(names)) for reason, names in sorted(reasons.items()))


def write_reading(
    folder: Path, spool: Spool, reading: Reading, name: str, kind: str, settings: PrepareSettings
) -> Manifest:
    """Drop copies, group near-duplicates, split by group and write the store's files. Its manifest.

    Where the source gives the splits nothing is moved: near-duplicates across splits are counted.
    Raises DataError where a class has too few photos to be in train and in a test split.
    """
    kept, copies = drop_copies(reading.crops)
    crops = [reading.crops[number] for number in kept]
    groups = _groups(crops, {} if settings.exact_duplicates else reading.thumbnails)
    photos_of: list[set[str]] = [set() for _ in reading.classes]
    for crop in crops:
        photos_of[crop.label].add(crop.photo)
    few = [label for label, photos in enumerate(photos_of) if len(photos) < FEW]
    given = all(crop.split is not None for crop in crops)
    splits = [crop.split or "" for crop in crops] if given else _split(reading, crops, groups, few, settings)
    _check_places(reading, crops, splits, groups, settings)
    beside, across = _near_duplicates(crops, splits, groups)
    origin = Origin(
        name=name,
        source=kind,
        classes=reading.classes,
        seed=settings.seed,
        shares=None if given else settings.shares,
        longest_side=settings.longest_side,
        near_duplicates=beside,
        across_splits=across,
        left_out=by_reason((*reading.left_out, *copies)),
        unmapped=reading.unmapped,
        absent=reading.absent,
        few_photos={reading.classes[label]: len(photos_of[label]) for label in few},
        digest_splits=settings.digest_splits,
    )
    return write_store(folder, spool, crops, splits, origin)


def drop_copies(crops: Sequence[Crop]) -> tuple[list[int], list[tuple[str, str]]]:
    """The positions to keep of crops with the same bytes, and (name, reason) of the others.

    The same bytes: one box (or none) in photos of the same bytes, and in one split where the source gives it.
    Copies in one class: the first stays. Copies in two classes: none stays, for one of the labels is wrong.
    A photo whose bytes lie in several given splits stays in the last of SPLITS alone: what is tested is not trained on.
    """
    same: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, crop in enumerate(crops):
        same[crop.sha256, crop.box, crop.split].append(number)
    kept, dropped = [], []
    for numbers in same.values():
        what = "file" if crops[numbers[0]].box is None else "box"
        names = [crops[number].named or crops[number].photo for number in numbers]
        if len({crops[number].label for number in numbers}) > 1:
            dropped += [(name, f"the same {what} lies in two classes") for name in names]
        else:
            kept.append(numbers[0])
            dropped += [(name, f"a copy of another {what} of its class") for name in names[1:]]
    last = {crops[number].sha256: _place(crops[number]) for number in sorted(kept, key=lambda n: _place(crops[n]))}
    leaks = [number for number in kept if _place(crops[number]) != last[crops[number].sha256]]
    dropped += [(crops[n].named or crops[n].photo, "its photo lies in another given split too") for n in leaks]
    return sorted(set(kept) - set(leaks)), sorted(dropped)


def _place(crop: Crop) -> int:
    """The position in SPLITS of the split that the source gives; one for all where it gives none."""
    return 0 if crop.split is None else SPLITS.index(crop.split)


def _groups(crops: Sequence[Crop], thumbnails: Mapping[str, Pixels]) -> Ints:
    """The number of each crop's group: crops of one photo, of its copies and near-duplicates are together.

    Without thumbnails nothing is a near-duplicate.
    """
    digests = {crop.photo: crop.sha256 for crop in crops}
    if not digests:
        return np.zeros(0, np.int64)
    flat = np.zeros((THUMBNAIL, THUMBNAIL, CHANNELS), np.uint8)  # near to nothing
    groups = duplicate_groups(np.stack([thumbnails.get(photo, flat) for photo in digests]), list(digests.values()))
    number = dict(zip(digests, groups.tolist(), strict=True))
    return np.array([number[crop.photo] for crop in crops], dtype=np.int64)


def _near_duplicates(crops: Sequence[Crop], splits: Sequence[str], groups: Ints) -> tuple[int, int]:
    """Photos with a near-duplicate at all, and those with one in another split."""
    photos: dict[int, set[str]] = defaultdict(set)
    places: dict[int, set[str]] = defaultdict(set)
    for crop, split, group in zip(crops, splits, groups.tolist(), strict=True):
        photos[group].add(crop.photo)
        places[group].add(split)
    several = [group for group, its in photos.items() if len(its) > 1]
    return sum(len(photos[group]) for group in several), sum(
        len(photos[group]) for group in several if len(places[group]) > 1
    )


def _group_counts(reading: Reading, crops: Sequence[Crop], groups: Ints) -> Ints:
    """Crops of each class in each group: shape (groups, classes)."""
    counts = np.zeros((int(groups.max(initial=-1)) + 1, len(reading.classes)), dtype=np.int64)
    np.add.at(counts, (groups, np.array([crop.label for crop in crops], dtype=np.int64)), 1)
    return counts


def _split(
    reading: Reading, crops: Sequence[Crop], groups: Ints, few: Sequence[int], settings: PrepareSettings
) -> list[str]:
    """The split of each crop; classes of few photos have one test split.

    The splits share photos and large crops alike too: else train would get the crowded photos, being largest,
    and one test half crops of another size than the other.
    """
    counts = _group_counts(reading, crops, groups)
    areas = np.array([crop.height * crop.width for crop in crops])
    beside = np.zeros((len(counts), 2), dtype=np.int64)
    for group, _ in {(group, crop.photo) for group, crop in zip(groups.tolist(), crops, strict=True)}:
        beside[group, 0] += 1
    np.add.at(beside[:, 1], groups[areas > np.median(areas)], 1)
    splits = split_groups(counts, settings.shares, settings.seed, few, beside)
    return [SPLITS[split] for split in splits[groups].tolist()]


def _check_places(
    reading: Reading, crops: Sequence[Crop], splits: Sequence[str], groups: Ints, settings: PrepareSettings
) -> None:
    """Raise DataError unless each class is in train, if the digest covers that, and in a test split."""
    places: list[set[str]] = [set() for _ in reading.classes]
    for crop, split in zip(crops, splits, strict=True):
        places[crop.label].add(split)
    tests = {SPLITS[split] for split in TESTS}
    counts = _group_counts(reading, crops, groups)
    given = all(crop.split is not None for crop in crops) and bool(crops)
    for label, name in enumerate(reading.classes):
        trained = SPLITS[TRAIN] in places[label] or SPLITS[TRAIN] not in settings.digest_splits
        if not trained or places[label].isdisjoint(tests):
            got = f"{counts[:, label].sum()} in {(counts[:, label] > 0).sum()} groups of near-duplicates"
            got += "" if settings.exact_duplicates else " (photos of a fixed camera: --exact-duplicates)"
            if given:
                got = f"{counts[:, label].sum()} in the given splits {', '.join(sorted(places[label])) or '(none)'}"
            raise DataError(
                f"{reading.source}: expected {name} in train and in a test split, got {got}; add photos of {name}"
                + _explained(reading)
            )


def _explained(reading: Reading) -> str:
    """What else was there, commonest first: often the reason why a class is empty."""
    reasons = sorted(by_reason(reading.left_out), key=lambda left: -len(left.photos))
    told = [f"{len(left.photos)} left out ({left.reason})" for left in reasons[:LEAST_TOLD]]
    told += [f"{boxes} of {category}, in no class" for category, boxes in list(reading.unmapped.items())[:LEAST_TOLD]]
    return (
        f"; there are also {', '.join(told)}" + "; --classes maps categories" * bool(reading.unmapped) if told else ""
    )
