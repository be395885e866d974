"""What the strongest isolation costs against a plain process, in turns: start-up and round trip."""

import statistics
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest

from harness.judge.awake import awake, prompt
from harness.judge.isolation import Sandbox
from harness.judge.isolation.guarded import Guarded
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.staging import Target, staged
from tests.benchmarks.conftest import InTurns
from tests.conftest import MakePackage

CROP = np.zeros((156, 156, 3), np.uint8)
ROUND_TRIPS = 1000


@pytest.fixture
def settings(
    strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> Iterator[tuple[Staged, Setting, Setting]]:
    """A package that answers at once; the strongest level and the plain process."""
    with staged(
        make_package("quick", "def load(device):\n    return lambda crops: [0]\n"), target, the_rules.limits
    ) as (
        _,
        folder,
    ):
        both = (Setting(sandbox, the_rules.limits, "cpu", 1, 1 << 18) for sandbox in (strongest, Guarded("process")))
        yield (Staged("quick", folder, 6), *both)


def test_start_up(settings: tuple[Staged, Setting, Setting], in_turns: InTurns) -> None:
    """From nothing to loaded: at most 50 ms more than a plain process."""
    package, *levels = settings
    seconds: tuple[list[float], list[float]] = ([], [])

    def start(which: int) -> None:
        begin = perf_counter()
        with Session(package, levels[which]) as session:
            session.load()
            seconds[which].append(perf_counter() - begin)

    in_turns(lambda: start(0), lambda: start(1), 15)
    more_ms = 1e3 * (statistics.median(seconds[0]) - statistics.median(seconds[1]))
    print(f"start-up: {more_ms:+.1f} ms")
    assert more_ms < 50


def test_round_trip_inside(settings: tuple[Staged, Setting, Setting], in_turns: InTurns) -> None:
    """A crop and its label: at most 5 us more than with a plain process."""
    package, strong, plain = settings
    us: tuple[list[float], list[float]] = ([], [])
    with Session(package, strong) as inside, Session(package, plain) as outside, awake(), prompt():
        sides = (inside, outside)
        for side in sides:
            side.load()
            side.freeze()

        def trips(which: int) -> None:
            sides[which].thaw()
            times = [sides[which].classify([CROP]).elapsed_ns for _ in range(ROUND_TRIPS)]
            sides[which].freeze()
            us[which].append(statistics.median(times) / 1e3)

        in_turns(lambda: trips(0), lambda: trips(1), 9)
    more_us = statistics.median(a - b for a, b in zip(*us, strict=True))
    print(f"round trip: {statistics.median(us[0]):.1f} us inside, {more_us:+.2f} us")
    assert more_us < 5
