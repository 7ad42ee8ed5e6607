"""All subjects on all data that may judge them, on several processes."""

from __future__ import annotations

from collections.abc import Sequence as Sequences
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.data.guard import Fingerprints
from training.data.sequence import DatasetError, Sequence
from training.evaluation.cache import Cache, digest, source_digest
from training.evaluation.extraction import Extractor, sequence_digest
from training.evaluation.held_back import held_back, held_back_pairs, seen_frames, seen_pair, training_frames
from training.evaluation.linking import FlowLinker, KeypointLinker, Linker
from training.evaluation.pair_judgement import PairSetResult, judge_pairs
from training.evaluation.pair_sets import ImagePair, PairProtocol, PairSet
from training.evaluation.processes import Pool, Progress, Task, Ticker, open_pool
from training.evaluation.sequence_judgement import SequenceOptions, SequenceResult, judge_sequence
from training.evaluation.subjects import Kind, Subject
from training.evaluation.timing import Timing, time_subject

#: Pairs that one task judges: small enough that all processes have work to the end.
PAIRS_A_TASK = 60
#: Modules of this folder that can change without changing a judgement.
NOT_JUDGING = ("cache", "discovery", "evaluate", "held_back", "processes", "running", "summary", "timing")


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


@dataclass(frozen=True, eq=False)
class Content:
    """A sequence, or what was held back of it, and the hash of what is in it."""

    sequence: Sequence
    digest: str


@dataclass
class Results:
    """What was judged.

    :ivar contents: the sequences, without frames that trained a model.
    :ivar sets: the pair sets, likewise.
    :ivar notes: what was left out, and why.
    :ivar sequences: (subject, sequence) -> result.
    :ivar pair_sets: (subject, set) -> result; of subjects with descriptors only.
    :ivar timings: subject -> time a frame; empty without sequences.
    """

    contents: list[Content] = field(default_factory=list)
    sets: list[PairSet] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sequences: dict[tuple[str, str], SequenceResult] = field(default_factory=dict)
    pair_sets: dict[tuple[str, str], PairSetResult] = field(default_factory=dict)
    timings: dict[str, Timing] = field(default_factory=dict)


def run(
    subjects: Sequences[Subject],
    sequences: Sequences[Sequence],
    pair_sets: Sequences[PairSet],
    options: RunOptions,
    progress: Progress,
) -> Results:
    """Judge all subjects on all data that trained none of them.

    :raises kp_ros.errors.Interrupted: Ctrl-C; what was computed is kept, and the same call goes on from there.
    :raises DatasetError: nothing is left to judge them by.
    """
    results = Results()
    cache = Cache(options.cache)
    trained, results.notes = training_frames(subjects)
    if sequences and options.timed_frames:
        for done, subject in enumerate(subjects):
            progress("time a frame", done, len(subjects))
            results.timings[subject.name] = time_subject(subject, sequences[0], options.timed_frames, cache)
        progress("time a frame", len(subjects), len(subjects))
    with open_pool(options.processes) as pool:
        reading = [Task(partial(_digest_task, sequence), 1) for sequence in sequences]
        digests = pool.run("read the data", reading, progress)
        contents = [Content(*pair) for pair in zip(sequences, digests, strict=True)]
        _hold_back(results, contents, pair_sets, trained, pool, options, progress)
        if not results.contents and not results.sets:
            raise DatasetError(f"no frame is left to judge by: {'; '.join(results.notes)}")
        _judge(results, subjects, pool, options, progress)
    return results


def _hold_back(
    results: Results,
    contents: Sequences[Content],
    pair_sets: Sequences[PairSet],
    trained: dict[str, Fingerprints],
    pool: Pool,
    options: RunOptions,
    progress: Progress,
) -> None:
    """Take out what trained a model; all are judged by the same frames, whichever of them it trained."""
    tasks = [
        Task(partial(_seen_task, content, fingerprints, options.cache), 1)
        for content in contents
        for fingerprints in trained.values()
    ] + [
        Task(partial(_seen_pairs_task, pair_set, fingerprints, options.cache), 1)
        for pair_set in pair_sets
        for fingerprints in trained.values()
    ]
    answers = iter(pool.run("look for training frames", tasks, progress) if tasks else [])
    for content in contents:
        seen, models = _any_model(len(content.sequence), {model: next(answers) for model in trained})
        sequence, note = held_back(content.sequence, seen, models)
        results.notes += [note] if note else []
        if sequence is content.sequence:
            results.contents.append(content)
        elif sequence is not None:
            results.contents.append(Content(sequence, digest(content.digest, *sequence.frame_names)))
    for pair_set in pair_sets:
        seen, models = _any_model(len(pair_set.pairs), {model: next(answers) for model in trained})
        rest, note = held_back_pairs(pair_set, seen, models)
        results.notes += [note] if note else []
        results.sets += [rest] if rest is not None else []


