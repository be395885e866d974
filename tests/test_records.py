"""Record files on real disks: faults, rivals, kills. Nothing half-written is ever read as a record."""

import gzip
import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from harness import records
from harness.decisions import Decision
from harness.derive import derive
from harness.errors import DataError
from harness.record import Failure, encode
from tests.builders import (
    make_failed,
    make_package,
    make_raw,
    make_record,
    make_result,
    make_rules,
    make_run,
)
from tests.conftest import in_subprocess, names

# --- writing and reading


def test_a_record_and_its_raw_file_are_read_back_as_they_were(tmp_path: Path) -> None:
    record, raw = make_run()
    path = records.write(tmp_path / "new" / "folder", record, raw)
    read = records.read(path)
    assert msgspec.structs.replace(read, digest="", raw_sha256=None) == msgspec.structs.replace(record, digest="")
    assert records.read_raw(path, read) == raw
    assert derive(raw, make_rules()) == read.result


def test_the_files_are_named_by_time_submission_and_digest(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    record = records.read(path)
    assert path.name == f"20261124T084532Z-mbv3_cut-{record.digest[:8]}.json"
    assert names(tmp_path) == [path.name, records.raw_path(path).name]


def test_the_raw_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    assert stat.S_IMODE(records.raw_path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_same_run_gives_the_same_bytes_and_is_written_once(tmp_path: Path) -> None:
    first, again = (records.write(tmp_path / name, *make_run()) for name in ("a", "b"))
    assert first.name == again.name
    assert records.raw_path(first).read_bytes() == records.raw_path(again).read_bytes()
    assert records.write(tmp_path / "a", *make_run()) == first
    assert len(names(tmp_path / "a")) == 2


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", ".hidden", "ab\x00c", "模型", "-rf", "x" * 10_000, "a\nb", "<script>"]
)
def test_no_name_of_a_submission_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inside"
    path = records.write(folder, make_failed(submission=make_package(name)), None)
    assert path.parent == folder
    assert names(tmp_path) == ["inside"]
    assert path.name.isascii()
    assert len(path.name) < 100
    assert records.read_all(folder)[0][0].submission.name == name


def test_a_failed_run_is_written_without_a_raw_file(tmp_path: Path) -> None:
    path = records.write(tmp_path, make_failed(), None)
    assert names(tmp_path) == [path.name]
    with pytest.raises(DataError, match="got one without"):
        records.read_raw(path, records.read(path))


def test_a_failed_submissions_output_lies_beside_its_record(tmp_path: Path) -> None:
    record = records.with_log(tmp_path, make_failed(), "Traceback\nValueError: \ud800 no\n")
    assert isinstance(record.failure, Failure)
    assert (tmp_path / str(record.failure.log)).read_text() == "Traceback\nValueError: ? no\n"
    records.write(tmp_path, record, None)
    assert records.read_all(tmp_path) == ((records.read(next(tmp_path.glob("*.json"))),), ())


def test_a_result_with_a_nan_is_never_written(tmp_path: Path) -> None:
    broken = make_record(result=make_result(submission_floor_us=float("nan")))
    with pytest.raises(DataError, match="submission_floor_us"):
        records.write(tmp_path, broken, None)
    assert names(tmp_path) == []


def test_a_time_that_is_not_utc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="created_utc: expected a time like"):
        records.write(tmp_path, make_failed(created_utc="yesterday"), None)


# --- damaged and foreign files


def test_a_record_with_a_changed_digit_is_refused(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    path.write_bytes(path.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    with pytest.raises(DataError, match="changed after the run"):
        records.read(path)


def test_a_raw_file_with_a_changed_time_is_refused(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    faster = make_raw(ratio=0.5)
    records.raw_path(path).write_bytes(gzip.compress(msgspec.json.encode(faster), mtime=0))
    with pytest.raises(DataError, match="expected the sha256 that its record names"):
        records.read_raw(path, records.read(path))


def test_a_missing_raw_file_is_named(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    records.raw_path(path).unlink()
    with pytest.raises(DataError, match=r"raw\.json\.gz: expected a file, got none"):
        records.read_raw(path, records.read(path))


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"{}"), gzip.compress(b'"x"')[:-6]], ids=["foreign", "empty", "torn"]
)
def test_a_raw_file_that_is_none_is_refused_even_with_its_sha256(tmp_path: Path, body: bytes) -> None:
    path = records.write(tmp_path, *make_run())
    records.raw_path(path).write_bytes(body)
    record = msgspec.structs.replace(records.read(path), raw_sha256=hashlib.sha256(body).hexdigest())
    with pytest.raises(DataError, match="expected a raw file"):
        records.read_raw(path, record)


def test_a_raw_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_RAW_LIMIT", 1 << 20)
    path = records.write(tmp_path, *make_run())
    body = gzip.compress(bytes(64 << 20))
    records.raw_path(path).write_bytes(body)
    record = msgspec.structs.replace(records.read(path), raw_sha256=hashlib.sha256(body).hexdigest())
    with pytest.raises(DataError, match="at most 1 MiB unpacked"):
        records.read_raw(path, record)


def test_torn_changed_and_foreign_files_are_named_and_skipped(tmp_path: Path) -> None:
    good = records.write(tmp_path, *make_run())
    (tmp_path / "torn.json").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "changed.json").write_bytes(good.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    (tmp_path / "foreign.json").write_text('{"name": "package.json"}')
    (tmp_path / "empty.json").touch()
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / ".writing.tmp").write_bytes(good.read_bytes())
    found, problems = records.read_all(tmp_path)
    assert found == (records.read(good),)
    assert len(problems) == 7
    for name in ("torn", "changed", "foreign", "empty", "folder", "gone", "pipe"):
        assert sum(f"{name}.json" in problem for problem in problems) == 1
    assert all("\n" not in problem for problem in problems)


def test_a_file_larger_than_any_record_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert "at most 16 MiB" in records.read_all(tmp_path)[1][0]


def test_records_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for second in (5, 1, 3):
        records.write(tmp_path, make_failed(created_utc=f"2026-11-24T08:45:0{second}Z"), None)
    assert [r.created_utc[-3:] for r in records.read_all(tmp_path)[0]] == ["01Z", "03Z", "05Z"]


def test_a_folder_that_is_not_there_has_no_records(tmp_path: Path) -> None:
    assert records.read_all(tmp_path / "none") == ((), ())


def test_a_readers_import_is_cheap() -> None:
    code = "import sys, harness.records, harness.report.rank, harness.report.formats; print(*sys.modules)"
    loaded = set(in_subprocess(code).stdout.split())
    assert "harness.records" in loaded
    assert not loaded & {"torch", "sklearn", "scipy.stats", "torchvision", "rich"}


def test_records_are_readable_json() -> None:
    assert encode(make_record()).startswith(b'{\n "schema": 2,\n')


def test_two_organisers_who_decide_at_once_both_decide(tmp_path: Path) -> None:
    made = [Decision("withdraw", "2026-11-24T08:00:00Z", f"{number:064}", "x") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda decision: records.decide(tmp_path, decision), made))
    assert sorted(its.of for its in records.read_decisions(tmp_path)) == [its.of for its in made]
