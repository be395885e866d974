"""The simulations of docs/experiments/coverage.py, shortened: intervals cover as they say, equal entries stay equal."""

import importlib.util
from types import ModuleType

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def simulations() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("coverage_script", ROOT / "docs" / "experiments" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("passes", [3, 5])
@pytest.mark.parametrize("scatter", [0.3, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("history", [False, True])
def test_intervals_cover(simulations: ModuleType, passes: int, scatter: float, history: bool) -> None:
    covered, width = simulations.coverage(passes, scatter, history, draws=3000)
    assert 0.93 < covered < 0.97  # 3000 draws: +-.008
    assert width < 1.05


@pytest.mark.parametrize("scatter", [0.003, 0.01, 0.02])
def test_intervals_of_official_runs_cover(simulations: ModuleType, scatter: float) -> None:
    covered, _ = simulations.official(scatter, draws=3000)
    assert 0.93 < covered < 0.97


def test_history_narrows_the_interval_of_a_submission_that_scatters_like_the_baseline(simulations: ModuleType) -> None:
    _, width = simulations.coverage(5, 1.0, history=True, draws=2000)
    assert width < 0.98


@pytest.mark.parametrize("entries", [5, 10, 20])
def test_equal_entries_are_told_apart_on_at_most_5_of_100_boards(simulations: ModuleType, entries: int) -> None:
    assert simulations.splits(entries, 5, boards=300) < 0.05 + 0.04  # 300 boards: +-.025
