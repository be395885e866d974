"""A small parent for a worker that has no process namespace: nothing that the worker starts outlives it.

    python -I -B guard.py LIFELINE_FD COMMAND...

As a child subreaper it inherits every process that the worker leaves behind, whatever that did with setsid
or a double fork. When the judge closes the lifeline, on purpose or by dying, it freezes and then kills them
all (a kill loop alone loses against a fork bomb), and ends with the worker's status.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.sandbox.processes import kill_all

_PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> int:
    """Runs the command and returns the exit code of its first process, 128 + signal where one killed it."""
    lifeline, command = int(argv[1]), argv[2:]
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return 125
    worker = os.fork()
    if worker == 0:
        os.close(lifeline)
        os.setsid()
        os.execv(command[0], command)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the judge decides; the lifeline tells
    for name in os.listdir("/proc/self/fd"):  # the worker's channel and output must end with the worker
        if int(name) != lifeline:
            with contextlib.suppress(OSError):
                os.close(int(name))
    ended = os.pidfd_open(worker)
    ready, _, _ = select.select([ended, lifeline], [], [])
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) if ended in ready else -signal.SIGKILL
    kill_all(os.getpid())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv))
