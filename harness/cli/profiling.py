"""harness profile."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.jobs import PACKAGE, DataOption, open_data
from harness.cli.project import PROFILES, counting, data_folder, note, read_rules

if TYPE_CHECKING:
    from harness.profile import Profile

_PICTURES = Path("runs") / "profiles"


def profile(
    submission: Annotated[str, PACKAGE],
    data: DataOption = None,
    crops: Annotated[int, typer.Option(min=1, help="Validation crops to time.")] = 50,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: as many as the judge gives.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, in place of the table.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="The SVG file to draw. Default: runs/profiles/SUBMISSION-DATA.svg.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Keep the counts for the board, in leaderboard/profiles/.")
    ] = False,
) -> None:
    """Where a crop's time goes: parameters, multiply-adds, memory, time by layer, distance from the machine's floor.

    It runs the package's own code in this process, without a sandbox, on the
    CPU: profile what you trust. docs/profiling.md says what is counted and how.
    """
    from harness import profiles, records, staging
    from harness.cli.predicting import check_writable
    from harness.judge.machine import usable_cores
    from harness.paths import project_root

    root = project_root()
    rules = read_rules(root)
    if picture is not None:
        check_writable(picture, "--picture")
    package = staging.find(root, submission)
    store = open_data(data_folder(root, data))
    manifest = store.manifest
    target = staging.Target(manifest.name, manifest.classes, digest=manifest.digest)
    with staging.staged(package, target, rules.limits) as (described, folder), counting("crops") as progress:
        from harness.lab import profile as lab  # torch takes seconds: what is wrong above is said first
        from harness.lab.subjects import Order

        order = Order(package, folder, described, store, crops, threads or usable_cores())
        found = lab.profile(order, progress)
    path = picture or root / _PICTURES / f"{package.name}-{manifest.name}.svg"
    records.write_page(path, _drawn(found))
    _print(found, as_json)
    note(f"picture: {path.relative_to(root) if path.is_relative_to(root) else path}")
    if publish:
        from harness.profile import published

        kept = profiles.write(root / PROFILES, published(found))
        note(f"kept: {kept.relative_to(root)}; `harness leaderboard --write` shows it")


def _drawn(found: "Profile") -> str:
    from harness.report.page.layers import profile_svg

    return profile_svg(found).decode()


def _print(found: "Profile", as_json: bool) -> None:
    import msgspec

    from harness.report.profile import profile_text

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())
    else:
        print(profile_text(found), end="")
