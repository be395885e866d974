"""Faults of the judge's own world: other judges, stops, kills, torn files, full and read-only disks."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from harness.errors import MachineError
from harness.judge.device import reserved
from harness.judge.evaluate import Exam
from harness.judge.outside import Sampler
from harness.raw import RawSample
from harness.record import Windows
from harness.rules import Rules
from harness.sandbox import processes
from tests.cells import Cell
from tests.cheats.court import Court
from tests.cli.conftest import Project
from tests.conftest import PREDICT, in_subprocess

SLOW = "import time\ndef load(device):\n    return lambda crops: time.sleep(0.02) or [int(crops[0][0, 0, 0]) % 6]\n"


def evaluating(project: Project, name: str, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["env", "--default-signal=HUP", sys.executable, "-m", "harness", "evaluate", name, "--budget", "1s", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=project.environment(),
        cwd=project.root,
    )


def test_two_judges_do_not_measure_at_once() -> None:
    said: list[str] = []
    with reserved("test-device", said.append):
        assert said == []
        with pytest.raises(MachineError) as caught, reserved("test-device", said.append, wait_s=0.3):
            pass
        assert f"another judge (pid {os.getpid()}) measures on it" in caught.value.message
        assert said == [f"waiting for another judge (pid {os.getpid()}), which measures on test-device"]
        with reserved("another-device", said.append):
            pass
    with reserved("test-device", said.append, wait_s=0.0):
        pass


def test_a_judge_waits_for_the_other_and_goes_on() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with reserved("test-device", lambda said: None):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    threading.Timer(0.5, done.set).start()
    begun = time.monotonic()
    with reserved("test-device", lambda said: None):
        assert time.monotonic() - begun > 0.4
    thread.join()


def test_a_judge_that_was_killed_holds_nothing() -> None:
    code = (
        "from harness.judge.device import reserved\nimport os, signal\n"
        "with reserved('test-device', print):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert in_subprocess(code).returncode == -signal.SIGKILL
    with reserved("test-device", lambda said: None, wait_s=0.0):
        pass


def test_the_command_line_waits_for_another_judge(project: Project) -> None:
    with reserved("cpu", lambda said: None):
        judge = evaluating(project, "sharp")
        assert judge.stderr is not None
        lines = iter(judge.stderr.readline, "")
        assert any(f"waiting for another judge (pid {os.getpid()})" in line for line in lines)
    assert judge.communicate(timeout=60)
    assert judge.returncode == 0


def workers_below(judge: "subprocess.Popen[str]") -> list[int]:
    """The judge's processes that run a package by now."""
    found = []
    for pid in processes.descendants(judge.pid):
        with contextlib.suppress(OSError):
            if b"worker/__main__.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def workers_of(homes: Path) -> set[int]:
    """Processes that were started to run a package which lies below a folder."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(homes).encode() in (path / "cmdline").read_bytes():
                found.add(int(path.name))
    return found


def test_a_judge_killed_at_any_moment_leaves_whole_records_and_no_process(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 at random moments; then the same command runs, nothing is doubled, nothing half-written is ranked."""
    homes = tmp_path / "homes"
    homes.mkdir()
    monkeypatch.setenv("TMPDIR", str(homes))
    project.package("slow", SLOW)
    rng = random.Random(0)
    seen = 0
    for _ in range(3):
        judge = evaluating(project, "slow")
        time.sleep(rng.uniform(0.3, 5.0))
        seen += len(workers_of(homes))
        judge.kill()
        judge.communicate(timeout=20)
        end = time.monotonic() + 10
        while workers_of(homes) and time.monotonic() < end:
            time.sleep(0.05)
        assert not workers_of(homes)
    assert seen, "one of the kills met workers"
    assert list(homes.glob("harness-*")), "a killed judge cannot clear its folder"
    done = [record for record in project.local() if record["status"] == "ok"]
    project.run("evaluate", "slow", "--budget", "1s")
    assert not list(homes.glob("harness-*")), "the next one does"
    assert len([record for record in project.local() if record["status"] == "ok"]) == len(done) + 1
    board = project.run("leaderboard", "--format", "json")
    (row,) = json.loads(board.stdout)[0]["rows"]
    assert row["runs"] == len(done) + 1
    assert "skipped" not in board.stderr


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 2}', "\x00" * 100, "null", '{"schema":' + "[" * 9999])
def test_a_torn_or_foreign_file_among_the_records_is_named_and_skipped(content: str, project: Project) -> None:
    folder = project.root / "leaderboard" / "local"
    folder.mkdir(parents=True)
    (folder / "torn.json").write_text(content)
    done = project.run("leaderboard")
    assert "harness: skipped: " in done.stderr
    assert "torn.json" in done.stderr
    assert "no records yet" in done.stderr


def test_a_full_disk_is_said_before_the_run_or_keeps_what_was_there(project: Project) -> None:
    """A file system of 64 KiB of its own, in a namespace of its own: the real ENOSPC."""
    local = project.root / "leaderboard" / "local"
    local.mkdir(parents=True)
    program = f"mount -t tmpfs -o size=64k none {local} && exec {sys.executable} -m harness evaluate sharp --budget 1s"
    done = subprocess.run(
        ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else []), "sh", "-c", program],
        capture_output=True,
        text=True,
        env=project.environment(),
        cwd=project.root,
        check=False,
        timeout=120,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 1, done.stderr
    assert "No space left on device; free some space there" in done.stderr.splitlines()[-1]


def test_a_worker_killed_by_the_machine_is_named(project: Project) -> None:
    """Somebody (the kernel, for want of memory) kills the worker in the middle of a pass."""
    project.package("slow", SLOW)
    judge = evaluating(project, "slow")
    end = time.monotonic() + 30
    killed = False
    while not killed and time.monotonic() < end:
        for pid in workers_below(judge):
            if time.monotonic() > end - 26:  # not the null: the pass has begun
                os.kill(pid, signal.SIGKILL)
                killed = True
        time.sleep(0.05)
    _, said = judge.communicate(timeout=30)
    assert judge.returncode in (1, 4), said
    assert "SIGKILL" in said
    assert project.local()[-1]["status"] == "failed"


@pytest.mark.parametrize(("first", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_twice_has_its_record(first: signal.Signals, code: int, project: Project) -> None:
    project.package("slow", SLOW)
    judge = evaluating(project, "slow")
    while not workers_below(judge) and judge.poll() is None:
        time.sleep(0.05)
    for number in (first, signal.SIGTERM, signal.SIGINT):
        judge.send_signal(number)
        time.sleep(0.02)
    _, said = judge.communicate(timeout=30)
    assert judge.returncode == code, said
    assert "Traceback" not in said
    assert [record["status"] for record in project.local()] == ["interrupted"]


def test_a_run_goes_on_where_the_machine_was_suspended_in_the_middle(
    strong: Cell, exam: Exam, the_rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    def windows() -> Windows:
        outcome = Court(strong, exam, the_rules).judge(PREDICT, passes=2)
        assert outcome.error is None
        assert outcome.record.result is not None
        return outcome.record.result.windows

    real, slept = Sampler.sample, iter([0, 60_000, 60_000, 60_000, 60_000])  # ms; asleep in the first pass

    def sampled(self: Sampler, pairs: int, now_ns: int) -> RawSample:
        return msgspec.structs.replace(real(self, pairs, now_ns), suspended_ms=next(slept), busy_ms=0, stalled_us=0)

    monkeypatch.setattr(Sampler, "sample", sampled)
    assert windows().disturbed == 1
    slept = iter([60_000] * 9)
    assert windows().disturbed == 0
