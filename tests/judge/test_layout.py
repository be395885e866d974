"""Where memory lies: by the judge's draw, the same for both sides of a pass and new in the next."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import SubmissionError
from harness.judge.evaluate import Exam, evaluate
from harness.judge.isolation import Sandbox
from harness.judge.schedule import Exactly
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.sandbox.layout import Layout
from harness.staging import Target, staged
from tests.conftest import MakePackage
from tests.judge.test_evaluate import job_of, quiet

WHERE = """
import ctypes, json
import numpy as np

def load(device):
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    where = {
        "hash": hash("crop"),
        "object": id(object()),
        "library": ctypes.cast(libc.printf, ctypes.c_void_p).value,
        "numpy": id(np.ndarray),
        "heap": libc.malloc(100),
        "stack": open("/proc/self/stat").read().rsplit(")", 1)[1].split()[25],
    }
    raise RuntimeError(json.dumps(where))
"""
# The answers are those of this process's hashes.
HASHES = "def load(device):\n    return lambda crops: [hash(crop.tobytes()) % 6 for crop in crops]\n"


def where(folder: Path, sandbox: Sandbox, rules: Rules, layout: Layout | None) -> dict[str, object]:
    """What a worker's memory looks like."""
    setting = Setting(sandbox, rules.limits, "cpu", 1, 1 << 16, layout=layout)
    with pytest.raises(SubmissionError) as caught, Session(Staged("where", folder, 6), setting) as session:
        session.load()
    said = caught.value.message
    found: dict[str, object] = json.loads(said[said.index("{") : said.rindex("}") + 1])
    return found


def test_one_layout_is_one_place_in_memory_at_every_level(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    rng = np.random.default_rng()
    one, other = Layout.draw(rng), Layout.draw(rng)
    with staged(make_package("where", WHERE), target, the_rules.limits) as (_, folder):
        first, again, elsewhere = (where(folder, sandbox, the_rules, layout) for layout in (one, one, other))
        free = [where(folder, sandbox, the_rules, None) for _ in range(2)]
    assert first == again
    same = {name for name in first if first[name] == elsewhere[name]}
    assert same <= {"library", "object"}, "those are mapped before the worker begins"
    assert not {name for name in free[0] if free[0][name] == free[1][name]}, "without one the kernel draws"


def test_where_the_kernel_does_not_allow_it_a_worker_goes_on() -> None:
    layout = Layout(1, 5, 1000, 2)
    code = (
        "import sys; sys.orig_argv = ['/nowhere']; from harness.sandbox.layout import relocate; print(len(relocate()))"
    )
    tried = os.environ | layout.variables() | {"HARNESS_LAYOUT_TRIED": "1"}
    ended = subprocess.run([sys.executable, "-c", code], env=tried, capture_output=True, text=True, check=True)
    assert ended.stdout == "2\n"


def test_both_sides_of_a_pass_lie_alike_and_the_next_pass_elsewhere(
    exam: Exam, strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    package = make_package("hashes", HASHES)
    with job_of(package, package, exam, strongest, the_rules, target) as job:
        alike = evaluate(dataclasses.replace(job, plan=Exactly(2)), quiet)
        unlike = evaluate(dataclasses.replace(job, plan=Exactly(1), alike=False), quiet)
    assert alike.raw is not None
    assert alike.record.isolation is not None
    assert alike.record.isolation.drawn_layout
    for one in alike.raw.passes:
        assert one.submission_labels == one.baseline_labels
    first, second = (dict(zip(one.crops, one.submission_labels, strict=True)) for one in alike.raw.passes)
    assert any(first[crop] != label for crop, label in second.items())
    assert unlike.raw is not None
    assert unlike.raw.passes[0].submission_labels != unlike.raw.passes[0].baseline_labels
