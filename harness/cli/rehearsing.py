"""A package judged on validation crops, to search and compress by: the judge's own session, no test crop, no record.

What a choice is made by must not be what the choice is judged by, so test labels stay closed here.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.cli.jobs import Demanded, Device, Wanted, announce, judged, open_data, staged_job, with_submission

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.judge.evaluate import Exam
    from harness.record import Result
    from harness.rules import Rules

Rehearse = Callable[[Path], "Result"]  # a package's folder to what the judge finds; raises HarnessError as it does
LEAST_PASSES = 2  # for an interval


@contextlib.contextmanager
def rehearsals(
    root: Path,
    rules: "Rules",
    baseline: Path,
    data: Path,
    isolation: Demanded | None = None,
    passes: int = LEAST_PASSES,
    most_crops: int = 400,
) -> "Iterator[Rehearse]":
    """A function that judges a package against the baseline, which is staged once, on at most so many crops.

    Each call takes the machine's lock, starts fresh workers and makes `passes` passes; the baseline's F1 is that of
    the same crops. Raises DataError without validation crops, HarnessError where the baseline cannot be staged.
    """
    from harness.judge.schedule import Exactly

    wanted = Wanted(baseline, baseline, data, Device.cpu, isolation)
    exam = open_rehearsal(data, most_crops)
    with staged_job(root, _unfrozen(rules), wanted, exam, announce(isolation, rules)) as job:

        def rehearse(package: Path) -> "Result":
            with with_submission(job, wanted._replace(submission=package)) as both:
                outcome = judged(dataclasses.replace(both, plan=Exactly(passes)))
            if outcome.error is not None:
                raise outcome.error
            assert outcome.record.result is not None
            return outcome.record.result

        yield rehearse


def open_rehearsal(path: Path, most_crops: int) -> "Exam":
    """Validation crops as an exam, evenly chosen where they are more; warmed up on training crops where there are some.

    Raises DataError without validation crops.
    """
    from harness.errors import DataError
    from harness.judge.bench import Pixels
    from harness.judge.evaluate import Exam
    from harness.record import DataId

    store = open_data(path)
    manifest, crops = store.manifest, store.crops("val")
    if not len(crops):
        raise DataError(f"{manifest.name}: expected validation crops to judge on, got none; prepare it with some")
    known = store.training_labels("val")
    count = min(most_crops, len(crops))
    by_class = np.argsort(known.labels, kind="stable")
    chosen = np.sort(by_class[np.linspace(0, len(crops) - 1, count).round().astype(np.int64)])
    photos = tuple(known.photos[number] for number in chosen)
    return Exam(
        data=DataId(manifest.name, manifest.digest, manifest.classes, count, len(set(photos))),
        pixels=Pixels(
            test=[crops[int(number)] for number in chosen],
            warmup=store.crops("train" if manifest.crops["train"] else "val"),
            sizes=crops.sizes[chosen],
        ),
        labels=known.labels[chosen],
        photos=photos,
        splits=("val",) * count,
    )


def _unfrozen(rules: "Rules") -> "Rules":
    """The rules without boards: a frozen F1 of the baseline is that of the test crops."""
    import msgspec

    return msgspec.structs.replace(rules, board=())
