"""Both sides on one machine: fresh workers, block by block in turns, the idle side frozen. The clock is here."""

import contextlib
import gc
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from harness import scratch
from harness.errors import HarnessError, MachineError, SubmissionTimeout
from harness.judge import schedule
from harness.judge.channel import Crop
from harness.judge.floor import Floor, median_crop
from harness.judge.gpu import memory_comes_back
from harness.judge.outside import Sampler
from harness.judge.session import Session, Setting, Staged
from harness.metrics import Ints
from harness.raw import RawLeg, RawPass, RawSample
from harness.record import Isolation
from harness.rules import Rules
from harness.sandbox.layout import Layout

_T = TypeVar("_T")
_WINDOW_NS = 1_000_000_000  # between two samples: the kernel counts in steps of 10 ms
Watch = Callable[[str, float], None]  # what is being done, and the share of it that is done


class CropSequence(Protocol):
    """What a split of a data set offers."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Crop: ...


class Pixels(NamedTuple):
    """The test crops and the crops for warming up (validation; never scored). uint8, (H, W, 3) each."""

    test: CropSequence
    warmup: CropSequence
    sizes: Ints  # (test crops, 2)


@dataclass
class Bench:
    """Both sides on one machine. `isolation` is what was seen of the submission's worker."""

    submission: Staged
    baseline: Staged
    null: Path
    pixels: Pixels
    rules: Rules
    setting: Setting
    rng: np.random.Generator
    watch: Watch
    isolation: Isolation | None = None
    shown: bool = False  # whether the submission has seen a test crop
    batches: tuple[int, int] = (1, 1)  # crops a request, of the submission and of the baseline
    apart: bool = False  # the sides load one after the other, each with the other one frozen
    alike: bool = True  # memory lies alike on both sides of a pass; else each has its own draw
    _warmups: int = field(default=0, init=False)
    _spent_ns: int = field(default=0, init=False)  # by the submission, in all passes that are done
    _firsts: Iterator[int] = field(init=False)
    _said: list[str] = field(default_factory=list, init=False)  # by the submission, a text a pass

    def __post_init__(self) -> None:
        self._firsts = schedule.first_sides(self.rng)

    def floor(self) -> Floor:
        """The nulls, started and frozen."""
        return Floor(self.null, median_crop(self.pixels.sizes), self.setting, sorted(set(self.batches)))

    def alone(self, crops: Ints, text: str) -> RawLeg:
        """The baseline in a fresh process, nothing else running."""
        return self.retried(lambda: self._alone(crops, text))

    def interleaved(self, crops: Ints, text: str) -> RawPass:
        """One pass over the crops.

        Both sides load at once (not `apart`), until the baseline fails beside the submission: then, and from there on,
        each loads with the other one frozen, so that one that takes the machine while it loads harms itself alone.
        """
        try:
            return self.retried(lambda: self._interleaved(crops, text))
        except HarnessError as error:
            if error.kind != "baseline_failed" or self.apart:
                raise
            self.apart = True
            return self.retried(lambda: self._interleaved(crops, text))

    def said(self) -> str:
        """What the submission printed, pass by pass; nothing where it printed nothing."""
        return "".join(f"--- pass {number}\n{text}\n" for number, text in enumerate(self._said, 1) if text)

    def now_s(self) -> float:
        """The clock, in seconds."""
        return self.setting.clock.now_ns() / 1e9

    def _alone(self, crops: Ints, text: str) -> RawLeg:
        order = self.rng.permutation(crops)
        self.watch(text, 0.0)
        with fresh(self.baseline) as staged, Session(staged, self._drawn()) as baseline:
            baseline.load()
            self._settle(baseline, self.rules.protocol.warmup_crops, self.batches[1])
            _, times = self._block(baseline, [self.own(crop) for crop in order], self.batches[1])
        return RawLeg(tuple(order.tolist()), tuple(times))

    def _interleaved(self, crops: Ints, text: str) -> RawPass:
        protocol = self.rules.protocol
        if max(self.batches) > 1:
            blocks = schedule.batch_blocks(crops, protocol.block_crops, self.batches, self.rng)
        else:
            blocks = schedule.blocks(crops, protocol.block_crops, self.rng)
        first = next(self._firsts)
        times: tuple[list[int], list[int]] = ([], [])
        labels: tuple[list[int], list[int]] = ([], [])
        order = (first, 1 - first)
        self.watch(text, 0.0)
        with self._started(order) as sides:
            self._load(sides, order)
            for which in order:
                with self._turn(sides[which], sides):
                    self._settle(sides[which], protocol.warmup_crops, self.batches[which])
            sampler = Sampler(self.setting.device)
            samples = [sampler.sample(0, self.setting.clock.now_ns())]
            self.shown = True
            for number, block in enumerate(blocks):
                pixels = [self.own(crop) for crop in block]
                for which in order:
                    with self._turn(sides[which], sides):
                        self._settle(sides[which], protocol.settle_crops, self.batches[which])
                        answers, spent = self._block(sides[which], pixels, self.batches[which])
                    labels[which].extend(answers)
                    times[which].extend(spent)
                self._check_total(sides[0].spent_ns)
                samples = self._sampled(sampler, samples, number + 1, len(blocks))
                self.watch(text, (number + 1) / len(blocks))
            peaks = [side.peak_mb() for side in sides]
        self._spent_ns += sides[0].spent_ns
        return RawPass(
            first="baseline" if first else "submission",
            blocks=tuple(block.size for block in blocks),
            crops=tuple(np.concatenate(blocks).tolist()),
            submission_ns=tuple(times[0]),
            baseline_ns=tuple(times[1]),
            submission_labels=tuple(labels[0]),
            baseline_labels=tuple(labels[1]),
            samples=tuple(samples),
            submission_peak_mb=peaks[0],
            baseline_peak_mb=peaks[1],
        )

    @contextlib.contextmanager
    def _started(self, order: tuple[int, int]) -> Iterator[tuple[Session, Session]]:
        """Fresh workers of the submission and of the baseline, the pass's first side first.

        Who starts, loads and warms up first gets other pages of memory, from pass to pass the same ones: with a fixed
        order that is a bias (A/A of an eager network: -4 %) and no scatter that more passes would average out.
        """
        setting = self._drawn()
        with contextlib.ExitStack() as stack:
            sides: dict[int, Session] = {}
            stack.callback(lambda: self._said.append(sides[0].log() if 0 in sides else ""))  # once it has ended
            for which in order:
                copy = stack.enter_context(fresh((self.submission, self.baseline)[which]))
                sides[which] = stack.enter_context(Session(copy, setting if self.alike else self._drawn()))
            yield sides[0], sides[1]

    def _drawn(self) -> Setting:
        """With a new draw of where memory lies."""
        return self.setting._replace(layout=Layout.draw(self.rng))

    def _load(self, sides: tuple[Session, Session], order: tuple[int, int]) -> None:
        self.isolation = sides[0].confined()
        sides[1].confined()
        if self.apart:
            for which in order:
                with self._turn(sides[which], sides):
                    sides[which].start_loading()
                    sides[which].finish_loading()
            return
        for which in order:
            sides[which].start_loading()
        for which in order:
            sides[which].finish_loading()

    def _sampled(self, sampler: Sampler, samples: list[RawSample], pairs: int, of: int) -> list[RawSample]:
        """One sample more where a window is full or the pass ends; a short last window is part of the one before."""
        now_ns = self.setting.clock.now_ns()
        age_ns = now_ns - samples[-1].now_ns
        if pairs < of and age_ns <= _WINDOW_NS:
            return samples
        whole = samples[:-1] if pairs == of and age_ns < _WINDOW_NS / 2 and len(samples) > 1 else samples
        return [*whole, sampler.sample(pairs, now_ns)]

    @contextlib.contextmanager
    def _turn(self, side: Session, sides: tuple[Session, Session]) -> Iterator[None]:
        """Only `side` runs; the other one stands still."""
        idle = sides[1] if side is sides[0] else sides[0]
        idle.freeze()
        side.thaw()
        yield

    def _settle(self, side: Session, count: int, batch: int) -> None:
        """Unscored crops: caches and clocks after a switch belong to neither side. Never test crops."""
        for _ in range(-(-count // batch)):
            begin, many = self._warmups, len(self.pixels.warmup)
            self._warmups += batch
            side.classify([self.pixels.warmup[number % many] for number in range(begin, begin + batch)])

    def _block(self, side: Session, pixels: list[Crop], batch: int) -> tuple[list[int], list[int]]:
        """(labels, ns) of the crops, `batch` a request. The judge's collector waits meanwhile."""
        labels: list[int] = []
        times: list[int] = []
        gc.disable()
        try:
            for start in range(0, len(pixels), batch):
                answer = side.classify(pixels[start : start + batch])
                labels += answer.labels.tolist()
                times += schedule.shares(answer.elapsed_ns, answer.labels.size)
        finally:
            gc.enable()
        return labels, times

    def own(self, crop: int) -> Crop:
        """A copy in memory, so that no side pays for reading the page from disk."""
        return np.array(self.pixels.test[crop])

    def _check_total(self, spent_ns: int) -> None:
        limits = self.rules.limits
        for what, its_ns, limit_s in (
            ("a pass", spent_ns, limits.side_s),
            ("all passes", self._spent_ns + spent_ns, limits.run_s),
        ):
            if its_ns > limit_s * 1e9:
                raise SubmissionTimeout(
                    f"{self.submission.name}: expected {what} within {limit_s:g} s of its time, it took longer",
                    kind="total_timeout",
                )

    def retried(self, run: Callable[[], _T]) -> _T:
        """A fault of the machine is tried once more, a submission's never."""
        try:
            return self._run(run)
        except MachineError:
            return self._run(run)

    def _run(self, run: Callable[[], _T]) -> _T:
        with memory_comes_back(self.setting.device):
            return run()


@contextlib.contextmanager
def fresh(staged: Staged) -> Iterator[Staged]:
    """With a copy of its folder, gone at the end: what of it lies in the page cache is no memory for the next pass."""
    parent = scratch.folder("pass")
    try:
        copy = parent / "package"
        shutil.copytree(staged.folder, copy)
        yield staged._replace(folder=copy)
    finally:
        scratch.remove(parent)
