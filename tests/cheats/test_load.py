"""What a package can do while both sides load, and in a whole run: it harms itself alone."""

import dataclasses

import msgspec
import pytest

from harness.judge.bench import Bench
from tests.cheats.court import Court
from tests.conftest import PREDICT

# A baseline that cannot load on a machine that somebody else has taken: it stands for time, memory, disk.
FRAIL = """
import time

def load(device):
    time.sleep(1)
    with open("/proc/stat") as lines:
        running = next(int(line.split()[1]) for line in lines if line.startswith("procs_running"))
    if running > 40:
        raise RuntimeError("no room to load")
    return lambda crops: [int(crop[0, 0, 0]) % 6 for crop in crops]
"""
# Children that burn both cores from before load() returns, and a load that holds on while they do.
HOGS = """
import os, time

def load(device):
    for _ in range(60):
        if os.fork() == 0:
            while True:
                pass
    time.sleep(2.5)
    return lambda crops: [int(crop[0, 0, 0]) % 6 for crop in crops]
"""
IDLES_IN_LOAD = "import time\n" + PREDICT.replace("return", "time.sleep(0.5); return")


def limited(court: Court, **limits: float) -> Court:
    changed = msgspec.structs.replace(court.rules.limits, **limits)
    return dataclasses.replace(court, rules=msgspec.structs.replace(court.rules, limits=changed))


def test_a_package_that_takes_the_machine_while_it_loads_does_not_make_the_baseline_fail(court: Court) -> None:
    outcome = limited(court, answer_s=5.0).judge(HOGS, baseline=FRAIL)
    assert outcome.record.failure is None, outcome.record.failure


def test_control_without_loading_apart_the_baseline_is_blamed(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "interleaved", lambda self, crops, text: self._interleaved(crops, text))
    outcome = limited(court, answer_s=5.0).judge(HOGS, baseline=FRAIL)
    assert outcome.record.failure is not None
    assert outcome.record.failure.kind == "baseline_failed"


def test_a_package_that_idles_in_every_pass_is_held_by_the_runs_limit(court: Court) -> None:
    outcome = limited(court, run_s=1.5).judge(IDLES_IN_LOAD, passes=4)
    assert outcome.record.failure is not None
    assert outcome.record.failure.kind == "total_timeout"
    assert "all passes within 1.5 s" in outcome.record.failure.message
    assert limited(court, run_s=60.0).judge(IDLES_IN_LOAD, passes=4).record.result is not None  # the control
