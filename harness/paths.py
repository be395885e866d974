"""Where a project's folders are. Pure path arithmetic and existence checks."""

import os
from pathlib import Path

from harness.errors import UsageError

RULES = Path("baselines") / "rules.toml"


def project_root(start: Path | None = None) -> Path:
    """The folder with baselines/rules.toml: $HARNESS_ROOT, else `start` (here) or above, else this checkout.

    Raises UsageError where there is none.
    """
    named = os.environ.get("HARNESS_ROOT")
    if named:
        if not (Path(named) / RULES).is_file():
            raise UsageError(f"HARNESS_ROOT: expected a folder with {RULES}, got {named}")
        return Path(named).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / RULES).is_file():
            return folder
    raise UsageError(f"expected {RULES} in {here} or above it; run harness in its checkout or set HARNESS_ROOT")


def resolve(root: Path, name: str, home: str) -> Path:
    """A package or data set by path, else by its name in `home` under the root. It need not exist."""
    path = Path(name)
    if path.exists():
        return path.resolve()
    return (root / name if len(path.parts) > 1 else root / home / name).resolve()
