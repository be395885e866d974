"""Both sides get the threads that the record names, whatever the sandbox forbids."""

import pytest

from harness.judge.evaluate import Exam
from harness.judge.isolation import Sandbox
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
