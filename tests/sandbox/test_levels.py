"""One conformance suite for every isolation level; what a level does not promise is named in EXCEPT."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import MachineError, SubmissionError
from harness.judge.isolation import Sandbox, check_rights, check_sight, require
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.sandbox import processes
from harness.staging import Target, staged
from tests.conftest import ROOT, MakePackage

# The plain process is the last resort: printed, recorded, never on a board with the others.
EXCEPT = {
    "process": {"reads_outside", "network", "judge_memory", "writes_outside"},
    "landlock": set(),
    "bwrap": set(),
}


def run_inside(
    code: str, sandbox: Sandbox, rules: Rules, target: Target, make_package: MakePackage, name: str = "probe"
) -> str:
    """Runs lines of Python in load() of a package; what they raise or print comes back as text."""
    body = "\n".join(f"    {line}" for line in code.strip().splitlines())
    package = make_package(name, f"def load(device):\n{body}\n    raise RuntimeError('nothing stopped it')\n")
    with staged(package, target, rules.limits) as (_, folder):
        setting = Setting(sandbox, rules.limits, "cpu", 1, 1 << 16)
        with pytest.raises(SubmissionError) as caught, Session(Staged(name, folder, 6), setting) as session:
            session.load()
        return f"{caught.value.message}\n{caught.value.log}"


ATTEMPTS = {
    "reads_outside": "open({secret!r}).read()",
    "writes_outside": "open({folder!r} + '/written', 'w').write('x')",
    "network": "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "judge_memory": "open('/proc/{judge}/mem', 'rb').read(1)",
    "own_package": "open('predict.py', 'a').write('x')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_a_submission_must_not_reach(
    attempt: str, sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tmp_path.chmod(0o755)
    outside.chmod(0o777)
    secret = outside / "labels.json"
    secret.write_text("[0, 1]")
    code = ATTEMPTS[attempt].format(secret=str(secret), folder=str(outside), judge=os.getpid())
    if attempt == "own_package" and sandbox.level == "process" and os.getuid() != 0:
        pytest.skip("a plain process of the same user may change its copy; the copy is thrown away")
    reached = "nothing stopped it" in run_inside(code, sandbox, the_rules, target, make_package)
    if attempt not in EXCEPT[sandbox.level]:
        assert not reached


@pytest.mark.parametrize("attempt", ["reads_outside", "network"])
def test_the_attempts_succeed_where_nothing_defends(
    attempt: str, the_rules: Rules, target: Target, make_package: MakePackage, tmp_path: Path
) -> None:
    """The positive control: each attempt is one that works in a plain process."""
    from harness.judge.isolation.guarded import Guarded

    tmp_path.chmod(0o755)
    secret = tmp_path / "labels.json"
    secret.write_text("[0, 1]")
    for parent in tmp_path.parents[:3]:  # pytest makes its folders 0700; the worker has another uid
        if parent != Path("/tmp") and parent.stat().st_uid == os.getuid():
            parent.chmod(0o755)
    code = ATTEMPTS[attempt].format(secret=str(secret), folder=str(tmp_path), judge=os.getpid())
    assert "nothing stopped it" in run_inside(code, Guarded("process"), the_rules, target, make_package)


def test_the_environment_holds_nothing_of_the_judge(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    said = run_inside("import os; raise ValueError(sorted(os.environ))", sandbox, the_rules, target, make_package)
    assert "SECRET_TOKEN" not in said
    assert "OMP_NUM_THREADS" in said


def test_nothing_but_the_channel_is_inherited(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    code = """
import os
names = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
raise ValueError(sorted(os.readlink(name) for name in names if os.path.lexists(name)))
"""
    with open(ROOT / "LICENSE") as held:
        os.set_inheritable(held.fileno(), True)
        said = run_inside(code, sandbox, the_rules, target, make_package)
    assert "LICENSE" not in said
    assert "socket:" in said


def test_what_is_observed_is_what_the_level_says(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    with staged(make_package("quiet"), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cpu", 1, 1 << 16)
        with Session(Staged("quiet", folder, 6), setting) as session:
            seen = session.load()
    require(seen)
    assert seen.level == sandbox.level
    assert seen.capabilities == 0
    assert seen.seccomp == (sandbox.level != "process")
    if sandbox.level == "bwrap":
        assert {"pid", "ipc", "net", "mnt"} <= set(seen.namespaces)
        assert seen.uid_differs == (os.getuid() == 0)


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.01)
    os._exit(0)
time.sleep(0.2)
def load(device):
    return lambda crops: [0] * len(crops)
"""


