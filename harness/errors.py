"""Every error that harness raises on purpose, and the exit code that each one carries.

HarnessError            1  harness or machine
├─ UsageError           2  the command line
├─ DataError            3  a data set, a photo, a record
├─ SubmissionError      4  a package or what it did; `kind` names it
│  └─ SubmissionTimeout 5  it did not answer in time
└─ MachineError         1  the machine: isolation, memory, disk, devices

A message is one line: what was expected, what was got, what to do next.
"""

from typing import ClassVar, Literal

Owner = Literal["submission", "harness", "machine"]


class HarnessError(Exception):
    """An error of harness itself. `message` is one line for the user.

    `log` is what is kept beside a record: what a package printed, or where harness failed. `public` is what may be said
    to a package's author once it has seen test crops; without it the message holds nothing that the package chose.
    """

    exit_code: ClassVar[int] = 1
    owner: ClassVar[Owner] = "harness"

    def __init__(self, message: str, *, kind: str = "error", log: str | None = None, public: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.log = log
        self._public = public

    def withhold(self) -> None:
        """Leaves of the message what is ours, where something that a package chose may be in it."""
        if self._public is not None:
            self.message = f"{self._public} (an official run: its output is the organiser's)"
            self.args = (self.message,)


class UsageError(HarnessError):
    """The command line asks for what is not there or cannot be."""

    exit_code = 2


class DataError(HarnessError):
    """A data set, a photo, a rules file or a record is missing, damaged or of another kind."""

    exit_code = 3


class SubmissionError(HarnessError):
    """A package is malformed, or its code did what the protocol forbids.

    `public` is its kind, or a reason that is ours and the class of an exception that is Python's.
    """

    exit_code = 4
    owner = "submission"

    def __init__(self, message: str, *, kind: str, log: str | None = None, public: str | None = None) -> None:
        super().__init__(message, kind=kind, log=log, public=public or kind)


class SubmissionTimeout(SubmissionError):
    """A submission did not load or answer within its limit."""

    exit_code = 5


class MachineError(HarnessError):
    """The machine cannot do what was asked: no such isolation level, no memory, no space, no device."""

    owner = "machine"


def misread(error: Exception, wanted: str) -> str:
    """A decoder's complaint about a file that a user writes, in one line, with the key; `wanted`: what the file is.

    >>> misread(ValueError("Expected `str`, got `int` - at `$.score.name`"), "rules")
    'score.name: expected str, got int'
    >>> misread(ValueError("Object contains unknown field `slope` - at `$.score`"), "rules")
    'score: unknown key slope'
    >>> misread(ValueError("Invalid value (at line 1, column 8)"), "rules")
    'expected rules: Invalid value (at line 1, column 8)'
    >>> misread(ValueError("Expected `str`, got `int` - at key in `$.limits`"), "rules")
    'limits: expected str, got int for a key'
    """
    said = " ".join(str(error).replace("`", "").split()).replace(" - at key in $", " for a key - at $")
    said, _, place = said.partition(" - at $")
    said = said.replace('in "<byte string>", ', "at ")  # how YAML's parser calls a file that is given as bytes
    for theirs, ours in _WORDS.items():
        if said.startswith(theirs):
            said = ours + said.removeprefix(theirs)
            break
    else:
        said = said if place else f"expected {wanted}: {said}"
    return f"{place.lstrip('.')}: {said}" if place else said


_WORDS = {
    "Object contains unknown field": "unknown key",
    "Object missing required field": "expected a key",
    "Expected ": "expected ",
}
