"""Boards show what published profiles say; what a record says itself stays; damaged files are named and skipped."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from harness import profiles
from harness.errors import MachineError
from harness.profile import Published
from harness.report.files import board_path
from harness.report.formats import FORMATS
from harness.report.page.view import view
from harness.report.profiled import with_profiles
from harness.report.rank import boards
from tests.builders import make_data, make_package, make_record, make_rules

RULES = make_rules()


def make_published(digest: str, **changes: object) -> Published:
    profile = Published(
        digest=digest,
        name="x",
        parameters=294_854,
        macs=342_845_424,
        size=(156, 156),
        weight_bytes=1,
        counted="convolutions",
    )
    return msgspec.structs.replace(profile, **changes)


def test_every_format_shows_parameters_and_multiply_adds() -> None:
    known, unknown = make_record("known"), make_record("unknown")
    records = [known, unknown]
    found = with_profiles(boards(records, RULES), {(digest := known.submission.digest): make_published(digest)})
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(FORMATS["csv"](found)))}
    assert (rows["known"]["parameters"], rows["known"]["macs"]) == ("294854", "342845424")
    assert (rows["unknown"]["parameters"], rows["unknown"]["macs"]) == ("", "")
    entries = {row["submission"]["name"]: row["submission"] for row in json.loads(FORMATS["json"](found))[0]["rows"]}
    assert entries["known"]["macs"] == 342_845_424
    assert "macs" not in entries["unknown"]
    table = [line for line in FORMATS["md"](found).splitlines() if line.startswith("|")]
    place = [cell.strip() for cell in table[0].split("|")].index("params")
    line = next(line for line in table if " known " in line)
    assert [cell.strip() for cell in line.split("|")][place : place + 2] == ["295 k", "343 M"]
    assert len({line.count("|") for line in table}) == 1
    shown = {entry.name: entry for entry in view(found, records, RULES).boards[0].entries}
    assert (shown["known"].parameters, shown["known"].macs) == (294_854, 342_845_424)


def test_what_a_record_says_stays() -> None:
    record = make_record(submission=make_package(parameters=7))
    (board,) = with_profiles(boards([record], RULES), {record.submission.digest: make_published("x", macs=None)})
    assert board.rows[0].submission.parameters == 7
    assert board.rows[0].submission.macs is msgspec.UNSET


def test_boards_without_profiles_are_as_they_were() -> None:
    made = boards([make_record()], RULES)
    assert with_profiles(made, {}) == made


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = make_published("ab" * 32)
    path = profiles.write(tmp_path / "profiles", kept)
    assert profiles.read_all(path.parent) == ({kept.digest: kept}, ())
    assert profiles.read_all(tmp_path / "none") == ({}, ())
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file")
    with pytest.raises(MachineError):
        profiles.write(path.parent, kept)


def test_a_damaged_profile_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    kept = make_published("ab" * 32)
    path = profiles.write(tmp_path, kept)
    (tmp_path / "torn.json").write_bytes(path.read_bytes()[:40])
    (tmp_path / f"{'cd' * 32}.json").write_bytes(path.read_bytes())  # another package's
    found, problems = profiles.read_all(tmp_path)
    assert found == {kept.digest: kept}
    assert len(problems) == 2
    assert "expected the profile of cdcdcdcdcdcd, got that of abababababab" in problems[0]
    assert "torn.json" in problems[1]


def test_no_board_lies_among_the_profiles() -> None:
    (board,) = boards([make_record(data=make_data("profiles"))], RULES)
    assert board_path(board).startswith("profiles-data/")
