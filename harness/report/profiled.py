"""Boards with what profiles say of their entries: parameters and multiply-adds that no record has. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from harness.profile import Published
from harness.record import Package
from harness.report.board import Board


def with_profiles(boards: Iterable[Board], profiles: Mapping[str, Published]) -> tuple[Board, ...]:
    """The boards; `profiles` by a package's digest. What a record says itself stays."""
    return tuple(
        msgspec.structs.replace(
            board,
            rows=tuple(
                msgspec.structs.replace(row, submission=_profiled(row.submission, profiles.get(row.submission.digest)))
                for row in board.rows
            ),
        )
        for board in boards
    )


def _profiled(package: Package, profile: Published | None) -> Package:
    if profile is None:
        return package
    known = {
        name: value
        for name in ("parameters", "macs")
        if not getattr(package, name) and (value := getattr(profile, name)) is not None
    }
    return msgspec.structs.replace(package, **known)
