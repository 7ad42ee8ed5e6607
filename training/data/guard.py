"""No frame that trained a model may judge it.

Every training frame leaves a fingerprint of 1152 bits, which survives another size, another compression and another
file name. Fingerprints go with the run and with the model (in a file beside it, whose hash stands in the model's
metadata); whoever evaluates the model compares them with the frames that are to judge it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.recordings.output import OutputFile
from training.data.sequence import DatasetError, Image, Sequence

#: Side of the grid of differences that a fingerprint is made of.
SIDE = 24
BYTES = 2 * SIDE * SIDE // 8
#: Share of a picture's mean difference that a cell must differ by to count: what is flat has no sign to keep.
CONTRAST = 0.5
#: Bits by which the fingerprints of one picture may differ. On shared/data, JPEG of quality 60 and scaling to 0.5
#: change up to 11 bits (31 in noisy images of 160 x 120 pixels); the first frame of a sequence's last fifth differs
#: from all before by 53 and more. Frames of a camera that stands still are one picture.
TOLERANCE = 36
#: Grey levels of standard deviation below which a picture has nothing to tell it by.
FLAT = 4.0
#: In an ONNX file's metadata: the SHA-256 of the fingerprints beside it.
METADATA_KEY = "training_frames"
SIDECAR = ".training_frames.npy"
#: In the folder of a run.
RUN_FILE = "training_frames.npy"


class TrainedOnError(DatasetError):
    """Frames that are to judge a model have trained it. The message names them."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Of training frames.

    :ivar values: uint8 [N, 144], bits packed; no row twice.
    """

    values: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.values)

    def nearest(self, others: NDArray[np.uint8]) -> NDArray[np.int64]:
        """By how many bits each of some fingerprints [M, 144] differs from the most similar one; int64 [M]."""
        if len(self.values) == 0:
            return np.full(len(others), 8 * BYTES, np.int64)
        found = cv2.BFMatcher(cv2.NORM_HAMMING).match(np.ascontiguousarray(others), self.values)
        return np.array([match.distance for match in found]).astype(np.int64)

    def joined(self, other: Fingerprints) -> Fingerprints:
        """Of both: a model that is trained further keeps what trained it before."""
        return _unique(np.concatenate([self.values, other.values]))

    def save(self, file: Path) -> None:
        """Write a ``.npy`` file, whole or not at all: processes that train together may all do it."""
        with OutputFile(file) as temporary:
            np.save(temporary, self.values)

    @property
    def digest(self) -> str:
        """SHA-256 of the values, in hexadecimal."""
        return hashlib.sha256(self.values.tobytes()).hexdigest()


def load_fingerprints(file: Path) -> Fingerprints:
    """Read what :meth:`Fingerprints.save` wrote.

    :raises DatasetError: it is damaged.
    """
    try:
        values = np.load(file)
        return Fingerprints(np.asarray(values, np.uint8).reshape(-1, BYTES))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} holds no fingerprints of training frames: {error}") from error


def fingerprint(image: Image) -> NDArray[np.uint8] | None:
    """The fingerprint of a picture: which cells of a grid are brighter and which are darker than their left neighbours.

    Krawetz's dHash, with a dead band.

    :param image: uint8 [H, W] or [H, W, 3] BGR.
    :returns: uint8 [144]; None for a picture that shows nothing.
    """
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(np.asarray(grey, np.float32), (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    if float(small.std()) < FLAT:
        return None
    steps = np.diff(small, axis=1)
    least = CONTRAST * np.abs(steps).mean()
    return np.packbits(np.stack([steps > least, steps < -least]))


def fingerprints_of(sequences: Iterable[Sequence]) -> Fingerprints:
    """Of all frames of some sequences."""
    found = [fingerprint(sequence.image(index)) for sequence in sequences for index in range(len(sequence))]
    known = [value for value in found if value is not None]
    return _unique(np.array(known, np.uint8).reshape(-1, BYTES))


def record_training_frames(run: Path, sequences: Iterable[Sequence], ancestors: Iterable[Path] = ()) -> None:
    """Write the fingerprints of all frames that a run's network owes something to into its folder.

    Once: a resumed run has them already.

    :param ancestors: checkpoints that the run starts or learns from; runs that recorded nothing add nothing.
    """
    if (run / RUN_FILE).exists():
        return
    recorded = fingerprints_of(sequences)
    for file in (checkpoint.parent / RUN_FILE for checkpoint in ancestors):
        if file.is_file():
            recorded = recorded.joined(load_fingerprints(file))
    recorded.save(run / RUN_FILE)


def _unique(values: NDArray[np.uint8]) -> Fingerprints:
    return Fingerprints(np.unique(values, axis=0) if len(values) else values)


def sidecar_of(model: Path) -> Path:
    """Where a model's fingerprints are: ``kp_base.onnx`` has ``kp_base.training_frames.npy`` beside it."""
    return model.with_name(model.stem + SIDECAR)


def accompany(model: Path, run: Path) -> dict[str, str]:
    """Write a run's fingerprints beside the model that is exported from it.

    :returns: what the model's metadata must hold; nothing for a run that recorded none.
    """
    if not (run / RUN_FILE).is_file():
        return {}
    trained = load_fingerprints(run / RUN_FILE)
    trained.save(sidecar_of(model))
    return {METADATA_KEY: trained.digest}


def model_fingerprints(model: Path, metadata: dict[str, str]) -> Fingerprints | None:
    """What trained a model; None for a model that does not tell (another program's).

    :param metadata: of the ONNX file.
    :raises DatasetError: the file beside the model is missing, damaged or another model's.
    """
    sidecar = sidecar_of(model)
    if METADATA_KEY not in metadata:
        return load_fingerprints(sidecar) if sidecar.is_file() else None
    if not sidecar.is_file():
        raise DatasetError(f"{model} was trained here, but {sidecar.name} is not beside it: bring it along")
    trained = load_fingerprints(sidecar)
    if trained.digest != metadata[METADATA_KEY]:
        raise DatasetError(f"{sidecar} belongs to another model than {model.name}; bring the one that belongs to it")
    return trained


def refuse_training_frames(model: str, trained: Fingerprints, sequences: Many[Sequence]) -> None:
    """Refuse to judge a model by what trained it.

    :param model: its name, for the message.
    :raises TrainedOnError: frames of the sequences are among the training frames.
    """
    for sequence in sequences:
        values = [fingerprint(sequence.image(index)) for index in range(len(sequence))]
        known = [index for index, value in enumerate(values) if value is not None]
        if not known:
            continue
        distances = trained.nearest(np.array([values[index] for index in known], np.uint8))
        seen = [sequence.frame_names[index] for index, bits in zip(known, distances, strict=True) if bits <= TOLERANCE]
        if seen:
            named = ", ".join(seen[:3]) + (" ..." if len(seen) > 3 else "")
            raise TrainedOnError(
                f"{len(seen)} of {len(sequence)} frames of {sequence.name} trained {model} ({named}): its figures "
                "there would mean nothing; evaluate on what was kept back of the sequence, or on another one"
            )
