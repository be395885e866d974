"""A real Ctrl-C, and a kill, in the middle of a preparation."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.data.folder import PrepareSettings, prepare_folder
from tests.data.conftest import REPO, silent

SCRIPT = """
import sys, time
from pathlib import Path
from harness.data.folder import PrepareSettings, prepare_folder
def progress(done, total):
    if done == 5:
        print("half way", flush=True)
        time.sleep(60)
prepare_folder(Path(sys.argv[1]), Path(sys.argv[2]), "s", PrepareSettings(), progress)
"""


def start(source, target):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, source, target],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half way\n"
    return process


def wait_until_the_group_is_gone(group):
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    raise AssertionError("processes were left")


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the process", "to its group, as a terminal does"])
def test_ctrl_c_leaves_no_file_and_no_process(photos, tmp_path, send):
    process = start(photos(a=20, b=20), tmp_path / "data" / "s")
    assert (tmp_path / "data" / ".s.partial" / "spool").exists()
    send(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.count("KeyboardInterrupt") == 1  # the workers say nothing
    assert not list((tmp_path / "data").iterdir())
    wait_until_the_group_is_gone(process.pid)


def test_a_killed_preparation_leaves_no_process_and_the_next_one_clears_its_folder(photos, tmp_path):
    source, target = photos(a=20, b=20), tmp_path / "data" / "s"
    process = start(source, target)
    process.kill()
    process.communicate(timeout=20)
    wait_until_the_group_is_gone(process.pid)
    assert not target.exists()
    prepare_folder(source, target, "s", PrepareSettings(), silent)
    assert [path.name for path in target.parent.iterdir()] == ["s"]
