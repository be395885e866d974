"""Record files on real disks: faults, rivals, kills. Nothing half-written is ever read as a record."""

import errno
import gzip
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from harness import records
from harness.derive import derive
from harness.errors import DataError, MachineError
from harness.record import Failure, Record, encode
from harness.report import rank
from harness.report.files import MARKER
from tests.builders import (
    make_failed,
    make_isolation,
    make_package,
    make_raw,
    make_record,
    make_result,
    make_rules,
    make_run,
)

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


# --- disks that refuse


def test_a_file_in_the_folders_place_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "local").write_text("a file")
    for call in (
        lambda: records.check_writable(tmp_path / "local"),
        lambda: records.check_writable(tmp_path / "local" / "below"),
        lambda: records.write(tmp_path / "local", *make_run()),
        lambda: records.read_all(tmp_path / "local"),
    ):
        with pytest.raises(MachineError, match=r"local.*: cannot (write|read): .*; .*move it away") as caught:
            call()
        assert "\n" not in caught.value.message


def test_a_folder_is_made_and_left_empty_by_the_check(tmp_path: Path) -> None:
    records.check_writable(tmp_path / "leaderboard" / "local")
    assert names(tmp_path / "leaderboard" / "local") == []


def in_subprocess(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


LIMITED = """
import resource, sys
from pathlib import Path
from harness import records
from harness.errors import MachineError
from tests.builders import make_run
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
run = make_run()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for call in (lambda: records.check_writable(folder), lambda: records.write(folder, *run)):
    try:
        call()
    except MachineError as error:
        print(error.message)
"""


@pytest.mark.parametrize("which", ["nothing", "the raw file alone"])
def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path: Path, which: str) -> None:
    path = records.write(tmp_path / "whole", *make_run())
    raw_bytes, record_bytes = records.raw_path(path).stat().st_size, path.stat().st_size
    assert raw_bytes < record_bytes - 1, "the limit must lie between"
    done = in_subprocess(LIMITED, tmp_path / "full", 100 if which == "nothing" else record_bytes - 1)
    assert done.stderr == ""
    assert done.stdout.count("cannot write: File too large; raise the limit on file sizes") == 2
    assert records.read_all(tmp_path / "full") == ((), ())
    assert names(tmp_path / "full") == []


FORBIDDEN = """
import os, sys
from pathlib import Path
from harness import records
from harness.errors import MachineError
folder = Path(sys.argv[1])
folder.chmod(0o555)
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    records.check_writable(folder)
except MachineError as error:
    print(error.message)
"""


def test_a_folder_without_the_right_to_write_is_named(tmp_path: Path) -> None:
    done = in_subprocess(FORBIDDEN, tmp_path)
    assert done.stderr == ""
    assert "Permission denied; give yourself the right to write there" in done.stdout
    assert str(tmp_path) in done.stdout


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "read-only file system"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "another"),
    ],
)
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_write_that_fails_at_any_sync_leaves_nothing_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str, call: int
) -> None:
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)  # in turn: raw file, its folder, record, its folder
    with pytest.raises(MachineError, match=advice):
        records.write(tmp_path, *make_run())
    left = names(tmp_path)
    assert not any(name.endswith(".tmp") for name in left)
    if call < 4:  # after the record has its name it is whole
        assert records.read_all(tmp_path) == ((), ())
        assert call == 2 or left == []
    monkeypatch.undo()
    path = records.write(tmp_path, *make_run())  # and it can be repeated
    assert records.read_raw(path, records.read(path)) == make_run()[1]


def test_a_file_system_without_hard_links_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: object, target: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = records.write(tmp_path, *make_run())
    assert records.write(tmp_path, *make_run()) == path
    assert names(tmp_path) == [path.name, records.raw_path(path).name]
    assert records.read_raw(path, records.read(path)) == make_run()[1]


def test_a_record_never_overwrites_another_file(tmp_path: Path) -> None:
    path = records.write(tmp_path, *make_run())
    path.write_text("precious")
    with pytest.raises(MachineError, match="a file has this name"):
        records.write(tmp_path, *make_run())
    assert path.read_text() == "precious"
    records.raw_path(path).write_text("precious too")
    with pytest.raises(MachineError, match="a file has this name"):
        records.write(tmp_path, *make_run())
    assert records.raw_path(path).read_text() == "precious too"


# --- rivals and kills


def test_many_writers_of_one_folder_lose_nothing(tmp_path: Path) -> None:
    runs = [make_run(f"entry{i % 8}", seed=i % 8) for i in range(32)]  # each record four times
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda run: records.write(tmp_path, *run), runs))
    found, problems = records.read_all(tmp_path)
    assert (len(paths), len(found), problems) == (8, 8, ())
    assert len(names(tmp_path)) == 16


ENDLESS = """
import sys
from pathlib import Path
from harness import records
from tests.builders import make_raw, make_run
raw = make_raw(passes=8, crops=600)
for seed in range(1_000_000):
    records.write(Path(sys.argv[1]), *make_run(raw=raw, seed=seed))
"""


@pytest.mark.parametrize("delay_s", [0.01, 0.03, 0.07])
def test_a_writer_that_is_killed_leaves_whole_records_alone(tmp_path: Path, delay_s: float) -> None:
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while not any(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(delay_s)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    found, problems = records.read_all(tmp_path)
    assert problems == ()
    for record in found:
        path = next(tmp_path.glob(f"*-{record.digest[:8]}.json"))
        assert derive(records.read_raw(path, record), make_rules()) == record.result
    assert sum(row.runs for board in rank.boards(found, make_rules()) for row in board.rows) == len(found)


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


def test_a_readers_import_is_cheap() -> None:
    code = "import sys, harness.records, harness.report.rank, harness.report.formats; print(*sys.modules)"
    loaded = set(in_subprocess(code).stdout.split())
    assert "harness.records" in loaded
    assert not loaded & {"torch", "sklearn", "scipy.stats", "torchvision", "rich"}


def test_records_are_readable_json() -> None:
    assert encode(make_record()).startswith(b'{\n "schema": 1,\n')
