"""What faults happen in: a cell of the strongest level, and the command line's project."""

from tests.cheats.conftest import strong
from tests.cli.conftest import practice, project

__all__ = ["practice", "project", "strong"]
