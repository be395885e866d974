"""The command line's project is what the judge's world is made of."""

from tests.cli.conftest import practice, project

__all__ = ["practice", "project"]
