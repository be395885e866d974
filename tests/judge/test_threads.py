"""Both sides get the threads that the record names, whatever the sandbox forbids, and large pages."""

from pathlib import Path

import pytest

from harness.judge.evaluate import Exam
from harness.judge.isolation import Sandbox, bubblewrap, guarded, launch
from harness.judge.machine import usable_cores
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.staging import Target, staged
from tests.conftest import MakePackage

THREADS = "import torch\n\ndef load(device):\n    return lambda crops: [torch.get_num_threads()] * len(crops)\n"


@pytest.mark.parametrize("threads", sorted({1, usable_cores()}))
def test_torch_has_the_threads_that_the_judge_gives_it(
    threads: int, sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage, exam: Exam
) -> None:
    with staged(make_package("threads", THREADS), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cpu", threads, 1 << 16)
        with Session(Staged("threads", folder, threads + 1), setting) as session:
            session.load()
            assert session.classify(exam.pixels.test[:1]).labels.tolist() == [threads]


# Not by numpy, which asks for large pages itself. The answer is 1 where the block lies in some.
LARGE = """
def load(device):
    block = b"x" * (64 << 20)

    def predict(crops):
        with open("/proc/self/smaps_rollup") as lines:
            pages = next(line for line in lines if line.startswith("AnonHugePages:"))
        return [int(int(pages.split()[1]) > 32 << 10)] * len(crops) * bool(block)
    return predict
"""


def test_large_blocks_lie_in_large_pages(
    strongest: Sandbox,
    the_rules: Rules,
    target: Target,
    make_package: MakePackage,
    exam: Exam,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not given.exists() or "[madvise]" not in given.read_text():
        pytest.skip("the kernel gives large pages always or never")

    def answer() -> int:
        setting = Setting(strongest, the_rules.limits, "cpu", 1, 1 << 16)
        with Session(Staged("large", folder, 2), setting) as session:
            session.load()
            return int(session.classify(exam.pixels.test[:1]).labels[0])

    with staged(make_package("large", LARGE), target, the_rules.limits) as (_, folder):
        assert answer() == 1
        plain = launch.environment
        monkeypatch.setattr(bubblewrap, "environment", lambda *given: {**plain(*given), "GLIBC_TUNABLES": ""})
        monkeypatch.setattr(guarded, "environment", lambda *given: {**plain(*given), "GLIBC_TUNABLES": ""})
        assert answer() == 0