def test_a_daemon_is_frozen_with_its_worker_and_dies_with_it(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    with staged(make_package("daemon", DAEMON), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cpu", 1, 1 << 16)
        with Session(Staged("daemon", folder, 6), setting) as session:
            session.load()
            tree = [pid for pid in processes.descendants(session._started._top) if not processes.gone(pid)]
            assert len(tree) == 2, "the worker and its daemon"
            session.freeze()
            assert [processes.state(pid) for pid in tree] == ["T", "T"]
            session.thaw()
            assert all(processes.state(pid) != "T" for pid in tree)
    assert all(processes.gone(pid) for pid in tree)


WAKER = """
import ctypes, signal, threading, time
signal.signal(signal.SIGCONT, lambda *_: None)

class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int)]
    _fields_ += [("rest", ctypes.c_char * 48)]

libc = ctypes.CDLL(None, use_errno=True)
event, timer = Event(0, signal.SIGCONT, 0), ctypes.c_void_p()
if libc.timer_create(1, ctypes.byref(event), ctypes.byref(timer)):
    raise OSError(ctypes.get_errno(), "timer_create")
each = (ctypes.c_long * 4)(0, 5_000_000, 0, 5_000_000)
libc.timer_settime(timer, 0, ctypes.byref(each), None)
def burn():
    while True:
        pass
threading.Thread(target=burn, daemon=True).start()
def load(device):
    return lambda crops: [0] * len(crops)
"""


def test_a_side_that_wakes_itself_is_found_out(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    """A timer's SIGCONT ends a stop. The filter denies such timers; where there is no filter its time tells."""
    with staged(make_package("waker", WAKER), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cpu", 1, 1 << 16)

        def turns() -> None:
            with Session(Staged("waker", folder, 6), setting) as session:
                session.load()
                for _ in range(20):
                    session.freeze()
                    time.sleep(0.05)
                    session.thaw()

        with pytest.raises(SubmissionError) as caught:
            for _ in range(5):  # a stop that meets a SIGCONT on its way takes it, and with it the timer
                turns()
    if sandbox.level == "process":
        assert caught.value.kind == "not_frozen"
    else:
        assert "timer_create" in caught.value.message


UNSTOPPABLE = """
import ctypes, threading, time
libc = ctypes.CDLL(None)
def sleep_in_a_vfork():
    if libc.syscall(56, 0x4000 | 17, 0, 0, 0, 0) == 0:  # clone(CLONE_VFORK | SIGCHLD): its thread waits in state D
        libc.sleep(60)
        libc._exit(0)
threading.Thread(target=sleep_in_a_vfork, daemon=True).start()
time.sleep(0.3)
def load(device):
    return lambda crops: [0] * len(crops)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the call's number is that of x86_64")
def test_a_side_that_cannot_be_stopped_is_the_submissions_fault_and_can_be_killed(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    begun = time.monotonic()
    with staged(make_package("vfork", UNSTOPPABLE), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cpu", 1, 1 << 16)
        with pytest.raises(SubmissionError) as caught, Session(Staged("vfork", folder, 6), setting) as session:
            session.load()
            session.freeze()
    assert caught.value.kind == "not_frozen"
    assert time.monotonic() - begun < 10


JUDGE = """
import sys, time
from pathlib import Path
from harness import rules, staging
from harness.judge.isolation import choose
from harness.judge.session import Session, Setting, Staged
limits = rules.parse(Path(sys.argv[1]).read_bytes(), "rules").limits
setting = Setting(choose(sys.argv[2], limits).sandbox, limits, "cpu", 1, 1 << 16)
session = Session(Staged("daemon", Path(sys.argv[3]), 6), setting)
session.load()
from harness.sandbox import processes
print(*(pid for pid in processes.descendants(session._started._top) if not processes.gone(pid)), flush=True)
time.sleep(60)
"""


def test_a_judge_that_is_killed_leaves_no_process(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    with staged(make_package("daemon", DAEMON), target, the_rules.limits) as (_, folder):
        judge = subprocess.Popen(
            [sys.executable, "-c", JUDGE, str(ROOT / "baselines" / "rules.toml"), sandbox.level, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert judge.stdout is not None
        pids = [int(pid) for pid in judge.stdout.readline().split()]
        judge.send_signal(signal.SIGKILL)
        judge.wait()
        judge.stdout.close()
        assert len(pids) == 2
        end = time.monotonic() + 10
        while not all(processes.gone(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.02)
        assert all(processes.gone(pid) for pid in pids)


def test_torch_sees_the_same_processor_inside_as_outside(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    code = """
import json, torch
raise ValueError(json.dumps([torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()]))
"""
    said = run_inside(code, sandbox, the_rules, target, make_package)
    outside = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    inside = json.loads(said[said.index("[") : said.index("]") + 1])
    assert inside == [outside, 1], "one thread was asked for"


def test_a_package_may_use_the_networks_of_harness(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    said = run_inside("import harness.nets.table\nraise KeyError('there')", sandbox, the_rules, target, make_package)
    assert "KeyError: 'there'" in said


@pytest.mark.skipif(os.getuid() != 0, reason="only root's workers have another uid")
def test_files_that_the_worker_may_not_read_are_named_before_it_starts(tmp_path: Path) -> None:
    """A checkout by root with a umask of 077."""
    ours = tmp_path / "module.py"
    ours.write_text("")
    ours.chmod(0o644)
    check_rights([ours])
    ours.chmod(0o600)
    with pytest.raises(MachineError, match=r"module.py: expected a file that all may read.*got mode 600; chmod -R"):
        check_rights([ours])


def test_labels_below_what_packages_see_are_refused(tmp_path: Path) -> None:
    """A checkout in /usr/src, or one that is its own virtual environment."""
    check_sight([tmp_path])
    for folder in (Path("/usr/src/harness/data"), Path(sys.prefix) / "data"):
        with pytest.raises(MachineError, match=r"expected labels where packages do not see them, got them below /"):
            check_sight([folder])
