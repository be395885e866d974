"""A cell for each isolation level, and one of the strongest."""

import pytest

from harness.judge.evaluate import Exam
from harness.judge.isolation import Sandbox
from harness.rules import Rules
from harness.staging import Target
from tests.cells import Cell
from tests.cheats.court import Court, in_halves
from tests.conftest import MakePackage


@pytest.fixture
def cell(sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage) -> Cell:
    """One for each level."""
    return Cell(sandbox, the_rules.limits, target, make_package, [])


@pytest.fixture
def strong(strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage) -> Cell:
    """The strongest level here."""
    return Cell(strongest, the_rules.limits, target, make_package, [])


@pytest.fixture
def court(strong: Cell, exam: Exam, the_rules: Rules) -> Court:
    """Judges whole packages at the strongest level here."""
    return Court(strong, in_halves(exam), the_rules)
