"""harness export."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import (
    PACKAGE,
    DataOption,
    Device,
    IsolationOption,
    Wanted,
    announce,
    open_data,
)
from harness.cli.project import counting, data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.data.store import Store
    from harness.judge.isolation import Sandbox
    from harness.lab.export import Answers, Exported
    from harness.record import Record
    from harness.rules import Limits, Rules


class To(StrEnum):
    """What an export is written as."""

    onnx = "onnx"
    torch_export = "torch.export"
    openvino = "openvino"


_ENDINGS = {To.onnx: "onnx", To.torch_export: "export", To.openvino: "openvino"}  # of the new package's name


def export(
    submission: Annotated[str, PACKAGE],
    to: Annotated[To, typer.Option(help="The format to write.")],
    data: DataOption = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantised on training crops; ONNX or OpenVINO.")] = False,
    half: Annotated[
        bool, typer.Option("--half", help="Weights stored as float16, half the size, computed in float32; ONNX alone.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The new package's. Default: SUBMISSION_FORMAT.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace an earlier export of that name.")] = False,
    see: Annotated[str, typer.Option(help="The time difference that the duel of --int8 is to see.")] = "2%",
    isolation: IsolationOption = None,
) -> None:
    """Write a trained network as a package without Python, beside the first; kept only if it answers alike.

    With --int8 the two are judged against each other, too: what it loses in F1 and what it gains in time.
    """
    from harness import staging
    from harness.cli.dueling import share
    from harness.errors import UsageError
    from harness.paths import project_root
    from harness.submission import check_writer

    difference = share(see)
    if int8 and to is To.torch_export:
        raise UsageError(f"--int8: expected --to onnx or openvino, got {to.value}")
    if half and (int8 or to is not To.onnx):
        raise UsageError(f"--half: expected --to onnx without --int8, got {'--int8' if int8 else to.value}")
    root = project_root()
    rules = read_rules(root)
    package = staging.find(root, submission)
    check_writer(to.value, f"export to {to.value}", quantising=int8)
    folder = package.parent / new_name(name, f"{package.name}_{'int8' if int8 else _ENDINGS[to]}")
    path = data_folder(root, data)
    store = open_data(path)

    from harness.lab import export as lab  # torch takes seconds: what is wrong above is said first

    order = lab.Order(to.value, folder, int8, half, fresh)
    written = lab.export(
        lab.opened(package, store), store, order, answers(store, announce(isolation, rules), rules.limits)
    )
    print(_text(written, package.name, to, int8))
    if int8:
        wanted = Wanted(folder, package, path, Device.cpu, isolation, rival=True)
        print(_duelled(root, rules, wanted, difference))
    print(f"  judge it    harness evaluate {typed(root, folder)} --data {store.manifest.name}")


def new_name(name: str | None, default: str) -> str:
    from harness.errors import UsageError

    if name is None:
        return default
    if Path(name).name != name or name.startswith(".") or not name.isprintable() or not name.strip():
        raise UsageError(f"--name: expected a plain name, got {name!r}")
    return name


def typed(root: Path, package: Path) -> str:
    """How a package is named on a command line: by its name where it lies among the project's."""
    return package.name if package.parent.parent == root else str(package)


def answers(store: "Store", sandbox: "Sandbox", limits: "Limits") -> "Answers":
    """A function of a package's folder to its labels of the validation crops, staged and run as to be judged."""
    import numpy as np

    from harness import staging
    from harness.judge.machine import usable_cores
    from harness.judge.session import Session, Setting, Staged
    from harness.metrics import Ints
    from harness.wire import input_bytes

    crops, manifest = store.crops("val"), store.manifest
    target = staging.Target(manifest.name, manifest.classes, digest=manifest.digest)

    def labels(package: Path) -> Ints:
        capacity = max(input_bytes([size]) for size in crops.sizes.tolist())
        setting = Setting(sandbox, limits, "cpu", usable_cores(), capacity)
        found: list[int] = []
        with (
            staging.staged(package, target, limits) as (described, folder),
            Session(Staged(described.name, folder, len(manifest.classes)), setting) as session,
            counting("validation crops") as progress,
        ):
            session.load()
            for number in range(len(crops)):
                found.append(int(session.classify([crops[number]]).labels[0]))
                progress(number + 1, len(crops))
        return np.array(found)

    return labels


def _text(written: "Exported", name: str, to: To, int8: bool) -> str:
    """Where it is and how it compares."""
    its = written.checked
    if written.not_folded is not None:
        note(f"batch norms are not folded: {written.not_folded}")
    lines = [
        f"{written.folder.name}: {name} as {to.value}, {written.size_bytes:,} bytes",
        f"  folder      {written.folder}",
        f"  labels      {its.agreement:.2%} of {its.crops} validation crops as {name}'s",
        f"  scores      within {its.largest_difference:.2g}" + (" before they were quantised" if int8 else ""),
    ]
    if int8:
        lines.append(f"  val F1      {its.exported_f1:.4f}, {name} {its.f1:.4f}")
    return "\n".join(lines)


def _duelled(root: Path, rules: "Rules", wanted: Wanted, difference: float) -> str:
    """A duel of the int8 export against its package; its findings, and loss and gain side by side."""
    from harness.cli.dueling import LOOKED, fought
    from harness.report.duel import duel_text

    record, path = fought(root, rules, wanted, difference, LOOKED)
    return "\n".join(
        [
            duel_text(record, [], difference),
            f"  record      {path.relative_to(root)}",
            f"  int8        {_traded(record)}",
        ]
    )


def _traded(record: "Record") -> str:
    """Loss of F1 and gain of time, like "F1 -0.0100 (-0.0200 to 0.0000); 1.25 times as fast"."""
    from harness.report.fields import with_ends

    assert record.result is not None
    ratio, f1 = record.result.time_ratio, record.result.f1_difference
    return f"F1 {with_ends(f1, '+.4f')}; {1 / ratio.value:.2f} times as fast"
