"""No model is judged by frames that trained it: of every sequence only what was held back is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.detectors.model_file import find_model, read_model
from training.data.guard import TOLERANCE, Fingerprints, fingerprint, model_fingerprints
from training.data.sequence import DatasetError, Image, Sequence
from training.evaluation.discovery import FEWEST_FRAMES
from training.evaluation.pair_sets import ImagePair, PairSet
from training.evaluation.subjects import Subject


def training_frames(subjects: Iterable[Subject]) -> tuple[dict[str, Fingerprints], list[str]]:
    """What trained each learned model, by its path, and a note on each that does not tell.

    :raises DatasetError: what should lie beside a model is missing or another model's.
    """
    known: dict[str, Fingerprints] = {}
    notes = []
    for model in dict.fromkeys(subject.model for subject in subjects if subject.learned):
        path = find_model(model)
        trained = model_fingerprints(path, dict(read_model(path).metadata))
        if trained is None:
            notes.append(f"{path.name} does not tell which frames trained it, so nobody checked that these did not")
        else:
            known[model] = trained
    return known, notes


def seen_frames(images: Iterable[Image], trained: Fingerprints) -> NDArray[np.bool_]:
    """Which images are among the training frames, bool [N]. Pictures that show nothing are not."""
    values = [fingerprint(image) for image in images]
    seen = np.zeros(len(values), np.bool_)
    told = np.array([index for index, value in enumerate(values) if value is not None], np.intp)
    if len(told):
        seen[told] = trained.nearest(np.array([values[index] for index in told], np.uint8)) <= TOLERANCE
    return seen


def held_back(sequence: Sequence, seen: NDArray[np.bool_], model: str) -> tuple[Sequence | None, str | None]:
    """What of a sequence may judge a model: its longest stretch of unseen frames.

    :param seen: bool [F], frames that trained the model.
    :param model: its name, for the note.
    :returns: the stretch, None where it is too short; and a note, None where all frames may.
    """
    if not seen.any():
        return sequence, None
    ends = np.flatnonzero(np.diff(np.concatenate([[True], seen, [True]]).astype(np.int8)))
    starts, stops = ends[::2], ends[1::2]
    trained = f"{int(seen.sum())} of the {len(sequence)} frames of {sequence.name} trained {model}"
    if len(starts) == 0 or (stops - starts).max() < FEWEST_FRAMES:
        return None, f"{trained}: left out"
    longest = int((stops - starts).argmax())
    start, stop = int(starts[longest]), int(stops[longest])
    return sequence.subset(range(start, stop)), f"{trained}: judged on frames {start} to {stop - 1}, which did not"


def held_back_pairs(pair_set: PairSet, seen: NDArray[np.bool_], model: str) -> tuple[PairSet | None, str | None]:
    """The pairs of a set of which neither image trained a model; see :func:`held_back`."""
    if not seen.any():
        return pair_set, None
    note = f"{int(seen.sum())} of the {len(seen)} pairs of {pair_set.name} trained {model}: left out"
    pairs = tuple(pair for pair, trained in zip(pair_set.pairs, seen, strict=True) if not trained)
    return (replace(pair_set, pairs=pairs) if pairs else None), note


def seen_pair(pair: ImagePair, trained: Fingerprints) -> bool:
    """Whether one of a pair's images is among the training frames.

    :raises DatasetError: an image cannot be read.
    """
    images = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in (pair.first, pair.second)]
    for image, file in zip(images, (pair.first, pair.second), strict=True):
        if image is None:
            raise DatasetError(f"{file} cannot be read as an image; unpack the data set again")
    return bool(seen_frames([np.asarray(image, np.uint8) for image in images], trained).any())
