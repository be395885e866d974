"""harness new, harness score."""

from typing import Annotated

import typer

from harness.scaffold import From


def new(
    name: Annotated[str, typer.Argument(help="The submission's name; its folder in submissions/.")],
    start: Annotated[
        From, typer.Option("--from", help="What to start from: a bundled package, or a format without Python.")
    ] = From.template,
) -> None:
    """Make a working submission to start from, and say what to do with it.

    template (PyTorch) and numpy are Python with a fit.py; table, torchvision and timm are networks that `harness
    train` trains; onnx, openvino, torch.export and torchscript bring a write.py for a network from elsewhere.
    """
    from harness.cli.project import note
    from harness.paths import project_root
    from harness.scaffold import new_submission, next_steps, notes

    folder = new_submission(project_root(), name, start)
    print(f"made submissions/{folder.name}")
    for what, how in next_steps(folder, start):
        print(f"  {what:<10} {how}")
    for text in notes(start):
        note(text)


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
