"""Record files on disks that refuse, beside rivals, under kills."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import records
from harness.derive import derive
from harness.errors import MachineError
from harness.report import rank
from tests.builders import (
    make_rules,
    make_run,
)
from tests.conftest import ROOT, in_subprocess, names

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