def _any_model(count: int, answers: dict[str, list[bool]]) -> tuple[Any, str]:
    """Which of ``count`` things trained any model, bool [count], and the names of those models."""
    seen = np.zeros(count, np.bool_)
    for answer in answers.values():
        seen |= np.array(answer, np.bool_)
    return seen, ", ".join(Path(model).stem for model, answer in answers.items() if any(answer))


def _judge(results: Results, subjects: Sequences[Subject], pool: Pool, options: RunOptions, progress: Progress) -> None:
    tasks: list[Task] = []
    targets: list[tuple[str, str, bool]] = []
    # The longest sequences first: the last task to end is then a short one.
    for content in sorted(results.contents, key=lambda item: -len(item.sequence)):
        count = len(content.sequence)
        for subject in subjects:
            steps = count + (count - 1) * options.sequences.seeds
            tasks.append(Task(partial(_sequence_task, subject, content, options), steps))
            targets.append((subject.name, content.sequence.name, True))
    for pair_set in results.sets:
        for subject in (subject for subject in subjects if subject.kind is Kind.DESCRIPTORS):
            for start in range(0, len(pair_set.pairs), PAIRS_A_TASK):
                pairs = pair_set.pairs[start : start + PAIRS_A_TASK]
                tasks.append(Task(partial(_pairs_task, subject, pairs, pair_set.protocol, options), len(pairs)))
                targets.append((subject.name, pair_set.name, False))
    for (subject_name, data, is_sequence), value in zip(targets, pool.run("judge", tasks, progress), strict=True):
        if is_sequence:
            results.sequences[subject_name, data] = SequenceResult.from_json(value)
        else:
            parts = results.pair_sets.setdefault((subject_name, data), PairSetResult([]))
            parts.pairs.extend(PairSetResult.from_json(value).pairs)


def _digest_task(sequence: Sequence, ticker: Ticker) -> str:
    return sequence_digest(sequence)


def _seen_task(content: Content, trained: Fingerprints, cache: Path, ticker: Ticker) -> list[bool]:
    sequence = content.sequence

    def look() -> list[bool]:
        answer: list[bool] = seen_frames((sequence.image(index) for index in range(len(sequence))), trained).tolist()
        return answer

    found: list[bool] = Cache(cache).json(digest("seen", trained.digest, content.digest), look)
    return found


def _seen_pairs_task(pair_set: PairSet, trained: Fingerprints, cache: Path, ticker: Ticker) -> list[bool]:
    found = []
    for pair in pair_set.pairs:
        key = digest("seen", trained.digest, pair.first.read_bytes(), pair.second.read_bytes())
        found.append(bool(Cache(cache).json(key, partial(seen_pair, pair, trained))))
    return found


def _sequence_task(subject: Subject, content: Content, options: RunOptions, ticker: Ticker) -> dict[str, Any]:
    cache, sequence = Cache(options.cache), content.sequence
    key = digest("sequence", subject.digest, content.digest, options.sequences, _code())

    def judge() -> dict[str, Any]:
        extractor = Extractor(subject, cache)
        try:
            linker: Linker
            if subject.kind is Kind.FLOW:
                linker = FlowLinker(sequence, subject.max_keypoints)
            else:
                linker = KeypointLinker(extractor.sequence(sequence, content.digest, ticker))
            return judge_sequence(sequence, linker, options.sequences, ticker).to_json()
        finally:
            extractor.close()

    result: dict[str, Any] = cache.json(key, judge)
    return result


def _pairs_task(
    subject: Subject, pairs: tuple[ImagePair, ...], protocol: PairProtocol, options: RunOptions, ticker: Ticker
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
    return result


def pair_digest(pair: ImagePair) -> str:
    """Hash of a pair's images and truth."""
    known = [pair.homography, pair.pose, *(pair.intrinsics or ()), pair.intrinsics_size]
    return digest(pair.name, pair.group, pair.first.read_bytes(), pair.second.read_bytes(), *known)


def _code() -> str:
    """Hash of the code that judges."""
    return source_digest(*(file for file in Path(__file__).parent.glob("*.py") if file.stem not in NOT_JUDGING))
