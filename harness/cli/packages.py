"""harness new, harness score."""

from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="The submission's name; its folder in submissions/.")],
) -> None:
    """Make a working submission to start from: a copy of submissions/template."""
    from harness.paths import project_root
    from harness.scaffold import new_submission

    folder = new_submission(project_root(), name)
    shown = f"submissions/{folder.name}"
    print(f"made {shown}")
    print(f"  fit it     python {shown}/fit.py --data DATA")
    print(f"  check it   harness check {shown}")
    print(f"  judge it   harness evaluate {shown} --data DATA")


def score(
    f1: Annotated[float, typer.Option(help="Macro F1, 0 to 1.")],
    time: Annotated[float, typer.Option(help="Time in seconds.")],
    baseline_f1: Annotated[float | None, typer.Option(help="Default: the competition's.")] = None,
    baseline_time: Annotated[float | None, typer.Option(help="In seconds. Default: the competition's.")] = None,
) -> None:
    """The competition's score of an F1 and a time; lower is better, 1.0 is the baseline."""
    from harness import score as formula
    from harness.cli.project import read_rules
    from harness.paths import project_root

    rules = read_rules(project_root())
    base_f1 = rules.published.baseline_f1 if baseline_f1 is None else baseline_f1
    base_time = rules.published.baseline_time_s if baseline_time is None else baseline_time
    ratio = formula.time_ratio(time, base_time)
    value = formula.score(f1, ratio, base_f1, rules.score)
    time_part = rules.score.time_weight * ratio
    print(f"score {value:.4f} = time {time_part:.4f} + F1 {value - time_part:.4f}")
    print(f"against F1 {base_f1:.4f} and {base_time:g} s; lower is better, the baseline has 1.0000")
