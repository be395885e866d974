"""`harness prepare taco`: photos and a COCO detection file, made into a store of crops, one a box."""

import contextlib
from functools import partial
from pathlib import Path

from harness.data.annotations import EMPTY, Annotations, Classes, read_annotations
from harness.data.boxes import Dropped
from harness.data.cuts import cut_photo
from harness.data.photos import MISSING, BadPhoto
from harness.data.pool import on_all_cores
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


def prepare_coco(  # noqa: PLR0913, PLR0917 (a COCO data set comes in two parts, where a folder is one)
    annotations: Path,
    images: Path,
    target: Path,
    name: str,
    mapping: Classes | None,
    settings: PrepareSettings,
    progress: Progress,
    kind: str = "coco",
) -> Manifest:
    """Cut every box of `annotations` that is in a class from its photo below `images`; the store `target`.

    `mapping`: the categories of each class, in index order; None: the file's own categories are the classes, by
    id. The splits are those that the file gives, else made by photo, near-duplicates together. A photo that is
    missing or of another shape than the file says is bad; but one that the file puts in a split outside
    `settings.digest_splits` may be missing.
    Raises DataError on what the file or the photos lack or have broken (all bad photos in one message),
    UsageError on settings that make no sense, MachineError where the disk refuses. Then, and on Ctrl-C, nothing
    is left.
    """
    check_settings(settings)
    with half_made(target) as folder, open_spool(folder) as spool:
        found = read_annotations(annotations, mapping)
        if not images.is_dir():
            raise DataError(f"{images}: expected the folder of the photos, got no folder; name it with --images")
        reading, bad = _read(images, found, spool, settings, progress)
        if bad and all(reason == BAD + MISSING for _, reason in bad) and not reading.thumbnails:
            raise DataError(
                f"{images}: expected the photos that {annotations} names, got none of {len(bad)} (the first is "
                f"{bad[0][0]}); name the folder that they are below with --images"
            )
        refuse_bad(images, bad, settings)
        return write_reading(folder, spool, reading, name, kind, settings)


def _read(
    images: Path, found: Annotations, spool: Spool, settings: PrepareSettings, progress: Progress
) -> tuple[Reading, list[tuple[str, str]]]:
    """Cut the photos' boxes into the spool: what came of it, and (path, reason) of each bad photo."""
    crops: list[Crop] = []
    thumbnails: dict[str, Pixels] = {}
    bad, left_out = [], list(found.left_out)
    cutting = on_all_cores(partial(cut_photo, images=images, longest_side=settings.longest_side), found.photos)
    with contextlib.closing(cutting):
        for number, (boxed, result) in enumerate(zip(found.photos, cutting, strict=True), start=1):
            optional = boxed.split is not None and boxed.split not in settings.digest_splits
            if isinstance(result, BadPhoto) and optional and result.reason == MISSING:
                left_out.append((boxed.photo, "not there, nor needed"))
            elif isinstance(result, BadPhoto):
                bad.append((boxed.photo, BAD + result.reason))
            else:
                thumbnails[boxed.photo] = result.thumbnail
                for its, cut in zip(boxed.boxes, result.cuts, strict=True):
                    if isinstance(cut, Dropped):
                        left_out.append((its.name, cut.reason))
                        continue
                    place = spool.append(cut.pixels), cut.height, cut.width
                    crops.append(Crop(boxed.photo, result.sha256, its.label, *place, its.box, boxed.split, its.name))
                if all(isinstance(cut, Dropped) for cut in result.cuts):
                    left_out.append((boxed.photo, EMPTY))
            progress(number, len(found.photos))
    return Reading(images, found.classes, crops, thumbnails, (*left_out, *bad), found.unmapped, found.absent), bad
