"""Whole evaluations of packages that cheat, on an exam of both halves, in one pass unless told otherwise."""

import contextlib
from dataclasses import dataclass

import numpy as np

from harness.judge.bench import Pixels
from harness.judge.evaluate import Entry, Exam, Job, Outcome, evaluate
from harness.judge.schedule import Exactly
from harness.rules import Rules
from harness.staging import Target, staged
from tests.cells import Cell
from tests.conftest import CLASSES, PREDICT, ROOT


@dataclass(frozen=True)
class Court:
    """Judges packages made of a few lines against one that always answers right."""

    cell: Cell
    exam: Exam
    rules: Rules

    def judge(
        self,
        source: str,
        *,
        official: bool = False,
        audit: bool = False,
        passes: int = 1,
        weights: bytes | None = None,
        folder: str | None = None,
        baseline: str = PREDICT,
    ) -> Outcome:
        """One evaluation; `weights` become the package's model.safetensors."""
        target = Target("exam", CLASSES)
        with contextlib.ExitStack() as stack:
            entries = []
            for predict in (source, baseline):
                name = f"party{len(self.cell.made)}"
                self.cell.made.append(name)
                package = self.cell.make_package(name, predict)
                if weights is not None and predict is source:
                    (package / "model.safetensors").write_bytes(weights)
                if folder is not None and predict is source:
                    (package / folder).mkdir()
                    (package / folder / "x").write_text("")
                entries.append(Entry(*stack.enter_context(staged(package, target, self.rules.limits))))
            null = stack.enter_context(staged(ROOT / "baselines" / "null", target, self.rules.limits))[1]
            job = Job(
                *entries,
                null,
                self.exam,
                self.rules,
                self.cell.sandbox,
                plan=Exactly(passes),
                official=official,
                audit=audit,
            )
            return evaluate(job, unseen)


def in_halves(exam: Exam) -> Exam:
    """The exam with every second crop private; a crop's second byte tells its half, and its third its number."""
    crops = []
    for number in range(len(exam.pixels.test)):
        crop = np.array(exam.pixels.test[number])
        crop[0, 0, 1:] = 255 * (number % 2), number
        crop.setflags(write=False)
        crops.append(crop)
    splits = tuple("test-private" if number % 2 else "test-public" for number in range(len(crops)))
    return exam._replace(pixels=Pixels(crops, exam.pixels.warmup, exam.pixels.sizes), splits=splits)


def unseen(_what: str, _share: float) -> None:
    """Progress that nobody looks at."""
