"""Benchmarks run with `make bench` and `make regress` alone: a timed test among others measures the others.

Each is a ratio to a reference that runs in the same process, in turns: a slow machine slows both. The committed
ratios are in ratios.json. `make regress` (CI) fails beyond twice one of them, `make bench` (--tight) beyond 1.25 times;
--write-ratios commits new ones.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

RATIOS = Path(__file__).with_name("ratios.json")
_LOOSE, _TIGHT = 2.0, 1.25
_TURNS = 7

InTurns = Callable[..., float]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tight", action="store_true", help=f"Fail beyond {_TIGHT} times a committed ratio.")
    parser.addoption("--write-ratios", action="store_true", help="Commit the ratios that are measured.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
        for item in items:
            if "benchmarks" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="a benchmark: make bench"))


@pytest.fixture
def in_turns(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> InTurns:
    """in_turns(subject, reference): the median ratio of their times, checked against the committed one."""

    def compare(subject: Callable[[], object], reference: Callable[[], object], turns: int = _TURNS) -> float:
        seconds: dict[str, list[float]] = {"subject": [], "reference": []}

        def timed(name: str, run: Callable[[], object]) -> None:
            begin = perf_counter()
            run()
            seconds[name].append(perf_counter() - begin)

        subject()
        reference()

        def turn() -> None:
            first = len(seconds["subject"]) % 2
            pair = (("subject", subject), ("reference", reference))
            for name, run in (pair, pair[::-1])[first]:
                timed(name, run)

        benchmark.pedantic(turn, rounds=turns)
        ratios = [ours / theirs for ours, theirs in zip(*seconds.values(), strict=True)]
        return checked(benchmark, request, ratios)

    return compare


def checked(benchmark: BenchmarkFixture, request: pytest.FixtureRequest, ratios: list[float]) -> float:
    """The median of the ratios, which must not be beyond the committed one."""
    name = request.node.name.removeprefix("test_")
    ratio = statistics.median(ratios)
    benchmark.extra_info["ratios"] = [round(one, 4) for one in ratios]
    committed = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    print(f"{name}: {ratio:.3g} ({min(ratios):.3g}-{max(ratios):.3g}), committed {committed.get(name)}")
    if request.config.getoption("write_ratios", False):
        RATIOS.write_text(json.dumps({**committed, name: float(f"{ratio:.3g}")}, indent=1, sort_keys=True) + "\n")
        return ratio
    assert name in committed, "a benchmark without a committed ratio: --write-ratios"
    factor = _TIGHT if request.config.getoption("tight", False) else _LOOSE
    assert ratio <= factor * committed[name], f"{name}: {ratio:.3g} times its reference, committed {committed[name]}"
    return ratio
