"""What many tests share: rules with short limits, packages made of a few lines, an exam of small crops."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness import paths, rules, staging
from harness.judge.bench import Pixels
from harness.judge.evaluate import Exam
from harness.judge.isolation import LEVELS, Sandbox, choose
from harness.record import DataId

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ("Metal", "Paper", "Paperpack", "Plastic", "Plasticbag", "Styrofoam")

# Answers with the class that the exam's crops carry in their first byte.
PREDICT = "def load(device):\n    return lambda crops: [int(crop[0, 0, 0]) % 6 for crop in crops]\n"

MakePackage = Callable[..., Path]

# Under pytest-xdist a file's tests are in one process, which makes its fixtures once, but for these:
# whose commands take the machine's lock are in one process, for they would wait for each other,
JUDGING = (
    "test_cli.py",
    "test_compressing.py",
    "test_exporting.py",
    "test_organising.py",
    "test_pages.py",
    "test_profiling.py",
    "test_rehearsing.py",
    "test_searching.py",
    "test_starts.py",
    "test_training.py",
    "test_trust.py",
    "test_world.py",
)
# whose packages fill the machine's shared memory or its cores with children, which others of them count,
FILLING = ("test_between.py", "test_hidden.py", "test_limits.py", "test_load.py")
# and those of packages in cells, who share nothing, go one by one.
CELLS = ("tests/cheats/", "tests/faults/", "tests/sandbox/")


def spinning(microseconds: float) -> str:
    """A predict.py that answers right after spinning for a known time."""
    return f"""
from time import perf_counter_ns

def load(device):
    def predict(crops):
        end = perf_counter_ns() + {int(microseconds * 1000)}
        while perf_counter_ns() < end:
            pass
        return [int(crop[0, 0, 0]) % 6 for crop in crops]
    return predict
"""


def pytest_configure(config: pytest.Config) -> None:
    """Under pytest-xdist: a core for each process. Two networks of two threads that spin would wait for each other.

    And Ctrl-C, which a shell's background job ignores, is not ignored by its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    cores = sorted(os.sched_getaffinity(0))
    core = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if core and int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) <= len(cores):
        os.sched_setaffinity(0, {cores[int(core) % len(cores)]})  # a number beyond: it took a crashed one's place


def group_of(nodeid: str) -> str:
    """Which tests are in one process."""
    path = nodeid.partition("::")[0]
    name = path.rpartition("/")[2]
    if name in JUDGING:
        return "judging"
    if name in FILLING:
        return "filling"
    return nodeid if path.startswith(CELLS) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Ours: the marks of xdist 3.8 have no effect with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log)


@pytest.fixture(scope="session")
def the_rules() -> rules.Rules:
    """The project's rules, with limits that a test can wait for and passes that it can afford."""
    ours = rules.parse((ROOT / paths.RULES).read_bytes(), "rules.toml")
    return msgspec.structs.replace(
        ours,
        limits=msgspec.structs.replace(ours.limits, load_s=20.0, answer_s=1.0),
        protocol=msgspec.structs.replace(ours.protocol, subset_crops=50, subset_s=0.1, warmup_crops=5),
    )


@pytest.fixture
def make_package(tmp_path: Path) -> MakePackage:
    """make_package("name", predict source, **other files) -> its folder."""

    def make(name: str, predict: str = PREDICT, **files: str) -> Path:
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        (folder / "submission.toml").write_text(files.pop("manifest", f'name = "{name}"\n'))
        (folder / "predict.py").write_text(predict)
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        return folder

    return make


@pytest.fixture(scope="session")
def exam() -> Exam:
    """120 crops of 24x32; the first byte of each carries its class."""
    rng = np.random.default_rng(0)
    count = 120
    labels = rng.integers(0, 6, count)
    crops = [rng.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(count)]
    for crop, label in zip(crops, labels, strict=True):
        crop[0, 0, 0] = label
        crop.setflags(write=False)
    return Exam(
        data=DataId(name="exam", digest="d" * 64, classes=CLASSES, test_crops=count, test_photos=count),
        pixels=Pixels(test=crops, warmup=crops[:10], sizes=np.full((count, 2), (24, 32))),
        labels=labels.astype(np.int64),
        photos=tuple(f"photo {number}" for number in range(count)),
        splits=("test-public",) * count,
    )


@pytest.fixture(scope="session")
def target() -> staging.Target:
    """What packages are staged for in these tests."""
    return staging.Target("exam", CLASSES)


@pytest.fixture(scope="session", params=LEVELS)
def sandbox(request: pytest.FixtureRequest, the_rules: rules.Rules) -> Sandbox:
    """Each isolation level that this machine has; the others are skipped with their reason."""
    return available(request.param, the_rules)


@pytest.fixture(scope="session")
def strongest(the_rules: rules.Rules) -> Sandbox:
    """The strongest isolation level here."""
    return choose(None, the_rules.limits).sandbox


def available(level: rules.Level, the_rules: rules.Rules) -> Sandbox:
    """The sandbox of a level, else the test is skipped."""
    from harness.errors import MachineError

    try:
        return choose(level, the_rules.limits).sandbox
    except MachineError as error:
        pytest.skip(error.message)


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def claimed_elsewhere(lock: Path) -> Iterator[None]:
    """Another process holds the lock meanwhile, and is killed then."""
    code = "import sys; from pathlib import Path; from harness.atomic import claimed\n"
    code += "with claimed(Path(sys.argv[1]), ''):\n    print('held', flush=True)\n    input()"
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.kill()


def in_subprocess(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
