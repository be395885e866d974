"""Publishing a record, and the files that are generated from the published ones."""

from pathlib import Path

import pytest

from harness import records
from harness.errors import DataError, MachineError
from harness.record import Record
from harness.report import rank
from harness.report.files import MARKER
from tests.builders import (
    make_failed,
    make_isolation,
    make_raw,
    make_record,
    make_result,
    make_rules,
    make_run,
)
from tests.conftest import names

# --- publishing


def test_publishing_moves_the_record_and_its_raw_file(tmp_path: Path) -> None:
    path = records.write(tmp_path / "local", *make_run())
    record, raw = records.read(path), make_run()[1]
    moved = records.publish(path, tmp_path / "records", make_rules())
    assert moved == tmp_path / "records" / path.name
    assert (records.read(moved), records.read_raw(moved, record)) == (record, raw)
    assert names(tmp_path / "local") == []


def publish_alone(folder: Path, record: Record, with_raw: bool = True) -> None:
    path = records.write(folder / "local", record, make_raw() if with_raw else None)
    before = names(folder / "local")
    try:
        records.publish(path, folder / "records", make_rules())
    finally:
        assert names(folder / "local") == before
        assert not (folder / "records").exists()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (make_failed(), "got a run that failed"),
        (make_failed(status="interrupted"), "got a run that interrupted"),
        (make_record(isolation=make_isolation("landlock")), "expected isolation bwrap to publish, got landlock"),
        (make_record(isolation=make_isolation("process")), "got process; evaluate with --isolation bwrap"),
        (make_record(isolation=None), "got none"),
        (make_record(result=make_result(flags=("dirty",))), "dirty"),
    ],
    ids=["failed", "interrupted", "landlock", "process", "none", "dirty"],
)
def test_what_may_not_be_published_stays_where_it_is(tmp_path: Path, record: Record, said: str) -> None:
    with pytest.raises(DataError, match=said):
        publish_alone(tmp_path, record)


def test_a_record_without_its_raw_file_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="raw file"):
        publish_alone(tmp_path, make_record(), with_raw=False)


def test_a_weaker_demand_of_the_rules_is_met_by_a_stronger_level(tmp_path: Path) -> None:
    path = records.write(tmp_path / "local", *make_run())
    assert records.publish(path, tmp_path / "records", make_rules(isolation="process")).exists()


def test_publishing_that_was_cut_off_can_be_repeated(tmp_path: Path) -> None:
    path = records.write(tmp_path / "local", *make_run())
    (tmp_path / "records").mkdir()
    records.raw_path(tmp_path / "records" / path.name).write_bytes(records.raw_path(path).read_bytes())
    moved = records.publish(path, tmp_path / "records", make_rules())
    assert records.publish(moved, tmp_path / "records", make_rules()) == moved  # where it is already
    assert len(names(tmp_path / "records")) == 2


def test_publishing_never_overwrites(tmp_path: Path) -> None:
    path = records.write(tmp_path / "local", *make_run())
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / path.name).write_text("precious")
    with pytest.raises(MachineError, match="a file has this name"):
        records.publish(path, tmp_path / "records", make_rules())
    assert names(tmp_path / "records") == [path.name]
    assert len(names(tmp_path / "local")) == 2


# --- the generated files


def test_boards_are_written_once_and_again_only_when_they_change(tmp_path: Path) -> None:
    boards = rank.boards([make_record()], make_rules())
    written = records.write_boards(tmp_path, boards)
    assert sorted(path.suffix for path in written) == [".csv", ".json", ".md", ".md"]
    assert records.write_boards(tmp_path, boards) == []
    changed = rank.boards([make_record(), make_record("another")], make_rules())
    assert len(records.write_boards(tmp_path, changed)) == 4


def test_a_board_that_is_gone_is_removed_and_what_people_wrote_is_not(tmp_path: Path) -> None:
    (tmp_path / "trash").mkdir()
    (tmp_path / "records").mkdir()
    (tmp_path / "trash" / "notes.md").write_text("by hand")
    (tmp_path / "records" / "odd.md").write_text(f"{MARKER}\n")
    records.write_boards(tmp_path, rank.boards([make_record()], make_rules()))
    records.write_boards(tmp_path, ())
    assert names(tmp_path / "trash") == ["notes.md"]
    assert names(tmp_path / "records") == ["odd.md"]
    assert "No records are published yet" in (tmp_path / "README.md").read_text()


def test_a_readme_that_people_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("by hand")
    with pytest.raises(DataError, match="without its marker"):
        records.write_boards(tmp_path, rank.boards([make_record()], make_rules()))
    assert names(tmp_path) == ["README.md"]
