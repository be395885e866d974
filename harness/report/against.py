"""Two records of one board key against each other: compared, or one verified by the other. Pure."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from harness.metrics import Floats
from harness.raw import Raw
from harness.record import Record, Result
from harness.report.clean import clean, shorten
from harness.report.fields import WIDTH, field, with_ends
from harness.stats import Interval, quantile_interval, t_critical, welch_degrees

_ODD_ANSWERS = 0.002  # share of crops whose answer may differ on another machine: rounding, at a tie of two classes
_NOT_THE_MACHINE = {"load_1min", "gpu_clock_mhz", "gpu_temperature_c"}


class Verification(NamedTuple):
    """What a second run says of a first."""

    answers_differ: int  # crops
    crops: int
    ratio: Interval  # second / first, 1 where nothing moved; the ends are those of the prediction
    differences: tuple[str, ...]  # of machine and versions
    between_known: bool  # whether two checkups said how runs differ; if not, the time decides nothing

    @property
    def answers_hold(self) -> bool:
        """Equal, or as nearly as rounding allows."""
        return self.answers_differ <= _ODD_ANSWERS * self.crops

    @property
    def time_inside(self) -> bool:
        """Whether the second run's ratio lies where the first one predicts it."""
        return self.ratio.low is None or self.ratio.high is None or self.ratio.low <= 1.0 <= self.ratio.high

    @property
    def holds(self) -> bool:
        """Answers as before, and a time that is not known to be another."""
        return self.answers_hold and (self.time_inside or not self.between_known)


def quotient(first: Result, second: Result, between: float = 0.0) -> Interval:
    """second's time ratio over first's, with t * sqrt(se1^2 + se2^2 + 2 between^2), Welch's degrees of freedom.

    `between`: standard deviation of a run's log ratio from one run to the next (tau of the checkups).
    """
    gap = math.log(second.time_ratio.value / first.time_ratio.value)
    if first.log_error is None or second.log_error is None:
        return Interval(math.exp(gap), None, None)
    errors = np.array([first.log_error, second.log_error])
    degrees = welch_degrees(errors, np.array([first.degrees, second.degrees]))
    half = t_critical(max(int(degrees), 1)) * math.sqrt(float(np.square(errors).sum()) + 2.0 * between**2)
    return Interval(math.exp(gap), math.exp(gap - half), math.exp(gap + half))


def f1_gap(first: Result, second: Result) -> Interval:
    """second's F1 less first's, on other photos: both on the same drawn ones."""
    common = min(len(first.drawn_f1), len(second.drawn_f1))
    if not common:  # of official records
        return Interval(second.f1.value - first.f1.value, None, None)
    gap: Floats = np.array(second.drawn_f1[:common]) - np.array(first.drawn_f1[:common])
    return quantile_interval(second.f1.value - first.f1.value, gap)


def verification(first: tuple[Record, Raw], second: tuple[Record, Raw], between: float | None) -> Verification:
    """What the second run says of the first; both have results, of one package, baseline and data set.

    `between`: see `quotient`; None where the machine's checkups do not say.
    """
    (before, raw), (after, again) = first, second
    assert before.result is not None
    assert after.result is not None
    answers, others = _answers(raw), _answers(again)
    return Verification(
        answers_differ=sum(answers[crop] != others[crop] for crop in answers.keys() & others.keys()),
        crops=len(answers),
        ratio=quotient(before.result, after.result, between or 0.0),
        differences=tuple(_differences(before, after)),
        between_known=between is not None,
    )


def verified_text(first: Record, second: Record, found: Verification) -> str:
    """A verification in a few lines of at most 80 columns."""
    assert first.result is not None
    assert second.result is not None
    held = "verified" if found.holds else "NOT verified"
    outside = "" if found.time_inside else ": outside"
    if not found.time_inside and not found.between_known:
        outside = ": outside what passes vary by; two checkups (doctor) say if runs do"
    too_many = "" if found.answers_hold else ": too many"
    f1s = f"{first.result.f1.value:.4f} then, {second.result.f1.value:.4f} now"
    lines = [
        f"{clean(first.submission.name, 40)} on {clean(first.data.name, 20)}: {held}",
        f"  answers     {found.answers_differ} of {found.crops} crops differ{too_many}",
        f"  F1          {f1s}",
        f"  time ratio  {first.result.time_ratio.value:.3f} then, {second.result.time_ratio.value:.3f} now",
        f"              {with_ends(found.ratio, '.3f')}{outside}",
    ]
    for said in found.differences:
        lines += field("differs", said)
    return "\n".join(lines)


def compared_text(first: Record, second: Record, better: float) -> str:
    """A comparison in a few lines of at most 80 columns. `better`: the probability that the first scores lower."""
    assert first.result is not None
    assert second.result is not None
    gap = f1_gap(second.result, first.result)
    names = [f"{clean(r.submission.name, 30)} ({r.digest[:8]})" for r in (first, second)]
    score = first.result.score.value - second.result.score.value
    return "\n".join(
        [
            shorten(f"{names[0]} against {names[1]}", WIDTH),
            f"  time ratio  {with_ends(quotient(second.result, first.result), '.3f')}",
            f"  F1          {with_ends(gap, '+.4f')} on other photos",
            f"  score       {score:+.4f}; P(better) {better:.3f} on a rerun",
        ]
    )


def _answers(raw: Raw) -> dict[int, int]:
    """Each crop's commonest answer, the lowest label of equally common ones."""
    crops = np.concatenate([one.crops for one in raw.passes]).astype(np.int64)
    labels = np.concatenate([one.submission_labels for one in raw.passes]).astype(np.int64)
    counts = np.zeros((len(raw.labels), len(raw.classes)), dtype=np.int64)
    np.add.at(counts, (crops, labels), 1)
    return {crop: int(counts[crop].argmax()) for crop in np.unique(crops).tolist()}


def _differences(first: Record, second: Record) -> Iterator[str]:
    for name in first.machine.__struct_fields__:
        before, after = getattr(first.machine, name), getattr(second.machine, name)
        if name == "versions":
            for package in sorted(before.keys() | after.keys()):
                if before.get(package) != after.get(package):
                    yield f"{package} {before.get(package, 'none')} then, {after.get(package, 'none')} now"
        elif before != after and name not in _NOT_THE_MACHINE:
            yield f"{name} {clean(str(before), 60)} then, {clean(str(after), 60)} now"
    if first.isolation is not None and second.isolation is not None:
        levels = first.isolation.summary(), second.isolation.summary()
        if levels[0] != levels[1]:
            yield f"isolation {levels[0]} then, {levels[1]} now"
    if first.harness != second.harness:
        yield f"harness {first.harness} then, {second.harness} now"


def same_run(first: Result, second: Result) -> bool:
    """Whether two derivations of one raw file agree: equal but for the last digits, which a processor may change."""
    return _alike(msgspec.to_builtins(first), msgspec.to_builtins(second))


def _alike(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_alike(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_alike, first, second))
    return first == second
