"""A finished trial's package, as a submission."""

import shutil
import tempfile
from pathlib import Path

from harness.atomic import machine
from harness.lab.search.candidate import rename


def export_trial(package: Path, folder: Path) -> None:
    """Copies the package to the new folder, under its name; whole or not at all. Raises MachineError."""
    with machine(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            shutil.copytree(package, beside / "new")
            rename(beside / "new", folder.name)
            (beside / "new").rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
