"""A search's trials as a table for a terminal of 80 columns."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.lab.search.study import Entry, Measured
    from harness.stats import Interval

_WIDTH = 79
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


def spread(its: "Interval", digits: int) -> str:
    """Like ".512 (.472-.551)"; three digits of each, or so many significant ones of what is smaller."""
    ends = "" if its.low is None or its.high is None else f" ({_short(its.low, digits)}-{_short(its.high, digits)})"
    return _short(its.value, digits) + ends


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}" if 0.1 <= value < 100 else f"{value:.{digits}g}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _table(shown: "Sequence[Entry]", on: set[int], top: "Entry | None") -> str:
    from tabulate import tabulate

    rows = [_row(entry, entry.measured, _mark(entry, on, top)) for entry in shown if entry.measured is not None]
    return tabulate(rows, _HEADERS, tablefmt="plain", disable_numparse=True, colalign=_aligned())


def _aligned() -> tuple[str, ...]:
    return ("right", "left", "left", "right", "right", "right", "right", "left")


def _row(entry: "Entry", its: "Measured", mark: str) -> tuple[str, ...]:
    score = _short(its.score.value, 3)
    cost = (f"{its.parameters / 1e3:.3g}k", f"{its.macs / 1e6:.3g}M", str(its.size))
    return (str(entry.number), spread(its.f1, 3), spread(its.time_ratio, 3), score, *cost, mark)


def _mark(entry: "Entry", on: set[int], top: "Entry | None") -> str:
    """What is to be said of a trial in a few letters."""
    if entry is top:
        return "best"
    return "start" if entry.start else "front" if entry.number in on else ""


def _other(entry: "Entry") -> str:
    from harness.report.clean import clean, shorten

    why = f": {entry.why}" if entry.why else ""
    return shorten(clean(f"{entry.number:>7}  {entry.end}{why}", 300), _WIDTH)


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
