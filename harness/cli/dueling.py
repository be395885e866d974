"""harness duel: two packages against each other, with gates for CI."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    DataOption,
    Device,
    DeviceOption,
    IsolationOption,
    Scenario,
    ScenarioOption,
    Wanted,
    habits_here,
    judged_here,
    opened,
    with_submission,
)
from harness.cli.project import DUELS, data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.checkup import Habits
    from harness.judge.schedule import Plan
    from harness.record import Record
    from harness.rules import Rules

_GATED, LOOKED = 0.95, 0.8  # how sure a difference is to be seen


def duel(
    first: Annotated[str, typer.Argument(help="A package: its folder, or its name.")],
    second: Annotated[str, typer.Argument(help="The package that it is compared with.")],
    data: DataOption = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="Fail where FIRST is worse by more, like time:3% or f1:0.005; repeat it.")
    ] = None,
    see: Annotated[str, typer.Option(help="The time difference to see. Default with a gate: the gate's.")] = "2%",
    device: DeviceOption = Device.cpu,
    scenario: ScenarioOption = Scenario.stream,
    isolation: IsolationOption = None,
    weights_of: Annotated[str | None, typer.Option(help="Both take another data set's weights.")] = None,
) -> int:
    """Two packages interleaved: time ratio and F1 difference, each with its interval; a gate for CI.

    Exit codes: 0 every gate passed (or there is none), 6 one failed, 7 one is unsure.
    """
    from harness import staging
    from harness.gate import exit_code, judged, parse_gate
    from harness.paths import project_root
    from harness.report.duel import duel_text

    root = project_root()
    rules = read_rules(root)
    gates = [parse_gate(text) for text in gate or []]
    timed = [its.tolerance for its in gates if its.what == "time"]
    difference = min(timed) if timed else share(see)
    packages = staging.find(root, first), staging.find(root, second)
    folder = data_folder(root, data)
    wanted = Wanted(*packages, folder, device, isolation, weights_of, weights_of, rival=True, scenario=scenario)
    record, path = fought(root, rules, wanted, difference, _GATED if timed else LOOKED)
    assert record.result is not None
    print(duel_text(record, gates, difference))
    print(f"  record      {path.relative_to(root)}")
    return exit_code([judged(its, record.result) for its in gates])


def fought(root: Path, rules: "Rules", wanted: Wanted, difference: float, power: float) -> "tuple[Record, Path]":
    """Runs a duel of enough passes to see the relative time difference, `power` sure; its record and where that is."""
    with opened(root, rules, wanted) as job, with_submission(job, wanted) as both:
        known = habits_here(root, both)
        plan = to_see(difference, power, known, rules)
        outcome, path = judged_here(root, both, plan, known, DUELS)
    return outcome.record, path


def to_see(difference: float, power: float, known: "Habits", rules: "Rules") -> "Plan":
    """As many passes as see the difference, from the machine's checkups, else from a pilot; never more than allowed."""
    from harness.judge.schedule import Exactly, Pilot
    from harness.stats import cautious_variance, passes_to_see

    least, most = rules.protocol.pilot_passes, rules.protocol.most_passes

    def enough(variance: float) -> int:
        passes = passes_to_see(variance, difference, least, most, power)
        if passes is None:
            note(f"{most} passes do not surely see {difference:.1%} here; `harness doctor timing` says what would help")
        return passes or most

    if known.history is None:
        note("too few checkups of this machine and data; a pilot fixes the passes (`harness doctor timing` makes one)")
        return Pilot(lambda log_ratios: enough(cautious_variance(log_ratios)))
    return Exactly(enough(known.history.variance))


def share(text: str) -> float:
    """A relative difference like "2%" or "0.02". Raises UsageError.

    >>> share("2%")
    0.02
    """
    from harness.errors import UsageError

    try:
        value = float(text.strip().removesuffix("%")) / (100.0 if text.strip().endswith("%") else 1.0)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise UsageError(f"--see: expected a difference like 2%, got {text!r}")
    return value
