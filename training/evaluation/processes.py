"""Work on several processes: a counter of its steps, and an end between two steps when Ctrl-C asks for one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Sequences
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any, Protocol

import cv2

from kp_ros.errors import Interrupted, UserError
from kp_ros.interruption import Interruption

#: Variables by which numerical libraries take their number of threads when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Progress(Protocol):
    """Shows how far the work is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` steps of a stage are done."""
        ...


class Ticker:
    """Counts a task's steps for the progress bar, and ends the task where the work shall end."""

    def __init__(self, counter: Synchronized[int], stop: Event) -> None:
        self._counter, self._stop = counter, stop
        self._own = 0

    def __call__(self) -> None:
        """Count one step; raises KeyboardInterrupt where the work shall end."""
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._own += 1
        self._add(1)

    def finish(self, steps: int) -> None:
        """Count what the cache spared."""
        self._add(steps - self._own)

    def _add(self, steps: int) -> None:
        with self._counter.get_lock():
            self._counter.value += steps


@dataclass(frozen=True)
class Task:
    """A piece of work for a process.

    :ivar work: can be pickled; gets the ticker, and calls it once a step.
    :ivar steps: how many there are; what the cache spares is counted at the end.
    """

    work: Callable[[Ticker], Any]
    steps: int


class Pool:
    """Processes, the counter of their steps, and the word to stop."""

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._counter = context.Value("q", 0)
        self._stop = context.Event()
        arguments = (self._counter, self._stop)
        self._executor = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=arguments)

    def run(self, stage: str, tasks: Sequences[Task], progress: Progress) -> list[Any]:
        """Run tasks, and give their results in the tasks' order."""
        total = sum(task.steps for task in tasks)
        self._counter.value = 0
        with Interruption() as interruption:
            futures = [self._executor.submit(_work, task) for task in tasks]
            try:
                waiting: set[Future[Any]] = set(futures)
                while waiting:
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                    progress(stage, min(self._counter.value, total), total)
                    if interruption.requested:
                        raise KeyboardInterrupt
                    for future in done:
                        future.result()
            except (KeyboardInterrupt, BrokenProcessPool) as error:
                self._end(futures)
                if isinstance(error, BrokenProcessPool) and not interruption.requested:
                    raise UserError(
                        "a process of the evaluation was killed, most likely for lack of memory; run it with "
                        "--processes 1, what was computed is kept"
                    ) from error
                raise Interrupted("what was computed is kept, the same command goes on from there") from None
            except BaseException:
                self._end(futures)
                raise
            return [future.result() for future in futures]

    def _end(self, futures: Sequences[Future[Any]]) -> None:
        self._stop.set()
        for future in futures:
            future.cancel()

    def close(self) -> None:
        """Wait until every process has ended its frame, and end it."""
        self._executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_pool(processes: int) -> Iterator[Pool]:
    """A pool whose processes compute on one thread each."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    # Processes are the parallelism here: threads of their own would wait for each other.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    pool = Pool(processes)
    try:
        yield pool
    finally:
        pool.close()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_process: tuple[Synchronized[int], Event] | None = None


def _begin(counter: Synchronized[int], stop: Event) -> None:
    """Set up a process: Ctrl-C goes to all of them, and the first one tells the others when to end."""
    global _process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _process = (counter, stop)


def _work(task: Task) -> Any:
    assert _process is not None
    ticker = Ticker(*_process)
    value = task.work(ticker)
    ticker.finish(task.steps)
    return value
