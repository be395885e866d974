"""Tries, beside the timed passes, whether a package is what it seems. What the answers mean: harness/audit.py."""

from typing import NamedTuple

import numpy as np

from harness.errors import SubmissionError
from harness.judge.bench import Bench
from harness.judge.channel import Crop
from harness.judge.session import Session, Setting, Staged
from harness.judge.zeroed import zeroed
from harness.metrics import Ints
from harness.raw import RawAudit
from harness.wire import input_bytes

_CROPS, _BATCH, _WITHOUT_WEIGHTS = 48, 8, 150


class _Shown(NamedTuple):
    """Validation crops, each twice in a row, then several at once."""

    fresh_ns: tuple[int, ...]
    repeated_ns: tuple[int, ...]
    single: tuple[int, ...]
    batch: tuple[int, ...]
    failed: str | None


def audit(bench: Bench) -> RawAudit:
    """All audits of the bench's submission, in workers of their own. Raises MachineError."""
    crops = [np.array(bench.pixels.warmup[i]) for i in range(min(len(bench.pixels.warmup), _CROPS))]
    bench.watch("audit", 0.0)
    shown = _show(bench, crops)
    bench.watch("audit", 0.5)
    chosen, labels, note = _without_weights(bench)
    return RawAudit(
        fresh_ns=shown.fresh_ns,
        repeated_ns=shown.repeated_ns,
        single_labels=shown.single,
        batch_labels=shown.batch,
        batch_failed=shown.failed,
        zeroed_crops=tuple(chosen.tolist()) if labels else (),
        zeroed_labels=labels,
        zeroed_note=note,
    )


def _show(bench: Bench, crops: list[Crop]) -> _Shown:
    """A crop of noise of the same size goes before each, so that a size that is new costs neither showing."""
    fresh: list[int] = []
    repeated: list[int] = []
    single: list[int] = []
    batch: list[int] = []
    failed = None
    room = sum(input_bytes([crop.shape[:2]]) for crop in sorted(crops, key=lambda crop: crop.size)[-_BATCH:])
    setting = bench.setting._replace(capacity=max(room, bench.setting.capacity))
    try:
        with Session(bench.submission, setting) as session:
            session.load()
            for crop in crops:
                session.classify([bench.rng.integers(0, 256, crop.shape, dtype=np.uint8)])
                first, again = session.classify([crop]), session.classify([crop])
                fresh.append(first.elapsed_ns)
                repeated.append(again.elapsed_ns)
                single.append(int(first.labels[0]))
            for start in range(0, len(crops), _BATCH):
                batch += session.classify(crops[start : start + _BATCH]).labels.tolist()
    except SubmissionError as error:  # noise or a batch is more than the timed passes ask: a flag, no failure
        failed = error.kind
    whole = min(len(fresh), len(repeated), len(single))
    return _Shown(tuple(fresh[:whole]), tuple(repeated[:whole]), tuple(single[:whole]), tuple(batch), failed)


def _without_weights(bench: Bench) -> tuple[Ints, tuple[int, ...], str]:
    """(test crops, its answers to them with all weights zero, what was zeroed)."""
    count = len(bench.pixels.test)
    chosen = np.sort(bench.rng.permutation(count)[:_WITHOUT_WEIGHTS])
    with zeroed(bench.submission.folder) as (folder, note):
        if folder is None:
            return chosen, (), note
        staged = Staged(bench.submission.name, folder, bench.submission.classes)
        try:
            return chosen, _answers(bench, staged, bench.setting, chosen), note
        except SubmissionError as error:
            return chosen, (), f"{note}; fails without them ({error.kind})"


def _answers(bench: Bench, staged: Staged, setting: Setting, crops: Ints) -> tuple[int, ...]:
    with Session(staged, setting) as session:
        session.load()
        return tuple(int(session.classify([bench.own(int(crop))]).labels[0]) for crop in crops)
