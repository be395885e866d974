"""What organisers decided about entries and boards: withdrawn, superseded, frozen. Pure; records.py does the file."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from harness.errors import DataError, misread
from harness.raw import Part

Kind = Literal["withdraw", "supersede", "freeze", "lift"]


class Decision(Part, frozen=True):
    """One decision; later ones overrule earlier ones. `of` is a package's digest, for a board a data set's."""

    kind: Kind
    at_utc: str
    of: str
    name: str  # of what is decided about, for people
    by: str | None = None  # digest of the package that takes its place
    reason: str = ""


class Standing(NamedTuple):
    """What holds now: why a package is not ranked, and until when a data set's boards took runs."""

    out: dict[str, str]
    frozen: dict[str, str]

    def why_not(self, package: str, data: str, created_utc: str) -> str | None:
        """Why a package's runs, the first of them at `created_utc`, are not ranked; None where they are."""
        if package in self.out:
            return self.out[package]
        until = self.frozen.get(data)
        return f"run after the board was frozen at {until}" if until is not None and created_utc >= until else None


NOTHING = Standing({}, {})


def standing(decisions: Iterable[Decision]) -> Standing:
    """The decisions in their order, as they hold at the end.

    >>> made = [Decision("freeze", "2026-11-24T08:00:00Z", "d", "trash"), Decision("lift", "2026-11-25T08:00:00Z",
    ...     "d", "trash"), Decision("withdraw", "2026-11-25T09:00:00Z", "p", "mine", reason="by its authors")]
    >>> standing(made)
    Standing(out={'p': 'withdrawn: by its authors'}, frozen={})
    """
    out: dict[str, str] = {}
    frozen: dict[str, str] = {}
    for its in decisions:
        match its.kind:
            case "withdraw":
                out[its.of] = "withdrawn" + (f": {its.reason}" if its.reason else "")
            case "supersede":
                out[its.of] = f"superseded by {its.reason or (its.by or '')[:12]}"
            case "freeze":
                frozen[its.of] = its.at_utc
            case "lift":
                frozen.pop(its.of, None)
                out.pop(its.of, None)
    return Standing(out, frozen)


def parse(text: bytes, source: str) -> tuple[Decision, ...]:
    """The decisions in the bytes of the file `source`. Raises DataError."""
    try:
        return msgspec.json.decode(text, type=tuple[Decision, ...])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{source}: {misread(error, 'a list of decisions')}") from error
