"""All subjects on all data, on several processes; Ctrl-C ends it between two frames and keeps what was computed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Sequences
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Protocol

import cv2

from kp_ros.errors import Interrupted, UserError
from kp_ros.interruption import Interruption
from training.data.sequence import Sequence
from training.evaluation.cache import Cache, digest, source_digest
from training.evaluation.extraction import Extractor, sequence_digest
from training.evaluation.linking import FlowLinker, KeypointLinker, Linker
from training.evaluation.pair_judgement import PairSetResult, judge_pairs
from training.evaluation.pair_sets import ImagePair, PairProtocol, PairSet
from training.evaluation.sequence_judgement import SequenceOptions, SequenceResult, judge_sequence
from training.evaluation.subjects import Kind, Subject
from training.evaluation.timing import Timing, time_subject

#: Pairs that one task judges: small enough that all processes have work to the end.
PAIRS_A_TASK = 60
#: Variables by which numerical libraries take their number of threads when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class RunOptions:
    """How everything is judged.

    :ivar sequences: see there.
    :ivar cache: folder of what is kept between runs.
    :ivar processes: that work at a time.
    :ivar timed_frames: frames that each subject is timed on; 0: no timing.
    """

    sequences: SequenceOptions
    cache: Path
    processes: int = 2
    timed_frames: int = 30


@dataclass
class Results:
    """What was judged.

    :ivar sequences: (subject, sequence) -> result.
    :ivar pair_sets: (subject, set) -> result; of subjects with descriptors only.
    :ivar timings: subject -> time a frame; empty without sequences.
    """

    sequences: dict[tuple[str, str], SequenceResult] = field(default_factory=dict)
    pair_sets: dict[tuple[str, str], PairSetResult] = field(default_factory=dict)
    timings: dict[str, Timing] = field(default_factory=dict)


class Progress(Protocol):
    """Shows how far the work is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` steps of a stage are done."""
        ...


def run(
    subjects: Sequences[Subject],
    sequences: Sequences[Sequence],
    pair_sets: Sequences[PairSet],
    options: RunOptions,
    progress: Progress,
) -> Results:
    """Judge all subjects on all data.

    :raises kp_ros.errors.Interrupted: Ctrl-C; what was computed is kept, and the same call goes on from there.
    """
    results = Results()
    cache = Cache(options.cache)
    if sequences and options.timed_frames:
        for done, subject in enumerate(subjects):
            progress("time a frame", done, len(subjects))
            results.timings[subject.name] = time_subject(subject, sequences[0], options.timed_frames, cache)
        progress("time a frame", len(subjects), len(subjects))
    with _pool(options.processes) as pool:
        contents = pool.run("read the data", [partial(_digest_task, item) for item in sequences], progress)
        tasks: list[Callable[[_Ticker], Any]] = []
        targets: list[tuple[str, str, bool]] = []
        # The longest sequences first: the last task to end is then a short one.
        for sequence, content in sorted(zip(sequences, contents, strict=True), key=lambda item: -len(item[0])):
            for subject in subjects:
                tasks.append(partial(_sequence_task, subject, sequence, content, options))
                targets.append((subject.name, sequence.name, True))
        for pair_set in pair_sets:
            for subject in (subject for subject in subjects if subject.kind is Kind.DESCRIPTORS):
                for start in range(0, len(pair_set.pairs), PAIRS_A_TASK):
                    pairs = pair_set.pairs[start : start + PAIRS_A_TASK]
                    tasks.append(partial(_pairs_task, subject, pairs, pair_set.protocol, options))
                    targets.append((subject.name, pair_set.name, False))
        for (subject_name, data, is_sequence), value in zip(targets, pool.run("judge", tasks, progress), strict=True):
            if is_sequence:
                results.sequences[subject_name, data] = SequenceResult.from_json(value)
            else:
                parts = results.pair_sets.setdefault((subject_name, data), PairSetResult([]))
                parts.pairs.extend(PairSetResult.from_json(value).pairs)
    return results


class _Ticker:
    """Counts a task's steps for the progress bar, and ends the task where the work shall end."""

    def __init__(self, counter: Synchronized[int], stop: Event) -> None:
        self._counter, self._stop = counter, stop
        self._own = 0

    def __call__(self) -> None:
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


def _digest_task(sequence: Sequence, ticker: _Ticker) -> str:
    return sequence_digest(sequence)


def _sequence_task(
    subject: Subject, sequence: Sequence, content: str, options: RunOptions, ticker: _Ticker
) -> dict[str, Any]:
    cache = Cache(options.cache)
    key = digest("sequence", subject.digest, content, options.sequences, _code())

    def judge() -> dict[str, Any]:
        extractor = Extractor(subject, cache)
        try:
            linker: Linker
            if subject.kind is Kind.FLOW:
                linker = FlowLinker(sequence, subject.max_keypoints)
            else:
                linker = KeypointLinker(extractor.sequence(sequence, content, ticker))
            return judge_sequence(sequence, linker, options.sequences, ticker).to_json()
        finally:
            extractor.close()

    result: dict[str, Any] = cache.json(key, judge)
    ticker.finish(_sequence_steps(sequence, options))
    return result


def _sequence_steps(sequence: Sequence, options: RunOptions) -> int:
    return len(sequence) + (len(sequence) - 1) * options.sequences.seeds


def _pairs_task(
    subject: Subject, pairs: tuple[ImagePair, ...], protocol: PairProtocol, options: RunOptions, ticker: _Ticker
) -> dict[str, Any]:
    cache = Cache(options.cache)
    subject = subject.with_budget(protocol.max_keypoints)
    seeds = options.sequences.seeds
    content = [pair_digest(pair) for pair in pairs]
    key = digest("pairs", subject.digest, *content, protocol, seeds, _code())

    def judge() -> dict[str, Any]:
        extractor = Extractor(subject, cache)
        try:
            return judge_pairs(pairs, protocol, extractor, seeds, ticker).to_json()
        finally:
            extractor.close()

    result: dict[str, Any] = cache.json(key, judge)
    ticker.finish(len(pairs))
    return result


def pair_digest(pair: ImagePair) -> str:
    """Hash of a pair's images and truth."""
    known = [pair.homography, pair.pose, *(pair.intrinsics or ()), pair.intrinsics_size]
    return digest(pair.name, pair.group, pair.first.read_bytes(), pair.second.read_bytes(), *known)


def _code() -> str:
    """Hash of the code that judges."""
    return source_digest(*Path(__file__).parent.glob("*.py"))


class _Pool:
    """Processes, the counter of their steps, and the word to stop."""

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._counter = context.Value("q", 0)
        self._stop = context.Event()
        arguments = (self._counter, self._stop)
        self._executor = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=arguments)

    def run(self, stage: str, tasks: Sequences[Callable[[_Ticker], Any]], progress: Progress) -> list[Any]:
        """Run tasks, and give their results in the tasks' order."""
        total = sum(_steps(task) for task in tasks)
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
                raise Interrupted(
                    "interrupted; what was computed is kept, the same command goes on from there"
                ) from None
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
def _pool(processes: int) -> Iterator[_Pool]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    # Processes are the parallelism here: threads of their own would wait for each other.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    pool = _Pool(processes)
    try:
        yield pool
    finally:
        pool.close()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _steps(task: Callable[[_Ticker], Any]) -> int:
    assert isinstance(task, partial)
    if task.func is _sequence_task:
        return _sequence_steps(task.args[1], task.args[3])
    return len(task.args[1]) if task.func is _pairs_task else 1


_process: tuple[Synchronized[int], Event] | None = None


def _begin(counter: Synchronized[int], stop: Event) -> None:
    """Set up a process: Ctrl-C goes to all of them, and the first one tells the others when to end."""
    global _process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _process = (counter, stop)


def _work(task: Callable[[_Ticker], Any]) -> Any:
    assert _process is not None
    ticker = _Ticker(*_process)
    value = task(ticker)
    if isinstance(task, partial) and task.func is _digest_task:
        ticker.finish(1)
    return value
