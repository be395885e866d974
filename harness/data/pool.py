"""One piece of work a photo, on all cores: a process a core, none left however it ends."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import TypeVar

from threadpoolctl import threadpool_limits

from harness.errors import MachineError

Job = TypeVar("Job")
Result = TypeVar("Result")


def on_all_cores(work: Callable[[Job], Result], jobs: Sequence[Job]) -> Generator[Result, None, None]:
    """`work(job)` of each job, in order; few results are held at once. Work, jobs and results are pickled.

    However the iteration ends, no process is left. Raises MachineError where one was killed.
    """
    cores = max(1, min(len(os.sched_getaffinity(0)), len(jobs)))
    # spawn: the caller may have threads (a progress bar), and a fork of those may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_start)
    waiting: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            with _interrupts_held():
                waiting.append(pool.submit(work, job))
            if len(waiting) >= 8 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MachineError("a process that worked on photos was killed; free some memory and prepare again") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back in this thread; processes started meanwhile never see it (a mask is inherited)."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    """One thread a process, for there is a process a core: numpy's threads in each made rendering five times slower.

    And it ends when its parent does, even one that was killed.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # for libraries that the first job loads
    threadpool_limits(1)  # for those that are loaded
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
