"""A lock that one process holds: never two, however they come and go, and gone with its holder."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.atomic import claimed
from harness.errors import MachineError
from tests.conftest import ROOT, claimed_elsewhere

# Holds the lock as often as it can for a second; the counter beside it would show two holders at once.
GREEDY = """
import sys, time
from pathlib import Path
from harness.atomic import claimed
from harness.errors import MachineError

lock, inside, held, end = Path(sys.argv[1]), Path(sys.argv[2]), 0, time.monotonic() + 1
while time.monotonic() < end:
    try:
        with claimed(lock, "busy"):
            inside.mkdir()  # raises where another one is inside
            inside.rmdir()
            held += 1
    except MachineError as error:
        assert error.kind == "busy", error
print(held)
"""


def test_never_two_hold_a_lock_whose_folder_comes_and_goes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", GREEDY, str(tmp_path / "a" / "b" / ".lock"), str(tmp_path / "inside")]
    (tmp_path / "stays").touch()
    all_of_them = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=30)[0] for process in all_of_them]
    assert [process.returncode for process in all_of_them] == [0, 0, 0]
    assert sum(map(int, said)) > 10
    assert not (tmp_path / "a").exists()


def test_a_lock_ends_with_its_holder_and_another_takes_the_file(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / ".lock"
    with (
        claimed_elsewhere(lock),
        pytest.raises(MachineError, match=r"^somebody does it; wait for it or stop it$") as error,
        claimed(lock, "somebody does it"),
    ):
        pass
    assert error.value.kind == "busy"
    assert lock.exists()  # its holder was killed
    with claimed(lock, ""):
        assert lock.exists()
    assert not lock.parent.exists()


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    with (
        pytest.raises(MachineError, match="a file has this name") as error,
        claimed(tmp_path / "folder/x", ""),
    ):
        pass
    assert error.value.kind == "disk"
