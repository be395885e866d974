"""harness predict."""

import contextlib
import csv
import io
import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import Demanded, Device, announce
from harness.cli.project import counting, data_folder, read_rules

if TYPE_CHECKING:
    from harness.judge.isolation import Sandbox
    from harness.judge.session import Session, Staged
    from harness.rules import Rules
    from harness.staging import Target

LONGEST_SIDE = 512  # pixels, as in prepared data


def predict(
    submission: Annotated[str, typer.Argument(help="A package: its folder, or its name.")],
    images: Annotated[Path, typer.Option(help="A folder of photos, at any depth.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write: photo, label, class.")],
    data: Annotated[str | None, typer.Option(help="Whose weights. Default: the only ones that it has.")] = None,
    device: Annotated[Device, typer.Option(help="Where it runs.")] = Device.cpu,
    isolation: Annotated[Demanded | None, typer.Option(help="Demand a level. Default: the strongest here.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave corrupt photos out.")] = False,
) -> None:
    """Classify a folder of photos, one crop each, in the sandboxed worker; write a CSV file."""
    from harness import staging
    from harness.data.preparation import PrepareSettings, refuse_bad
    from harness.judge.session import Staged
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, submission)
    target = _target(root, package, data)
    photos, others = _photos(images)
    check_writable(out)
    rows: list[tuple[str, int, str]] = []
    bad: list[tuple[str, str]] = []
    with (
        staging.staged(package, target, rules.limits) as (described, folder),
        worker(
            Staged(described.name, folder, len(target.classes)), announce(isolation, rules), (rules, device.value)
        ) as session,
        counting("photos") as progress,
        contextlib.closing(_labels(session, [images / photo for photo in photos])) as labels,
    ):
        for number, (photo, label) in enumerate(zip(photos, labels, strict=True), start=1):
            if isinstance(label, str):
                bad.append((photo, label))
            else:
                rows.append((photo, label, target.classes[label]))
            progress(number, len(photos))
    if rows:  # before the bad ones are said: the good ones are not lost
        _write(out, rows)
    refuse_bad(images, bad, PrepareSettings(skip_bad=skip_bad and bool(rows)))
    left_out = f"; left out {len(bad)} bad" if bad else ""
    left_out += f"; {others} other files by their names" if others else ""
    weights = f", weights for {target.weights}" if staging.takes_weights(package) else ""
    print(f"{out}: {len(rows)} photos{weights}{left_out}")


def check_writable(out: Path, option: str = "--out") -> None:
    """Said before the work, not after it. Raises UsageError."""
    from harness.errors import UsageError

    if (out.exists() and not out.is_file()) or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(f"{option}: expected a plain file in a folder that can be written, got {out}")


def _target(root: Path, package: Path, data: str | None) -> "Target":
    """What to stage for: the classes are those of the weights, of the prepared data set, or of the package itself."""
    from harness import staging
    from harness.data.store import open_store
    from harness.errors import UsageError

    names = staging.weights_of(package)
    if data is None and len(names) > 1:
        raise UsageError(f"--data: expected one of {', '.join(names)}, whose weights {package.name} has; got none")
    target = staging.likely_target(package, data)
    if data is None or data in names or staging.takes_weights(package):
        return target
    return target._replace(classes=open_store(data_folder(root, data)).manifest.classes)


def _photos(images: Path) -> tuple[list[str], int]:
    """Paths below the folder, sorted, without hidden ones, and how many have no photo's suffix. Raises DataError."""
    from harness.data.photos import SUFFIXES
    from harness.errors import DataError

    if not images.is_dir():
        raise DataError(f"--images: expected a folder, got {'a file' if images.exists() else 'none'}: {images}")
    below = [path.relative_to(images) for path in images.rglob("*") if not path.is_dir()]
    shown = [path for path in below if not any(part.startswith(".") for part in path.parts)]
    photos = sorted(path.as_posix() for path in shown if path.suffix.lower() in SUFFIXES)
    if not photos:
        raise DataError(f"{images}: expected a folder with photos ({' '.join(sorted(SUFFIXES))}), got none")
    return photos, len(shown) - len(photos)


@contextlib.contextmanager
def worker(staged: "Staged", sandbox: "Sandbox", how: tuple["Rules", str]) -> "Iterator[Session]":
    """The package, loaded. `how`: the rules and the device."""
    from harness.judge.machine import usable_cores
    from harness.judge.session import Session, Setting
    from harness.wire import input_bytes

    rules, device = how
    setting = Setting(sandbox, rules.limits, device, usable_cores(), input_bytes([(LONGEST_SIDE, LONGEST_SIDE)]))
    with Session(staged, setting) as session:
        session.load()
        yield session


def _labels(session: "Session", paths: Sequence[Path]) -> Generator[int | str, None, None]:
    """The label of each photo, or why it is bad."""
    import numpy as np

    from harness.data.photos import BadPhoto, decode_photos

    with contextlib.closing(decode_photos(paths, LONGEST_SIDE)) as decoded:
        for photo in decoded:
            if isinstance(photo, BadPhoto):
                yield photo.reason
            else:
                crop = np.frombuffer(photo.pixels, np.uint8).reshape(photo.height, photo.width, 3)
                yield int(session.classify([crop]).labels[0])


def _write(out: Path, rows: Sequence[tuple[str, int, str]]) -> None:
    """Whole or not at all."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("photo", "label", "class"))
    table.writerows(rows)
    out = out.resolve()  # a link stays one
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")
    partial.replace(out)
