"""The last step of a compression as a package, with a README.md that says how it was made."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tabulate import tabulate

from harness.atomic import machine
from harness.data.weights import read_info, write_info
from harness.lab.export import keep
from harness.lab.steps import Order, Step

MARK = "compressed_from"


def publish(run: Path, folder: Path, order: Order, steps: Sequence[Step], command: str) -> None:
    """Copies the last step's package from the run's folder, whole or not at all; what was there is replaced."""
    with machine(folder), tempfile.TemporaryDirectory(prefix="harness-compressed-") as home:
        partial = Path(home) / folder.name
        shutil.copytree(run / str(steps[-1].number), partial, ignore=shutil.ignore_patterns("*.checkpoint"))
        path = partial / "weights" / f"{order.data}.json"
        info = read_info(path)
        write_info(path, msgspec.structs.replace(info, recipe={**info.recipe, MARK: order.package, "by": order.by}))
        (partial / "README.md").write_text(readme(folder.name, order, steps, command), encoding="utf-8")
        keep(partial, folder)


def readme(name: str, order: Order, steps: Sequence[Step], command: str) -> str:
    """How the package was made, and the steps."""
    what = "blocks taken out" if order.by == "blocks" else "channels taken out, by torch-pruning"
    return f"""# {name}

`{order.package}` with {what}, until the budget was met. Made by

    {command}

{markdown(steps)}

Macro F1: of all validation crops of `{order.data}`. Time ratio (to `{order.baseline}`) and score: of at most
{order.crops} of them, {order.passes} passes a step, on the machine that made it. What a package is chosen by is not
what it is judged by; the verdict: `harness evaluate {name} --data {order.data}`.
"""


def markdown(steps: Sequence[Step]) -> str:
    """The steps as a table."""
    headers = ("step", "taken out", "val F1", "change", "parameters", "M MACs", "time ratio", "score")
    rows = [
        (
            step.number,
            step.choice.removed,
            f"{step.f1:.4f}",
            f"{step.f1 - steps[0].f1:+.4f}" if step.number else "",
            f"{step.parameters:,}",
            f"{step.macs / 1e6:.1f}",
            f"{step.time_ratio.value:.3f} ({step.time_ratio.low:.3f} to {step.time_ratio.high:.3f})",
            f"{step.score:.3f}",
        )
        for step in steps
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
