"""A search's trials as a table for a terminal of 80 columns."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.lab.search.study import Entry, Measured
    from harness.stats import Interval

_WIDTH = 79
_WIDE = 10.0  # times the value
_ALIGNED = ("right", "left", "left", "right", "right", "right", "right", "left")
_HEADERS = ("trial", "macro F1", "time ratio", "score", "params", "MACs", "px", "")


def found_text(found: "Sequence[Entry]", every: bool) -> str:
    """The front, fastest first, or all finished trials; of all, what became of the others; a verdict."""
    from harness.lab.search.study import best, front

    on = front(found)
    numbers, top = {entry.number for entry in on}, best(found)
    shown = [entry for entry in found if entry.measured is not None] if every else on
    lines = [_table(shown, numbers, top)] if shown else []
    if every:
        lines += [_other(entry) for entry in found if entry.measured is None]
    counts = Counter(entry.end for entry in found)
    ends = ", ".join(f"{count} {end}" for end, count in counts.most_common())
    lines.append(f"{len(on)} on the front; {ends or 'no trial yet'}" + ("" if every else "; --all shows each"))
    return "\n".join([*lines, *_verdict(found, top)])


def f1_text(its: "Interval") -> str:
    """Like ".512 (.472-.551)"."""
    ends = "" if its.low is None or its.high is None else f" ({_three(its.low)}-{_three(its.high)})"
    return _three(its.value) + ends


def ratio_text(its: "Interval") -> str:
    """The same of a time ratio; "(wide)" where it may be ten times as much or as little, as on a machine that is busy.

    >>> from harness.stats import Interval
    >>> ratio_text(Interval(0.0612, 0.0512, 0.0731)), ratio_text(Interval(0.5, 1e-9, 2e8))
    ('.0612 (.0512-.0731)', '.500 (wide)')
    """
    if its.low is None or its.high is None:
        return _three(its.value)
    wide = its.low < its.value / _WIDE or its.high > its.value * _WIDE
    return _significant(its.value) + (" (wide)" if wide else f" ({_significant(its.low)}-{_significant(its.high)})")


def _three(value: float) -> str:
    text = f"{value:.3f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _significant(value: float) -> str:
    text = f"{value:.3f}" if 0.1 <= value < 10 else f"{value:.3g}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _table(shown: "Sequence[Entry]", on: set[int], top: "Entry | None") -> str:
    from tabulate import tabulate

    rows = [_row(entry, entry.measured, _mark(entry, on, top)) for entry in shown if entry.measured is not None]
    return tabulate([_HEADERS, *rows], tablefmt="plain", disable_numparse=True, colalign=_ALIGNED)


def _row(entry: "Entry", its: "Measured", mark: str) -> tuple[str, ...]:
    cost = (_count(its.parameters), _count(its.macs), str(its.size))
    return (str(entry.number), f1_text(its.f1), ratio_text(its.time_ratio), f"{its.score.value:.4f}", *cost, mark)


def _count(number: int) -> str:
    """Like "86.8k" or "4.21M"."""
    text = f"{number / 1e6:.3g}M" if number >= 1e6 else f"{number / 1e3:.3g}k"
    return text if number < 1e9 else f"{number / 1e9:.3g}G"


def _mark(entry: "Entry", on: set[int], top: "Entry | None") -> str:
    """What is to be said of a trial in a few letters."""
    if entry is top:
        return "best"
    return "start" if entry.start else "front" if entry.number in on else ""


def _other(entry: "Entry") -> str:
    from harness.report.clean import clean, shorten

    why = f": {entry.why}" if entry.why else ""
    return shorten(f"{entry.number:>5}  {clean(entry.end + why, 300)}", _WIDTH)


def _verdict(found: "Sequence[Entry]", top: "Entry | None") -> list[str]:
    """The best score against the starting point's, and where the numbers may not be trusted."""
    start = next((entry.measured for entry in found if entry.start and entry.measured), None)
    if top is None or top.measured is None:
        return []
    its = top.measured
    lines = [f"  best score  {its.score.value:.4f}, trial {top.number}"]
    if start is not None and not top.start:
        beats = "better" if its.score.value < start.score.value else "no better"
        lines[0] += f": {beats} than the start's {start.score.value:.4f}"
    if not its.eligible:
        lines.append(f"  not eligible: its F1 is too far below the baseline's {its.baseline_f1:.4f}")
    lines.append("  the best of many is partly luck: judge it with `harness evaluate`")
    return lines
