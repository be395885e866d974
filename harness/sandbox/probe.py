"""Tries from inside what a confined process must not be able to do, and prints what it could, as JSON.

    python -I -S -B probe.py CONFINEMENT SECRET_FILE JUDGE_PID

Runs in a sandbox level before that level is used for anything: a level is what it does, not its name.
"""

import json
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.sandbox.confine import Confinement, confine


def reads(path: str) -> bool:
    """Whether a file outside can be opened."""
    try:
        with open(path, "rb"):
            return True
    except OSError:
        return False


def connects() -> bool:
    """Whether an internet socket can be had."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def signals(pid: int) -> bool:
    """Whether the judge's process can be signalled."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def main(argv: list[str]) -> None:
    """Confines itself, tries, prints."""
    confine(Confinement.load(argv[1]))
    print(json.dumps({"reads": reads(argv[2]), "connects": connects(), "signals": signals(int(argv[3]))}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv)
