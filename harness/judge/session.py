"""One worker with one package: started, loaded, asked crop by crop, frozen between its turns, ended.

Everything that a worker can do wrong becomes a SubmissionError with its owner's name and one line here.
"""

import builtins
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, MachineError, SubmissionError, SubmissionTimeout
from harness.judge.channel import Channel, Crop, Ended, Late, Violation
from harness.judge.clock import Clock, RealClock
from harness.judge.isolation import Sandbox, require
from harness.judge.isolation.launch import Launch
from harness.record import Isolation
from harness.rules import Limits
from harness.sandbox.layout import Layout
from harness.wire import MOST_CROPS, Kind, Message, Reason

_TREE = 4  # times a process's limit of open files that all of a worker's processes may have
_LOOK_NS = 500_000_000  # between two looks at what a worker holds, while it answers fast
_KINDS = {
    Reason.IMPORT_RAISED: ("load_raised", "predict.py"),
    Reason.LOAD_RAISED: ("load_raised", "load"),
    Reason.NO_LOAD: ("no_load", "load"),
    Reason.NOT_CALLABLE: ("no_load", "load"),
    Reason.MODEL: ("model", "load"),
    Reason.PREDICT_RAISED: ("predict_raised", "predict"),
    Reason.WRONG_TYPE: ("wrong_type", "predict"),
    Reason.WRONG_COUNT: ("wrong_count", "predict"),
    Reason.LABEL_TOO_LARGE: ("out_of_range", "predict"),
}


class Staged(NamedTuple):
    """A package that is ready to run: its name, the folder of its copy and the data set's number of classes.

    What a `trusted` package does wrong (the baseline, the null) is the harness's fault, not a submission's.
    """

    name: str
    folder: Path
    classes: int
    trusted: bool = False


class Setting(NamedTuple):
    """What both sides have in common."""

    sandbox: Sandbox
    limits: Limits
    device: str
    threads: int
    capacity: int  # bytes of an input buffer
    clock: Clock = RealClock()
    layout: Layout | None = None  # where a worker's memory lies; None: as the kernel draws it


class Answer(NamedTuple):
    """Labels, shape (crops,), checked to lie in range(classes), and the judge's time for them in ns."""

    labels: NDArray[np.int64]
    elapsed_ns: int


