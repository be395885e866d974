"""A COCO detection file and a table of classes, read into the boxes that a photo's crops are cut from."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import msgspec

from harness.data.boxes import Box
from harness.data.store import SPLITS
from harness.errors import DataError, misread

Classes = Mapping[str, Sequence[str]]  # the categories of each class; the order of its keys is the index order

TACO_CLASSES = Path(str(files("harness.data") / "taco.toml"))
EMPTY = "no box in a class is left"  # of a photo
SHOWN = 8  # categories named in a message


class LabelledBox(NamedTuple):
    """A box, the class of what is in it, and how it is named to the user: photo#annotation."""

    name: str
    label: int
    box: Box


class BoxedPhoto(NamedTuple):
    """A photo (path below the images folder), its size in pixels and its split as the file says, where it does."""

    photo: str
    width: float | None
    height: float | None
    split: str | None
    boxes: tuple[LabelledBox, ...]


class Annotations(NamedTuple):
    """What a COCO file says. `photos`: those with a box in a class, sorted; `left_out`: (name, reason)."""

    classes: tuple[str, ...]
    photos: tuple[BoxedPhoto, ...]
    left_out: tuple[tuple[str, str], ...]  # photos, and boxes in a class
    unmapped: dict[str, int]  # boxes of each category in no class, commonest first
    absent: tuple[str, ...] = ()  # categories of the classes that the file does not have: a slip of the pen, perhaps


class _Image(msgspec.Struct, frozen=True):
    id: int | str
    file_name: str
    width: float | None = None
    height: float | None = None
    split: str | None = None


class _Annotation(msgspec.Struct, frozen=True):
    image_id: int | str
    category_id: int | str
    bbox: list[float | None] | None = None
    segmentation: object = None
    id: int | str | None = None
    iscrowd: int | bool | None = None


class _Category(msgspec.Struct, frozen=True):
    id: int | str
    name: str


Entry = TypeVar("Entry", _Image, _Category)


