"""harness doctor: what this machine can tell apart today, and which isolation it has."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    BaselineOption,
    DataOption,
    Demanded,
    Device,
    DeviceOption,
    IsolationOption,
    Scenario,
    ScenarioOption,
    Wanted,
    habits_here,
    judged_here,
    opened,
    seconds,
    with_submission,
)
from harness.cli.project import CHECKUPS, data_folder, read_rules

if TYPE_CHECKING:
    from harness.rules import Rules

app = typer.Typer(invoke_without_command=True, help="What this machine can tell apart, and which isolation it has.")


@app.callback()
def doctor(context: typer.Context) -> None:
    """Both checks, where none is named: isolation, then timing with its defaults."""
    if context.invoked_subcommand is None:
        isolation()
        timing()


@app.command("timing")
def timing(
    data: DataOption = None,
    baseline: BaselineOption = None,
    device: DeviceOption = Device.cpu,
    scenario: ScenarioOption = Scenario.stream,
    isolation: IsolationOption = None,
    budget: Annotated[str, typer.Option(help="Time to spend, like 90s or 5m.")] = "90s",
) -> None:
    """The baseline against itself: bias, spread, the smallest difference that can be seen; what to do about it.

    Each checkup is kept; evaluate, duel and verify know the machine by those of the last seven days.
    """
    from harness import staging
    from harness.judge.schedule import Budget
    from harness.paths import project_root
    from harness.report.checkup import checkup_text

    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, baseline or rules.baseline)
    wanted = Wanted(package, package, data_folder(root, data), device, isolation, scenario=scenario)
    plan = Budget(seconds(budget))
    with opened(root, rules, wanted) as job, with_submission(job, wanted) as both:
        before = habits_here(root, both)
        checkup = dataclasses.replace(both, alike=False)  # what it says is to hold for unlike packages too
        outcome, path = judged_here(root, checkup, plan, before._replace(history=None), CHECKUPS)
        after = habits_here(root, both)
    print(checkup_text(outcome.record, after))
    print(f"  record      {path.relative_to(root)}")


@app.command("isolation")
def isolation() -> None:
    """Every isolation level, tried by doing; how to get those that are missing."""
    from harness.judge.isolation import LEVELS
    from harness.paths import project_root

    rules = read_rules(project_root())
    print("isolation")
    for level in LEVELS:
        print(f"  {level:<12}{_tried(level, rules)}")
    print(f"  published   from {rules.isolation} on, by the rules")


def _tried(level: str, rules: "Rules") -> str:
    from harness.errors import MachineError
    from harness.judge.isolation import choose

    try:
        choose(Demanded(level).value, rules.limits)
    except MachineError as error:
        return error.message.partition(": this machine does not have it: ")[2] or error.message
    return "works here"