class Session:
    """A context manager: `with Session(staged, setting) as side: side.load(); side.classify([crop])`.

    `load` is `confined`, `start_loading` and `finish_loading`: two sides can load at once.
    """

    def __init__(self, staged: Staged, setting: Setting) -> None:
        self.name = staged.name
        self._classes, self._trusted = staged.classes, staged.trusted
        self._limits, self._clock = setting.limits, setting.clock
        self._loading_ns = 0
        self._fault_of_package: SubmissionError | None = None
        self._looked_ns = self._clock.now_ns()
        self.spent_ns = 0  # of load and all its answers, scored or not
        self._channel = Channel(setting.capacity, self._clock, self._look)
        launch = Launch(
            script="worker/__main__.py",
            # Numbers of one length: the arguments lie above the stack.
            arguments=("{confinement}", setting.device, "{package}", *(f"{n:04}" for n in self._channel.descriptors)),
            package=staged.folder,
            descriptors=self._channel.descriptors,
            limits=setting.limits,
            threads=setting.threads,
            device=setting.device,
            layout=setting.layout,
        )
        try:
            self._started = setting.sandbox.start(launch)
        except BaseException as error:
            self._channel.close()
            if isinstance(error, OSError):
                raise MachineError(f"cannot start a worker: {error.strerror}", kind="no_worker") from error
            raise
        finally:
            self._channel.opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._started.kill()
        finally:
            self._channel.close()
        if error is not None and error is self._fault_of_package:  # not what another session raised
            self._fault_of_package.log = self.log()

    def log(self) -> str:
        """What it printed."""
        return self._started.output.text()

    def peak_mb(self) -> int:
        """MiB that all its processes had resident at most, each at its own time, its code included."""
        return self._started.peak_bytes() >> 20

    def load(self) -> Isolation:
        """Brings it up to its first answer; what was seen of its confinement. Raises as the three steps do."""
        isolation = self.confined()
        self.start_loading()
        self.finish_loading()
        return isolation

    def confined(self) -> Isolation:
        """Waits until the worker is confined and checks what can be seen of that. Raises MachineError."""
        try:
            self._channel.limit(self._limits.load_s)
            ready = self._channel.ready()
            if ready.kind is not Kind.READY:
                raise MachineError(
                    f"the worker could not confine itself: {self._channel.text(ready.size)}",
                    kind="isolation",
                )
            isolation = self._started.observed()
            require(isolation)
        except (Ended, Late, Violation) as error:
            raise self._not_started() from error
        return isolation

    def start_loading(self) -> None:
        """Lets it load. Raises MachineError."""
        try:
            self._loading_ns = self._clock.now_ns()
            self._pending = self._channel.request(Kind.LOAD)
        except Ended as error:
            raise self._not_started() from error

    def _not_started(self) -> MachineError:
        code = self._started.exit_code(wait_s=2.0)
        said = self.log().strip().splitlines()
        return MachineError(
            f"expected a worker to start, it ended with code {code}{': ' + said[-1] if said else ''}",
            kind="no_worker",
        )

    def finish_loading(self) -> None:
        """Waits until load() has returned. Raises SubmissionError, SubmissionTimeout."""
        spent_s = (self._clock.now_ns() - self._loading_ns) / 1e9
        self._channel.limit(max(self._limits.load_s - spent_s, 0.01))
        try:
            answer = self._channel.answer(self._pending)
            self._raise_failure(answer)
            if answer.kind is not Kind.LOADED:
                raise Violation("protocol", f"expected LOADED, got {answer.kind.name}")
        except (Ended, Late, Violation) as error:
            raise self._fault(error, "load", self._limits.load_s) from error
        self.spent_ns += self._clock.now_ns() - self._loading_ns
        self._allow(1)

    def classify(self, crops: Sequence[Crop]) -> Answer:
        """Labels of uint8 crops, (H, W, 3) each, and how long they took. Raises SubmissionError, SubmissionTimeout."""
        assert 0 < len(crops) <= MOST_CROPS
        if len(crops) != self._allowed:
            self._allow(len(crops))
        try:
            if self._clock.now_ns() - self._looked_ns > _LOOK_NS:
                self._look()
            elapsed, labels, answer = self._channel.classify(crops)
            self.spent_ns += elapsed
            self._check_output()
        except (Ended, Late, Violation) as error:
            raise self._fault(error, "predict", self._limits.answer_s * len(crops)) from error
        self._raise_failure(answer)
        assert labels is not None
        if labels.min() < 0 or labels.max() >= self._classes:
            wrong = labels[(labels < 0) | (labels >= self._classes)][0]
            raise self._error(f"expected labels in range({self._classes}), got {wrong}", "out_of_range")
        return Answer(labels, elapsed)

    def _allow(self, crops: int) -> None:
        """The time of the next answers, in proportion to their crops."""
        self._channel.limit(self._limits.answer_s * crops)
        self._allowed = crops

    def freeze(self) -> None:
        """Stands still until `thaw`: it and everything that it started. Raises SubmissionError where it does not."""
        begun = self._clock.now_ns()
        if not self._started.freeze():
            raise self._restless("could not be stopped")
        try:
            self._look()  # what it took after its last answer must not weigh on the other side's turn
        except Violation as error:
            raise self._fault(error, "predict", self._limits.answer_s) from error
        self.spent_ns += self._clock.now_ns() - begun  # a tree that is slow to stop and to look at pays for it

    def thaw(self) -> None:
        """Goes on. Raises SubmissionError where it had run since `freeze`."""
        if not self._started.thaw():
            raise self._restless("ran")

    def _restless(self, what: str) -> HarnessError:
        """The other side's turn was disturbed: by a stranger's package on purpose, else by the machine."""
        said = f"expected it to stand still in the other side's turn, it {what}"
        if self._trusted:
            return MachineError(f"{self.name}: {said}", kind="not_frozen")
        return self._error(said, "not_frozen")

    def _look(self) -> None:
        """Raises Violation where the worker with all that it started holds more than its limits."""
        self._check_output()
        limits = self._limits
        memory, files = limits.memory_mb << 20, limits.scratch_files
        descriptors = limits.descriptors * _TREE
        held = self._started.usage(memory, files, descriptors, trusted=self._trusted)
        if held.memory > memory:
            raise Violation("memory", f"expected at most {limits.memory_mb} MiB, it holds {held.memory >> 20}")
        if held.descriptors > descriptors:
            raise Violation("descriptors", f"expected at most {descriptors} open files of all its processes, got more")
        if held.scratch > limits.scratch_mb << 20:
            raise Violation("scratch", f"expected at most {limits.scratch_mb} MiB in its scratch, got more")
        if held.scratch_files > files:
            raise Violation("scratch", f"expected at most {files} files in its scratch, got more")
        self._looked_ns = self._clock.now_ns()

    def _check_output(self) -> None:
        if self._started.output.flooded:
            raise Violation("output_flood", f"expected at most {self._limits.output_kb} KiB of output, got more")

    def _raise_failure(self, answer: Message) -> None:
        if answer.kind is not Kind.FAILED:
            return
        said = self._channel.text(answer.size)
        try:
            kind, where = _KINDS[Reason(answer.detail)]
        except (ValueError, KeyError):
            raise self._error("sent a failure that the protocol does not know", "protocol") from None
        if kind.endswith("_raised"):
            raise self._error(f"{where} raised {said}", kind, public=f"{where} raised {_builtin_class(said)}")
        raise self._error(said, kind)

    def _fault(self, error: Ended | Late | Violation, where: str, limit_s: float) -> HarnessError:
        """What a broken channel means, as the error to raise."""
        if isinstance(error, Violation):
            return self._error(str(error), error.kind)
        if isinstance(error, Late):
            return self._error(f"expected {where} to answer within {limit_s:g} s, it did not", f"{where}_timeout")
        code = self._started.exit_code(wait_s=2.0)
        return self._error(f"{where} ended the process: {_ending(code)}", "crash")

    def _error(self, text: str, kind: str, public: str = "") -> HarnessError:
        message = f"{self.name}: {text}"
        if self._trusted:
            return HarnessError(f"{message} (it is not the submission that failed)", kind="baseline_failed")
        timeout = kind.endswith("_timeout")
        error = SubmissionTimeout if timeout else SubmissionError
        self._fault_of_package = error(message, kind=kind, public=f"{self.name}: {public or kind}")
        return self._fault_of_package


def _builtin_class(said: str) -> str:
    """The class of an exception that a worker reports, "Exception" where it is none of Python's own.

    >>> _builtin_class("ValueError: label of photo 3 is 4"), _builtin_class("Label4: x")
    ('ValueError', 'Exception')
    """
    name = said.partition(":")[0].partition(" ")[0]
    known = getattr(builtins, name, None)
    return name if isinstance(known, type) and issubclass(known, BaseException) else "Exception"


def _ending(code: int | None) -> str:
    """An exit code in words.

    >>> _ending(139), _ending(0)
    ('killed by SIGSEGV', 'exit code 0')
    """
    if code is None:
        return "it closed its channel"
    if code > 128 and code - 128 in signal.valid_signals():
        name = signal.Signals(code - 128).name
        return f"killed by {name}" + " (by the kernel, for want of memory?)" * (name == "SIGKILL")
    return f"exit code {code}"