class _Coco(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


class _ClassesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    classes: dict[str, tuple[str, ...]]


def read_classes(path: Path) -> Classes:
    """The table [classes] of a TOML file: `Metal = ["Drink can", ...]`. Raises DataError in one line."""
    expected = f'{path}: expected a table [classes] with lines like Metal = ["Drink can", "Pop tab"]'
    try:
        classes = msgspec.toml.decode(path.read_bytes(), type=_ClassesFile).classes
    except OSError as error:
        raise DataError(f"{expected}, got {error.strerror}; name it with --classes") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{expected}, got {misread(error, 'classes')}; repair it") from error
    if len(classes) < 2:
        raise DataError(f"{expected}, two or more classes, got {len(classes)}; add some")
    for name, categories in classes.items():
        if not name.strip() or not categories:
            raise DataError(f"{path}: expected a name and categories for each class, got {name!r} = []; add some")
    times = Counter(category for categories in classes.values() for category in categories)
    if twice := [category for category, number in times.items() if number > 1]:
        raise DataError(f"{path}: expected each category once, got {_some(twice)} twice; keep one")
    return classes


def read_annotations(path: Path, classes: Classes | None) -> Annotations:
    """The boxes of the COCO file `path` in `classes`; None: its own categories are the classes, by id.

    Boxes without an area or with other than four finite numbers, crowds, and photos without a box in a class
    are left out. A photo listed twice is one. Raises DataError where the file contradicts itself, has no
    category in any class or names a photo outside its folder.
    """
    coco = _decode(path)
    categories = _by_id(path, "category", coco.categories)
    if classes is None:
        classes = _own_classes(path, categories)
    label_of = {category: label for label, its in enumerate(classes.values()) for category in its}
    if label_of.keys().isdisjoint(its.name for its in coco.categories):
        named = _some([its.name for its in coco.categories]) or "none"
        raise DataError(
            f"{path}: expected categories of {', '.join(classes)}, got {named}; "
            "name a file that maps these to classes with --classes"
        )
    images = _by_id(path, "image", coco.images)
    photos = _photos(path, coco.images)
    boxes: dict[str, list[LabelledBox]] = defaultdict(list)
    unmapped: Counter[str] = Counter()
    left_out: list[tuple[str, str]] = []
    for number, its in enumerate(coco.annotations, start=1):
        where = f"{path}: annotation {number if its.id is None else its.id}"
        if its.image_id not in images or its.category_id not in categories:
            what = f"image_id {its.image_id!r}, category_id {its.category_id!r}"
            raise DataError(f"{where}: expected the ids of an image and of a category in the file, got {what}")
        category, photo = categories[its.category_id].name, _below(path, images[its.image_id].file_name)
        name = f"{photo}#{number if its.id is None else its.id}"
        if category not in label_of:
            unmapped[category] += 1
        elif its.iscrowd:
            left_out.append((name, "a crowd"))
        elif (box := _box(its)) is None:
            left_out.append((name, "malformed: not four finite numbers with an area"))
        else:
            boxes[photo].append(LabelledBox(name, label_of[category], box))
    empty = [(photo, EMPTY) for photo in photos if photo not in boxes]
    boxed = tuple(photos[photo]._replace(boxes=tuple(boxes[photo])) for photo in sorted(boxes))
    absent = tuple(label_of.keys() - {its.name for its in coco.categories})
    return Annotations(tuple(classes), boxed, (*empty, *left_out), dict(unmapped.most_common()), tuple(sorted(absent)))


def _decode(path: Path) -> _Coco:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a COCO file, got {error.strerror}; name it with --annotations") from error
    try:
        try:
            return msgspec.json.decode(content, type=_Coco)
        except msgspec.DecodeError:  # NaN and Infinity, which Python writes, are no JSON but cost a box alone
            return msgspec.convert(json.loads(content), _Coco)
    except (ValueError, RecursionError) as error:  # of JSON, of its encoding, of the keys
        reason = "too deep a nesting" if isinstance(error, RecursionError) else misread(error, "JSON")
        raise DataError(
            f"{path}: expected a COCO file with images, annotations and categories, got {reason}; repair it"
        ) from error


def _by_id(path: Path, what: str, entries: Sequence[Entry]) -> dict[int | str, Entry]:
    found = {its.id: its for its in entries}
    if len(found) < len(entries):
        twice = next(key for key, number in Counter(its.id for its in entries).items() if number > 1)
        raise DataError(f"{path}: expected one {what} of each id, got {twice!r} twice; repair the file")
    return found


def _own_classes(path: Path, categories: Mapping[int | str, _Category]) -> Classes:
    ordered = sorted(categories.values(), key=lambda its: (isinstance(its.id, str), its.id))
    classes = {its.name: (its.name,) for its in ordered}
    if len(classes) < max(2, len(ordered)):
        raise DataError(f"{path}: expected two or more categories of different names, got {len(classes)} names")
    return classes


def _photos(path: Path, images: Sequence[_Image]) -> dict[str, BoxedPhoto]:
    """The photos without their boxes, by path, sorted; entries of one file must say the same of it."""
    given = sum(its.split is not None for its in images)
    if given not in (0, len(images)):
        raise DataError(
            f"{path}: expected a split for all images or for none, got {given} of {len(images)}; add the others"
        )
    found: dict[str, BoxedPhoto] = {}
    for its in images:
        if its.split is not None and its.split not in SPLITS:
            raise DataError(
                f"{path}: image {its.id!r}: expected a split of {', '.join(SPLITS)}, got {its.split!r}; rename them, "
                "or take the key split out of all images and they are split here"
            )
        photo = BoxedPhoto(_below(path, its.file_name), its.width, its.height, its.split, ())
        if found.setdefault(photo.photo, photo) != photo:
            raise DataError(f"{path}: image {its.id!r}: {photo.photo} is listed twice with other sizes or splits")
    return dict(sorted(found.items()))


def _below(path: Path, file_name: str) -> str:
    """`file_name` as a plain path below the images folder; DataError where it leads out of it or nowhere."""
    plain = PurePosixPath(file_name)
    try:
        file_name.encode()
        whole = "\0" not in file_name
    except UnicodeEncodeError:
        whole = False
    if not whole or plain.is_absolute() or ".." in plain.parts or not plain.name:
        raise DataError(f"{path}: expected a file_name below the images folder, got {file_name!r}; repair the file")
    return str(plain)


def _box(annotation: _Annotation) -> Box | None:
    """The box of an annotation, else the one around its polygons; None where neither is one."""
    values = annotation.bbox or _around(annotation.segmentation)
    box = Box(*(math.nan if value is None else value for value in values)) if len(values) == 4 else None
    return box if box is not None and box.is_proper() else None


def _around(segmentation: object) -> Sequence[float]:
    """Left, top, width and height of what lies around polygons [[x, y, x, y, ...], ...]; nothing for other shapes."""
    polygons = segmentation if isinstance(segmentation, list) else []
    numbers = [value for polygon in polygons if isinstance(polygon, list) for value in polygon]
    if not numbers or len(numbers) % 2 or not all(isinstance(value, int | float) for value in numbers):
        return ()
    x, y = numbers[::2], numbers[1::2]
    return min(x), min(y), max(x) - min(x), max(y) - min(y)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many there are where that is more."""
    return ", ".join(names[:SHOWN]) + (f" … ({len(names)} in all)" if len(names) > SHOWN else "")
