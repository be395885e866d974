"""Benchmarks run with `make bench` alone: a timed test among others measures the others."""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
        for item in items:
            if "benchmarks" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="a benchmark: make bench"))
