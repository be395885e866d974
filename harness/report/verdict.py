"""What one record says, in a few lines of at most 80 columns. Pure: a record in, text out."""

from harness.derive import FLAGS
from harness.record import Latency, Record, Result
from harness.report.clean import clean
from harness.rules import Rules
from harness.stats import Interval


def verdict(record: Record, rules: Rules) -> str:
    """The verdict on a record with a result: F1, time, score, each with its interval; latency; isolation."""
    result, machine = record.result, record.machine
    assert result is not None, "a failed run has no verdict"
    isolation = "" if record.isolation is None else record.isolation.summary()
    names = clean(record.submission.name, 40), clean(record.data.name, 20), clean(record.baseline.name, 30)
    awake = "" if machine.idle_states_held_off else "; cores may sleep between crops"
    lines = [
        "{} on {}, baseline {}".format(*names),
        *_rows(result, rules),
        f"  isolation   {isolation}; {machine.device}, {machine.threads} threads{awake}",
    ]
    if record.submission.weights_of is not None:
        lines.append(f"  transfer    weights of {clean(record.submission.weights_of, 40)}")
    lines += [f"  flag        {name}: {FLAGS[name]}" for name in result.flags]
    return "\n".join(lines)


def _rows(result: Result, rules: Rules) -> list[str]:
    passes = len(result.log_ratios)
    steady = "steady" if result.steady else "wide"
    hint = "" if result.steady else "; a longer --budget narrows it"
    frozen = "frozen" if result.baseline_f1_frozen else "here"
    return [
        f"  macro F1    {_with(result.f1, '.4f')} on other photos; baseline {result.baseline_f1:.4f} ({frozen})",
        f"  time ratio  {_with(result.time_ratio, '.3f')}, {passes} passes, {steady}",
        f"              {speed(result.time_ratio.value)}{hint}",
        f"  score       {_with(result.score, '.4f')} on a rerun; lower is better",
        f"              {_range(result.score_photos, '.3f')} on other photos",
        f"  latency     {latency(result.submission_latency)}",
        f"  baseline    {latency(result.baseline_latency)}",
        f"  target      {_target(result, rules)}",
    ]


def speed(ratio: float) -> str:
    """A time ratio in words.

    >>> speed(0.5), speed(1.25)
    ('2.00x faster than the baseline', '1.25x slower than the baseline')
    """
    return f"{1 / ratio:.2f}x faster than the baseline" if ratio < 1 else f"{ratio:.2f}x slower than the baseline"


def latency(times: Latency) -> str:
    """Like "p50 5.10 p90 5.90 p95 6.30 p99 8.10 ms, 192 crops/s"; percentiles with too few times are left out."""
    named = (("p50", times.p50_ms), ("p90", times.p90_ms), ("p95", times.p95_ms), ("p99", times.p99_ms))
    shown = " ".join(f"{name} {value:.3g}" for name, value in named if value is not None)
    return f"{shown} ms, {times.crops_per_s:.0f} crops/s"


def _target(result: Result, rules: Rules) -> str:
    least = rules.least_f1(result.baseline_f1)
    if not result.eligible:
        return f"not eligible: F1 below {least:.4f}"
    if result.target_met:
        return "met"
    wanted = f"F1 >= {result.baseline_f1:.4f} and time ratio <= {rules.target.time_ratio:g}"
    return f"not met: {wanted}; eligible (F1 >= {least:.4f})"


def _with(interval: Interval, form: str) -> str:
    return f"{interval.value:{form}} ({_range(interval, form)})"


def _range(interval: Interval, form: str) -> str:
    if interval.low is None or interval.high is None:
        return "no interval from one pass"
    return f"{interval.low:{form}} to {interval.high:{form}}"
